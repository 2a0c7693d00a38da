#include "tool/machine_latency.hpp"

#include "tool/machine_buffer.hpp"

#include <algorithm>
#include <cmath>

namespace acre::tool {
namespace {

constexpr std::size_t first_set_bytes = 4096;
constexpr double warm_up_ns_max = 25e6;

/// Fills the caches with the set: once around, as far as the time allows.
double warm_up(chase& cycle) {
  constexpr std::size_t steps_each = 65'536;
  const double end = now_ns() + warm_up_ns_max;
  double step_ns = cycle.walk(std::min(cycle.places(), steps_each));
  for (std::size_t done = steps_each; done < cycle.places() && now_ns() < end; done += steps_each)
    step_ns = cycle.walk(steps_each);
  return step_ns;
}

latency_curve measure_curve(const char* name, std::span<std::byte> memory,
                            const std::vector<std::size_t>& sizes, chase_pattern pattern,
                            const machine_plan& plan, machine_progress& progress) {
  latency_curve curve{name, {}, {}};
  for (std::size_t index = 0; index < sizes.size() && !plan.is_late(); ++index) {
    progress.advance(static_cast<double>(index) / static_cast<double>(sizes.size()));
    curve.points.push_back({sizes[index], measure_latency(memory, sizes[index], pattern, plan)});
  }
  if (curve.points.empty()) curve.missing = "time ran out";
  return curve;
}

}  // namespace

figure measure_latency(std::span<std::byte> memory, std::size_t set_bytes, chase_pattern pattern,
                       const machine_plan& plan) {
  chase cycle(memory, set_bytes, pattern);
  const double expected_ns = std::max(warm_up(cycle), 0.1);
  const auto steps = static_cast<std::size_t>(plan.repetition_ns / expected_ns);
  std::vector<double> latencies;
  for (int repetition = 0; repetition < plan.repetitions; ++repetition)
    latencies.push_back(cycle.walk(std::max<std::size_t>(steps, 1024)));
  return summarize(std::move(latencies));
}

std::vector<std::size_t> set_sizes(std::size_t first, std::size_t last, std::size_t unit,
                                   int points_per_octave) {
  std::vector<std::size_t> sizes;
  for (int index = 0;; ++index) {
    const double exact = static_cast<double>(first) * std::exp2(double(index) / points_per_octave);
    const auto size =
        static_cast<std::size_t>(std::llround(exact / static_cast<double>(unit))) * unit;
    if (size > last) return sizes;
    if (sizes.empty() || size > sizes.back()) sizes.push_back(size);
  }
}

latency_curve measure_huge_pages(const machine_plan& plan, machine_progress& progress) {
  constexpr const char* name = "huge pages";
  const test_buffer buffer(plan.set_bytes_max, page_wish::huge);
  // A curve that is half on small pages would tell of neither.
  if (buffer.huge_bytes() * 10 < plan.set_bytes_max * 9)
    return {name, {}, "the kernel gave no transparent huge pages"};
  const auto sizes =
      set_sizes(first_set_bytes, plan.set_bytes_max, 2 * plan.line_bytes, plan.points_per_octave);
  return measure_curve(name, buffer.bytes(), sizes, {plan.line_bytes, plan.line_bytes}, plan,
                       progress);
}

latency_curve measure_small_pages(const machine_plan& plan, machine_progress& progress) {
  const test_buffer buffer(plan.set_bytes_max, page_wish::small);
  const auto sizes = set_sizes(first_set_bytes, plan.set_bytes_max, 2 * plan.line_bytes,
                               std::max(plan.points_per_octave / 2, 1));
  return measure_curve("small pages", buffer.bytes(), sizes, {plan.line_bytes, plan.line_bytes},
                       plan, progress);
}

latency_curve measure_page_walk(const machine_plan& plan, machine_progress& progress) {
  constexpr std::size_t pages_max = 16'384;
  const auto last = std::min(pages_max * plan.page_bytes, plan.set_bytes_max);
  const test_buffer buffer(last, page_wish::small);
  const auto sizes = set_sizes(8 * plan.page_bytes, last, plan.page_bytes,
                               std::max(plan.points_per_octave / 2, 2));
  return measure_curve("one line per page", buffer.bytes(), sizes,
                       {plan.page_bytes, plan.line_bytes}, plan, progress);
}

}  // namespace acre::tool
