#pragma once

#include "tool/machine_measurement.hpp"
#include "tool/machine_plan.hpp"

#include <vector>

namespace acre::tool {

/// What the kernel's services of memory cost: calls, page faults, and moving against copying.
[[nodiscard]] std::vector<kernel_cost> measure_kernel_costs(const machine_description& machine,
                                                            const machine_plan& plan,
                                                            machine_progress& progress);

}  // namespace acre::tool
