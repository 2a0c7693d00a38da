#include "tool/machine_screen.hpp"

#include "tool/terminal.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdlib>

namespace acre::tool {
namespace {

constexpr std::size_t columns_usual = 80;
constexpr std::size_t columns_min = 40;
constexpr std::size_t columns_max = 120;

/// The first that is set says what the locale is (locale(7)).
bool has_utf8_locale() {
  for (const char* name : {"LC_ALL", "LC_CTYPE", "LANG"}) {
    const char* const value = std::getenv(name);
    if (value == nullptr || *value == '\0') continue;
    const std::string_view text(value);
    return text.find("UTF-8") != std::string_view::npos ||
           text.find("utf8") != std::string_view::npos;
  }
  return false;
}

}  // namespace

screen screen_for(int file) {
  const auto width = terminal_columns(file);
  return {.columns = std::clamp(width.value_or(columns_usual), columns_min, columns_max),
          .width = width.value_or(0),
          .has_unicode = has_utf8_locale()};
}

dot_canvas::dot_canvas(std::size_t columns, std::size_t rows)
    : columns_(columns), rows_(rows), cells_(columns * rows) {}

void dot_canvas::set(std::size_t x, std::size_t y) noexcept {
  // Unicode numbers the dots down the left column, then the right; the lowest two came later.
  constexpr std::array<std::array<unsigned char, 2>, 4> dots{
      {{0x01, 0x08}, {0x02, 0x10}, {0x04, 0x20}, {0x40, 0x80}}};
  if (x >= dots_wide() || y >= dots_high()) return;
  cells_[y / 4 * columns_ + x / 2] |= dots[y % 4][x % 2];
}

void dot_canvas::line(double from_x, double from_y, double to_x, double to_y, int every) {
  const double length = std::max(std::abs(to_x - from_x), std::abs(to_y - from_y));
  const int steps = std::max(static_cast<int>(std::ceil(length)), 1);
  for (int step = 0; step <= steps; ++step) {
    const double part = static_cast<double>(step) / steps;
    const auto x = std::llround(std::max(from_x + (to_x - from_x) * part, 0.0));
    const auto y = std::llround(std::max(from_y + (to_y - from_y) * part, 0.0));
    if ((x + y) % every == 0) set(static_cast<std::size_t>(x), static_cast<std::size_t>(y));
  }
}

bool dot_canvas::has(std::size_t column, std::size_t row) const noexcept {
  return cells_[row * columns_ + column] != 0;
}

std::string dot_canvas::character(std::size_t column, std::size_t row, const dot_canvas& other,
                                  bool has_unicode) const {
  const unsigned dots = cells_[row * columns_ + column] | other.cells_[row * columns_ + column];
  if (!has_unicode) return has(column, row) ? "*" : "o";
  // U+2800 and the dots as its lowest bits, in UTF-8.
  return {static_cast<char>(0xe2), static_cast<char>(0xa0 | (dots >> 6)),
          static_cast<char>(0x80 | (dots & 0x3f))};
}

}  // namespace acre::tool
