#pragma once

#include <chrono>

namespace acre::tool {

/// Nanoseconds of the monotonic clock.
[[nodiscard]] inline double now_ns() noexcept {
  return std::chrono::duration<double, std::nano>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

/// What reading the clock over and over shows.
struct clock_facts {
  double read_ns = 0;     ///< one reading, at best
  double gap_ns_max = 0;  ///< the longest time between two readings
  double lost_part = 0;   ///< part of the time in gaps too long to be the program's own
};

/// Reads the clock for a while. Gaps are interrupts, other programs and, in a virtual machine, the
/// host.
[[nodiscard]] clock_facts watch_clock(std::chrono::milliseconds duration) noexcept;

/// Cycles of the core in a nanosecond, by a chain of additions that each take one cycle.
[[nodiscard]] double measure_core_ghz() noexcept;

/// Keeps a value that the optimizer would otherwise not compute.
template <class T>
inline void keep(const T& value) noexcept {
  asm volatile("" : : "r"(value) : "memory");
}

}  // namespace acre::tool
