#include "tool/terminal.hpp"

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <utility>

#include <sys/ioctl.h>
#include <unistd.h>

namespace acre::tool {
namespace {

constexpr std::string_view indent = "    ";

bool begins_character(char byte) noexcept {
  return (static_cast<unsigned char>(byte) & 0xc0U) != 0x80U;
}

/// The columns of a word; an escape sequence of colour ends with "m".
std::size_t columns_of(std::string_view word) noexcept {
  std::size_t columns = 0;
  for (std::size_t at = 0; at < word.size(); ++at) {
    if (word[at] == '\x1b')
      at = std::min(word.find('m', at), word.size());
    else if (begins_character(word[at]))
      ++columns;
  }
  return columns;
}

/// Breaks one line, if it must, between the cells of a table, which have two spaces between them;
/// and a cell that is too wide by itself between its words.
class line_folder {
 public:
  explicit line_folder(std::size_t width) : width_(width) {}

  std::string fold(std::string_view line) {
    add_pieces(line, "  ");
    return std::move(text_);
  }

 private:
  void add_pieces(std::string_view line, std::string_view separator) {
    while (!line.empty()) {
      // A piece comes with the spaces in front of it, which a break replaces.
      const auto start = std::min(line.find_first_not_of(' '), line.size());
      const auto end = std::min(line.find(separator, start), line.size());
      add(start, line.substr(start, end - start), separator);
      line.remove_prefix(end);
    }
  }
  void add(std::size_t spaces, std::string_view piece, std::string_view separator) {
    const auto columns = columns_of(piece);
    const bool has_room = column_ + spaces + columns <= width_;
    if (!has_room && separator.size() > 1 && indent.size() + columns > width_) {
      text_.append(spaces, ' ');
      column_ += spaces;
      return add_pieces(piece, " ");
    }
    if (has_room || column_ == 0) {
      text_.append(spaces, ' ');
      column_ += spaces;
    } else {
      text_ += "\n" + std::string(indent);
      column_ = indent.size();
    }
    text_ += piece;
    column_ += columns;
  }

  std::size_t width_;
  std::size_t column_ = 0;
  std::string text_;
};

std::string fold_line(std::string_view line, std::size_t width) {
  return columns_of(line) <= width ? std::string(line) : line_folder(width).fold(line);
}

}  // namespace

std::optional<std::size_t> terminal_columns(int file) {
  winsize size{};
  if (::isatty(file) == 0) return {};
  if (::ioctl(file, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) return size.ws_col;
  const char* const columns = std::getenv("COLUMNS");
  if (columns == nullptr) return {};
  const std::string_view text(columns);
  std::size_t number = 0;
  const auto [rest, problem] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (problem != std::errc{} || number == 0) return {};
  return number;
}

std::string cut(std::string line, std::size_t width) {
  if (width == 0) return line;
  std::size_t columns = 0;
  for (std::size_t at = 0; at < line.size(); ++at) {
    if (begins_character(line[at]) && ++columns > width) {
      line.resize(at);
      break;
    }
  }
  return line;
}

std::string fold(std::string_view text, std::size_t width) {
  if (width == 0) return std::string(text);
  std::string folded;
  while (!text.empty()) {
    const auto end = std::min(text.find('\n'), text.size());
    folded += fold_line(text.substr(0, end), width);
    if (end < text.size()) folded += '\n';
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return folded;
}

}  // namespace acre::tool
