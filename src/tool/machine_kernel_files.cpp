#include "tool/machine_kernel_files.hpp"

#include <charconv>
#include <fstream>
#include <iterator>

namespace acre::tool {

std::string read_kernel_file(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::string read_kernel_line(const std::string& path) {
  auto text = read_kernel_file(path);
  text.resize(std::min(text.size(), text.find('\n')));
  return text;
}

std::optional<std::uint64_t> parse_number(std::string_view text) {
  text.remove_prefix(std::min(text.size(), text.find_first_not_of(" \t")));
  std::uint64_t number = 0;
  const auto [rest, problem] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (problem != std::errc{}) return {};
  return number;
}

std::optional<std::uint64_t> find_number(std::string_view text, std::string_view name) {
  while (!text.empty()) {
    const auto line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(line.size() + 1, text.size()));
    if (line.size() > name.size() && line.starts_with(name) && line[name.size()] == ':')
      return parse_number(line.substr(name.size() + 1));
  }
  return {};
}

std::string find_chosen(std::string_view text) {
  const auto start = text.find('[');
  const auto end = text.find(']');
  if (start == std::string_view::npos || end == std::string_view::npos || end < start) return {};
  return std::string(text.substr(start + 1, end - start - 1));
}

}  // namespace acre::tool
