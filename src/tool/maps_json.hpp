#pragma once

#include "tool/snapshot.hpp"

#include <string>
#include <string_view>

namespace acre::tool {

/// The snapshot as a JSON object, with a newline behind it. Amounts are bytes; addresses are
/// strings of hexadecimal digits, since JSON's numbers are not exact beyond 2^53.
[[nodiscard]] std::string format_maps_json(const snapshot& what);

/// Reads what `format_maps_json` wrote.
///
/// Throws:  error that names `path`.
[[nodiscard]] snapshot parse_maps_json(std::string_view text, const std::string& path);

}  // namespace acre::tool
