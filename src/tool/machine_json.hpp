#pragma once

#include "tool/machine_measurement.hpp"

#include <optional>
#include <string>

namespace acre::tool {

/// One object; docs/machine.md names its members.
[[nodiscard]] std::string format_machine_json(
    const machine_description& machine, const std::optional<machine_measurement>& measurement);

}  // namespace acre::tool
