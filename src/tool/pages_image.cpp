#include "tool/pages_image.hpp"

#include "tool/error.hpp"
#include "tool/units.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include <fmt/format.h>
#include <png.h>

namespace acre::tool {
namespace {

constexpr std::size_t image_columns = 512;
constexpr std::size_t image_rows_max = 2048;
/// A cell is drawn as a square of this many points when there are few.
constexpr std::size_t small_cell = 4;
constexpr std::size_t drawing_columns = 128;
constexpr std::size_t drawing_rows_max = 128;

struct colour {
  std::uint8_t red;
  std::uint8_t green;
  std::uint8_t blue;
};

/// By state: none, guard, swapped, zero, huge, file, anonymous.
constexpr std::array<colour, static_cast<std::size_t>(page_state::count)> colours{
    {{0xe8, 0xe8, 0xe8},
     {0x00, 0x00, 0x00},
     {0x8c, 0x51, 0x0a},
     {0xa6, 0xce, 0xe3},
     {0x75, 0x6b, 0xb1},
     {0x2c, 0xa2, 0x5f},
     {0xd9, 0x5f, 0x0e}}};

/// The mean of the colours of the pages, by their counts.
colour mixed(const heat_cell& cell) noexcept {
  double red = 0;
  double green = 0;
  double blue = 0;
  for (std::size_t index = 0; index < colours.size(); ++index) {
    const double share = cell.share(static_cast<page_state>(index));
    red += share * colours[index].red;
    green += share * colours[index].green;
    blue += share * colours[index].blue;
  }
  const auto byte = [](double value) {
    return static_cast<std::uint8_t>(std::lround(std::clamp(value, 0.0, 255.0)));
  };
  return {byte(red), byte(green), byte(blue)};
}

std::string hexadecimal(const colour& of) {
  return fmt::format("#{:02x}{:02x}{:02x}", of.red, of.green, of.blue);
}

}  // namespace

std::string format_pages_png(const page_view& view) {
  const auto map = make_heat_map(view, image_columns * image_rows_max);
  const auto scale = map.cells.size() <= 64 * 1024 ? small_cell : 1;
  const auto columns = std::max<std::size_t>(std::min(map.cells.size(), image_columns / scale), 1);
  const auto rows = std::max<std::size_t>((map.cells.size() + columns - 1) / columns, 1);
  const auto width = columns * scale;
  const auto height = rows * scale;
  std::vector<colour> points(width * height, colours.front());
  for (std::size_t index = 0; index < map.cells.size(); ++index) {
    const auto paint = mixed(map.cells[index]);
    for (std::size_t point = 0; point < scale * scale; ++point) {
      const auto x = index % columns * scale + point % scale;
      const auto y = index / columns * scale + point / scale;
      points[y * width + x] = paint;
    }
  }
  png_image image{};
  image.version = PNG_IMAGE_VERSION;
  image.width = static_cast<png_uint_32>(width);
  image.height = static_cast<png_uint_32>(height);
  image.format = PNG_FORMAT_RGB;
  png_alloc_size_t size = 0;
  const auto write = [&](void* into) {
    if (png_image_write_to_memory(&image, into, &size, 0, points.data(), 0, nullptr) == 0) {
      throw error(exit_code::misuse, fmt::format("cannot make a PNG image: {}",
                                                 static_cast<const char*>(image.message)));
    }
  };
  write(nullptr);
  std::string file(size, '\0');
  write(file.data());
  file.resize(size);
  return file;
}

std::string format_pages_svg(const page_view& view) {
  constexpr std::size_t cell = 6;
  constexpr std::size_t legend_rows = 3;
  const auto map = make_heat_map(view, drawing_columns * drawing_rows_max);
  const auto rows = (map.cells.size() + drawing_columns - 1) / drawing_columns;
  const auto width = drawing_columns * cell;
  const auto top = legend_rows * 20;
  std::string text = fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {} {}\" font-family=\"sans-serif\" "
      "font-size=\"13\" role=\"img\"><title>Pages of process {}</title>\n"
      "<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n"
      "<text x=\"4\" y=\"16\">Process {}: {} page{}, {} in a cell</text>\n",
      width, top + rows * cell, view.pid, view.pid, format_count(view.pages),
      view.pages == 1 ? "" : "s", map.pages_per_cell);
  std::size_t x = 4;
  for (std::size_t index = 0; index < colours.size(); ++index) {
    const auto name = page_state_name(static_cast<page_state>(index));
    text += fmt::format(
        "<rect x=\"{}\" y=\"26\" width=\"12\" height=\"12\" fill=\"{}\"/><text x=\"{}\" y=\"37\">{}"
        "</text>\n",
        x, hexadecimal(colours[index]), x + 16, name);
    x += 28 + name.size() * 8;
  }
  for (std::size_t index = 0; index < map.cells.size();) {
    // Neighbours of one colour in a row are one rectangle.
    const auto fill = hexadecimal(mixed(map.cells[index]));
    const auto row_end = (index / drawing_columns + 1) * drawing_columns;
    auto end = index + 1;
    while (end < std::min(row_end, map.cells.size()) && hexadecimal(mixed(map.cells[end])) == fill)
      ++end;
    text += fmt::format("<rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" fill=\"{}\"/>\n",
                        index % drawing_columns * cell, top + index / drawing_columns * cell,
                        (end - index) * cell, cell, fill);
    index = end;
  }
  return text + "</svg>\n";
}

}  // namespace acre::tool
