#pragma once

#include "tool/machine_measurement.hpp"

#include <string>
#include <string_view>

namespace acre::tool {

/// The latency curves over working sets, as an SVG file that needs nothing else; light or dark as
/// the viewer is.
[[nodiscard]] std::string draw_machine_svg(const machine_description& machine,
                                           const machine_measurement& measurement);

/// The same as an element of a page, which brings the colours.
[[nodiscard]] std::string draw_working_sets(const machine_description& machine,
                                            const machine_measurement& measurement);

/// The curve of one line per page, as an element of a page; empty when it was not measured.
[[nodiscard]] std::string draw_page_walk(const machine_description& machine,
                                         const machine_measurement& measurement);

/// The colours and letters of the pictures, for a style element.
[[nodiscard]] std::string_view picture_style();

}  // namespace acre::tool
