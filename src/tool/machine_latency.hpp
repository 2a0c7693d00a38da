#pragma once

#include "tool/machine_chase.hpp"
#include "tool/machine_measurement.hpp"
#include "tool/machine_plan.hpp"

#include <cstddef>
#include <optional>
#include <span>
#include <vector>

namespace acre::tool {

/// Latency of one working set: walks for a while to fill the caches, then measures.
[[nodiscard]] figure measure_latency(std::span<std::byte> memory, std::size_t set_bytes,
                                     chase_pattern pattern, const machine_plan& plan);

/// Working sets from `first` to `last`, evenly spaced on a logarithmic scale, in whole `unit`s.
[[nodiscard]] std::vector<std::size_t> set_sizes(std::size_t first, std::size_t last,
                                                 std::size_t unit, int points_per_octave);

/// The three curves.
[[nodiscard]] latency_curve measure_huge_pages(const machine_plan& plan,
                                               machine_progress& progress);
[[nodiscard]] latency_curve measure_small_pages(const machine_plan& plan,
                                                machine_progress& progress);
[[nodiscard]] latency_curve measure_page_walk(const machine_plan& plan, machine_progress& progress);

}  // namespace acre::tool
