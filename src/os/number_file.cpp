#include "os/number_file.hpp"

#include "os/kernel.hpp"
#include "os/refusal.hpp"
#include "os/unique_descriptor.hpp"

#include <algorithm>
#include <array>
#include <charconv>

#include <fcntl.h>

namespace acre::os {

result<std::string_view> read_into_buffer(const char* path, std::span<char> buffer) noexcept {
  const auto opened = ask(calls::openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC);
  if (!opened) return std::unexpected(opened.error());
  const unique_descriptor file(static_cast<int>(*opened));
  std::size_t filled = 0;
  while (filled < buffer.size()) {
    const auto got = ask(calls::read, file.get(), buffer.data() + filled, buffer.size() - filled);
    if (!got && got.error().number == EINTR) continue;
    if (!got) return std::unexpected(got.error());
    if (*got == 0) break;
    filled += static_cast<std::size_t>(*got);
  }
  return std::string_view(buffer.data(), filled);
}

result<std::uint64_t> read_number(const char* path) noexcept {
  std::array<char, 64> buffer{};
  const auto text = read_into_buffer(path, buffer);
  if (!text) return std::unexpected(text.error());
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), number);
  if (error != std::errc{}) return refusal(EINVAL, "read", "the file does not hold a number");
  return number;
}

result<std::uint64_t> number_after(std::string_view text, std::string_view key, int base) noexcept {
  for (std::size_t line = 0; line < text.size();) {
    const std::size_t end = std::min(text.find('\n', line), text.size());
    std::string_view rest = text.substr(line, end - line);
    line = end + 1;
    if (!rest.starts_with(key) || !rest.substr(key.size()).starts_with(':')) continue;
    rest.remove_prefix(key.size() + 1);
    rest.remove_prefix(std::min(rest.find_first_not_of(" \t"), rest.size()));
    std::uint64_t number = 0;
    const auto parsed = std::from_chars(rest.data(), rest.data() + rest.size(), number, base);
    if (parsed.ec == std::errc{}) return number;
  }
  return refusal(ENOENT, "read", "the file has no such line");
}

}  // namespace acre::os
