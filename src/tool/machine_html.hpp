#pragma once

#include "tool/machine_measurement.hpp"

#include <string>

namespace acre::tool {

/// A page with the pictures and all figures, in one file that loads nothing; light or dark as the
/// reader's browser is.
[[nodiscard]] std::string format_machine_html(const machine_description& machine,
                                              const machine_measurement& measurement);

}  // namespace acre::tool
