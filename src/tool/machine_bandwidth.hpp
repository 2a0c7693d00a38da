#pragma once

#include "tool/machine_measurement.hpp"
#include "tool/machine_plan.hpp"

#include <vector>

namespace acre::tool {

/// Each level by the measuring CPU and by all CPUs, then each node's memory by the CPUs of each
/// node.
///
/// The working set is half of a level, shared among the CPUs that share it, so that it lies in that
/// level and in no nearer one. The figure of many CPUs is the sum over them.
[[nodiscard]] std::vector<bandwidth_row> measure_bandwidths(const machine_description& machine,
                                                            const machine_plan& plan,
                                                            machine_progress& progress);

}  // namespace acre::tool
