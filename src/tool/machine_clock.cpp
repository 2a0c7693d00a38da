#include "tool/machine_clock.hpp"

#include <algorithm>
#include <cstdint>

namespace acre::tool {

clock_facts watch_clock(std::chrono::milliseconds duration) noexcept {
  // No page of the program is touched for the first time here, so 5 us is never its own doing.
  constexpr double gap_ns = 5000;
  const double start = now_ns();
  const double end = start + std::chrono::duration<double, std::nano>(duration).count();
  clock_facts facts{.read_ns = 1e9};
  double lost_ns = 0;
  double before = start;
  while (before < end) {
    const double after = now_ns();
    const double step = after - before;
    if (step > 0) facts.read_ns = std::min(facts.read_ns, step);
    facts.gap_ns_max = std::max(facts.gap_ns_max, step);
    if (step > gap_ns) lost_ns += step;
    before = after;
  }
  facts.lost_part = lost_ns / (before - start);
  return facts;
}

namespace {

/// One addition of which the compiler knows nothing, so that two cannot be folded into one.
[[gnu::always_inline]] inline void add_once(std::uint64_t& sum, std::uint64_t& addend) noexcept {
  sum += addend;
  asm volatile("" : "+r"(sum), "+r"(addend));
}

[[gnu::always_inline]] inline void add_eight_times(std::uint64_t& sum,
                                                   std::uint64_t& addend) noexcept {
  add_once(sum, addend);
  add_once(sum, addend);
  add_once(sum, addend);
  add_once(sum, addend);
  add_once(sum, addend);
  add_once(sum, addend);
  add_once(sum, addend);
  add_once(sum, addend);
}

}  // namespace

double measure_core_ghz() noexcept {
  constexpr int additions = 160'000;
  double best_ns = 1e9;
  std::uint64_t sum = 1;
  std::uint64_t addend = 3;
  for (int round = 0; round < 15; ++round) {
    const double start = now_ns();
    // Written out, because each turn of a loop takes a cycle by itself.
    for (int index = 0; index < additions; index += 64) {
      add_eight_times(sum, addend);
      add_eight_times(sum, addend);
      add_eight_times(sum, addend);
      add_eight_times(sum, addend);
      add_eight_times(sum, addend);
      add_eight_times(sum, addend);
      add_eight_times(sum, addend);
      add_eight_times(sum, addend);
    }
    best_ns = std::min(best_ns, now_ns() - start);
  }
  keep(sum);
  return additions / best_ns;
}

}  // namespace acre::tool
