#pragma once

#include "tool/machine_measurement.hpp"

#include <vector>

namespace acre::tool {

/// The rises of a curve: where latency, having been about flat, climbs by more than a third.
[[nodiscard]] std::vector<curve_step> find_steps(const std::vector<curve_point>& points);

/// Gives each step of working sets the cache that is described with about its size, or, failing
/// that, the next larger one that has no step.
void name_steps(std::vector<curve_step>& steps, const std::vector<cache_facts>& caches);

/// Gives each step of one line per page the TLB whose entries, or the cache whose lines, are about
/// as many as the pages.
void name_page_steps(std::vector<curve_step>& steps, const machine_description& machine);

/// The latency of each level: the median of the points whose working set fits into it with room to
/// spare and is too large for the level before. Behind the last cache: memory.
[[nodiscard]] std::vector<level_latency> find_levels(const std::vector<curve_point>& points,
                                                     const std::vector<curve_step>& steps,
                                                     const std::vector<cache_facts>& caches);

}  // namespace acre::tool
