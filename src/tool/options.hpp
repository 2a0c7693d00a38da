#pragma once

#include <string>

namespace acre::tool {

/// The verb `options`: the run-time options as text of at most 80 columns.
[[nodiscard]] std::string format_options();

/// The same as a JSON array, with a newline behind it.
[[nodiscard]] std::string format_options_json();

}  // namespace acre::tool
