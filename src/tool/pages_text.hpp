#pragma once

#include "tool/maps_text.hpp"
#include "tool/page_view.hpp"

#include <string>

namespace acre::tool {

/// The counts, a heat map of letters, and what was used.
[[nodiscard]] std::string format_pages(const page_view& view, const drawing& how);

/// The same as a JSON object with the spans of every mapping, with a newline behind it.
[[nodiscard]] std::string format_pages_json(const page_view& view);

}  // namespace acre::tool
