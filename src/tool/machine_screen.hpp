#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace acre::tool {

/// What a picture in text may be made of.
struct screen {
  std::size_t columns = 80;  ///< of a drawing
  std::size_t width = 0;     ///< of the terminal, where lines break; 0 for none
  bool has_unicode = false;
};

/// As `file` shows it: 80 columns where it is no terminal or does not say; Unicode where the
/// locale's characters are UTF-8.
[[nodiscard]] screen screen_for(int file);

/// Dots drawn with characters of Braille, each two dots wide and four high, or with asterisks.
class dot_canvas {
 public:
  dot_canvas(std::size_t columns, std::size_t rows);

  [[nodiscard]] std::size_t dots_wide() const noexcept { return columns_ * 2; }
  [[nodiscard]] std::size_t dots_high() const noexcept { return rows_ * 4; }

  /// Draws a line from one dot to another, 0 being left and top; `every` 2 leaves out half the
  /// dots.
  void line(double from_x, double from_y, double to_x, double to_y, int every);

  /// Whether a character has dots.
  [[nodiscard]] bool has(std::size_t column, std::size_t row) const noexcept;
  /// The dots of one character, of this and another canvas of the same size together.
  [[nodiscard]] std::string character(std::size_t column, std::size_t row, const dot_canvas& other,
                                      bool has_unicode) const;

 private:
  void set(std::size_t x, std::size_t y) noexcept;

  std::size_t columns_;
  std::size_t rows_;
  std::vector<unsigned char> cells_;
};

}  // namespace acre::tool
