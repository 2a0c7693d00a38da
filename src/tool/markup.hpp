#pragma once

#include <string>
#include <string_view>

namespace acre::tool {

/// Text for XML and HTML.
[[nodiscard]] std::string escape_markup(std::string_view text);

}  // namespace acre::tool
