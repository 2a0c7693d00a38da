#pragma once

#include "tool/page_view.hpp"

#include <string>

namespace acre::tool {

/// The heat map as a PNG image: one point a page, or a cell of some pages where there are many.
///
/// Throws:  error when the image cannot be made.
[[nodiscard]] std::string format_pages_png(const page_view& view);

/// The heat map as an SVG drawing with a legend.
[[nodiscard]] std::string format_pages_svg(const page_view& view);

}  // namespace acre::tool
