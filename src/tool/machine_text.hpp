#pragma once

#include "tool/ink.hpp"
#include "tool/machine_measurement.hpp"
#include "tool/machine_screen.hpp"

#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace acre::tool {

/// What `acre machine` prints: description, curve, bandwidths, costs, and whether to trust them.
[[nodiscard]] std::string format_machine(const machine_description& machine,
                                         const std::optional<machine_measurement>& measurement,
                                         const ink& colours, const screen& screen);

/// The latency curves as a picture; empty when there are none.
[[nodiscard]] std::string draw_curve(const machine_description& machine,
                                     const machine_measurement& measurement, const ink& colours,
                                     const screen& screen);

/// "4.1 ns", with three digits and the unit that suits.
[[nodiscard]] std::string format_ns(double ns);

/// "KVM virtual machine, in a container (docker)".
[[nodiscard]] std::string describe_place(const host_facts& host);

/// "2 CPUs, 2 cores, 1 node".
[[nodiscard]] std::string describe_size(const machine_description& machine);

/// "8", "full", or "-" when it is not known.
[[nodiscard]] std::string format_ways(int ways);

/// How the kernel manages memory: names and values.
[[nodiscard]] std::vector<std::pair<std::string, std::string>> list_kernel_memory(
    const kernel_memory_facts& memory);

/// What the noise means for the figures, in one sentence.
[[nodiscard]] std::string describe_trust(const noise_report& noise);

/// One sentence for a step of the curve of working sets, and of one line per page.
[[nodiscard]] std::string describe_step(const curve_step& step);
[[nodiscard]] std::string describe_page_step(const curve_step& step,
                                             const machine_description& machine);

}  // namespace acre::tool
