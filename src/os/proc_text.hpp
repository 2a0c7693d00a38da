#pragma once

#include <charconv>
#include <concepts>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>

/// Pieces of the text files in /proc. Nothing in them is trusted; nothing here reads beyond the
/// text.
namespace acre::os::proc_text {

/// Takes the first line off, without its newline.
[[nodiscard]] inline std::string_view take_line(std::string_view& text) noexcept {
  const auto line = text.substr(0, text.find('\n'));
  text.remove_prefix(line.size() == text.size() ? line.size() : line.size() + 1);
  return line;
}

inline void skip_blanks(std::string_view& text) noexcept {
  const auto first = text.find_first_not_of(" \t");
  text.remove_prefix(first == std::string_view::npos ? text.size() : first);
}

/// Takes the first word off and the blanks before it; empty at the end.
[[nodiscard]] inline std::string_view take_word(std::string_view& text) noexcept {
  skip_blanks(text);
  const auto word = text.substr(0, text.find_first_of(" \t"));
  text.remove_prefix(word.size());
  return word;
}

/// Takes everything up to `mark` off, and the mark; nothing, and nothing taken, without a mark.
[[nodiscard]] inline std::optional<std::string_view> take_until(std::string_view& text,
                                                                char mark) noexcept {
  const auto at = text.find(mark);
  if (at == std::string_view::npos) return {};
  const auto part = text.substr(0, at);
  text.remove_prefix(at + 1);
  return part;
}

/// The whole text as a number: no sign for unsigned types, no blanks, no overflow.
template <std::integral Number>
[[nodiscard]] std::optional<Number> number(std::string_view text, int base = 10) noexcept {
  Number value = 0;
  const char* const end = text.data() + text.size();
  const auto [rest, problem] = std::from_chars(text.data(), end, value, base);
  if (problem != std::errc{} || rest != end) return {};
  return value;
}

/// "   12 kB" as bytes.
[[nodiscard]] inline std::optional<std::uint64_t> kilobytes(std::string_view text) noexcept {
  const auto value = number<std::uint64_t>(take_word(text));
  if (!value || take_word(text) != "kB" ||
      *value > std::numeric_limits<std::uint64_t>::max() / 1024)
    return {};
  return *value * 1024;
}

/// Turns "\012" into the byte it stands for, where `is_escaped` says that the kernel escapes it.
/// What the kernel escapes differs from file to file, and not every file escapes the backslash.
template <class Predicate>
[[nodiscard]] std::string unescaped(std::string_view text, Predicate is_escaped) {
  std::string result;
  result.reserve(text.size());
  for (std::size_t at = 0; at < text.size(); ++at) {
    if (text[at] == '\\' && at + 3 < text.size()) {
      const auto byte = number<std::uint8_t>(text.substr(at + 1, 3), 8);
      if (byte && is_escaped(static_cast<char>(*byte))) {
        result += static_cast<char>(*byte);
        at += 3;
        continue;
      }
    }
    result += text[at];
  }
  return result;
}

}  // namespace acre::os::proc_text
