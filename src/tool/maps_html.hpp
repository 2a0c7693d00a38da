#pragma once

#include "tool/snapshot.hpp"

#include <string>

namespace acre::tool {

/// The snapshot as one HTML file that needs nothing else: the picture, the sums, and a table that a
/// click on a heading sorts.
[[nodiscard]] std::string format_maps_html(const snapshot& what, bool is_all);

}  // namespace acre::tool
