#pragma once

#include "tool/machine_clock.hpp"
#include "tool/machine_description.hpp"
#include "tool/machine_figure.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace acre::tool {

struct curve_point {
  std::uint64_t size_bytes = 0;
  figure latency_ns;
};

/// The latency of one load over growing working sets.
struct latency_curve {
  std::string name;
  std::vector<curve_point> points;  ///< by size
  std::string missing;              ///< why there are none; empty when there are
};

/// Where a curve climbs from one plateau to the next.
struct curve_step {
  std::uint64_t flat_bytes = 0;  ///< the largest working set that is still on the lower plateau
  std::uint64_t size_bytes =
      0;  ///< where the latency is in the middle of both, on a logarithmic scale
  double before_ns = 0;
  double after_ns = 0;          ///< on the next plateau, or at the end of the curve
  std::string cause{};          ///< what is described with about that size; empty when nothing is
  std::uint64_t described = 0;  ///< its size in bytes, or its count of entries or lines
  bool is_part = false;         ///< much less than all of it was there
  double cause_distance = 9;    ///< how far both sizes are apart, in powers of two
};

struct level_latency {
  std::string level;  ///< a cache's name, or "memory"
  std::optional<double> ns;
};

/// Bytes per nanosecond, which are GB/s. A copied byte counts once.
struct bandwidth_row {
  std::string level{};
  unsigned cpus = 0;
  std::optional<unsigned> node{};  ///< of the memory; nothing when it was left to the kernel
  std::uint64_t size_bytes = 0;    ///< the working set of each CPU
  figure read{};
  figure write{};
  figure copy{};
  std::string missing{};
};

/// From the CPUs of one node to the memory of another.
struct node_latency {
  unsigned cpu_node = 0;
  unsigned memory_node = 0;
  figure latency_ns;
};

/// What a service of the kernel costs.
struct kernel_cost {
  std::string name;
  std::string unit;  ///< what one of them is: call, page
  figure ns;
  std::string missing;
};

/// How far the figures can be trusted.
struct noise_report {
  double stolen_part = 0;   ///< of the machine's time, taken by the host
  double others_part = 0;   ///< of the machine's time, used by other programs
  double lost_part = 0;     ///< of a CPU's time, in gaps between readings of the clock
  double spread = 0;        ///< middle one of the spreads of all points of the curves
  double noisy_points = 0;  ///< part of the points with a spread above 10 %
  clock_facts clock;
  std::vector<std::string> reasons;  ///< why not to trust the figures; empty when they can be
  std::vector<std::string> notes;    ///< what was cut short
};

struct machine_measurement {
  double seconds = 0;
  bool is_quick = false;
  double core_ghz = 0;
  std::string instructions;  ///< of the bandwidth loops
  latency_curve huge_pages;
  latency_curve small_pages;
  latency_curve page_walk;  ///< one line in each page: the TLB alone
  std::vector<level_latency> levels;
  std::vector<curve_step> steps;
  std::vector<curve_step> page_steps;
  std::vector<bandwidth_row> bandwidths;
  std::vector<node_latency> node_latencies;
  std::vector<kernel_cost> costs;
  noise_report noise;
};

/// Measures for less than 30 s, or a few when `is_quick`; says on standard error how far it is.
///
/// Throws:  error when there is no memory to measure on.
[[nodiscard]] machine_measurement measure_machine(const machine_description& machine,
                                                  bool is_quick);

}  // namespace acre::tool
