#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

/// Text that fits a terminal.
namespace acre::tool {

/// How wide a terminal is: as it says itself, else by COLUMNS; empty where `file` is no terminal or
/// neither tells.
[[nodiscard]] std::optional<std::size_t> terminal_columns(int file);

/// Cuts a line to `width` columns, between characters of UTF-8; 0 leaves it as it is.
[[nodiscard]] std::string cut(std::string line, std::size_t width);

/// Breaks lines that are wider than `width` columns at spaces, and indents what goes on below. What
/// has no space where it should break stays whole. Colours (escape sequences) take no column; 0
/// leaves the text as it is.
[[nodiscard]] std::string fold(std::string_view text, std::size_t width);

}  // namespace acre::tool
