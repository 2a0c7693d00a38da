#include "tool/machine_levels.hpp"

#include <algorithm>
#include <cmath>
#include <string>

namespace acre::tool {
namespace {

// A curve counts as rising where it gains more than this in a doubling of the working set. Noise
// and the slow growth on a plateau, as more and more of it is far away, stay below; a level's end
// is above.
constexpr double slope_min = 0.6;  // in powers of two
constexpr double rise_min = 1.33;
/// Still on the plateau: no more than this above it.
constexpr double plateau_tolerance = 1.15;
/// Slopes are taken over at least so many doublings, so that one point's noise is no slope.
constexpr double window = 0.45;
/// Measured and described sizes within this are taken for the same, in powers of two.
constexpr double distance_max = 1.0;

double octaves(const curve_point& left, const curve_point& right) {
  return std::log2(static_cast<double>(right.size_bytes) / static_cast<double>(left.size_bytes));
}

bool is_rising(const std::vector<curve_point>& points, std::size_t index) {
  auto other = index + 1;
  while (other < points.size() && octaves(points[index], points[other]) < window)
    ++other;
  if (other >= points.size()) return false;
  const double gain =
      std::log2(points[other].latency_ns.minimum / points[index].latency_ns.minimum);
  return gain / octaves(points[index], points[other]) > slope_min;
}

/// Where the latency, on its way from `first` to `last`, passes `ns`; between two points on a
/// logarithmic scale.
std::uint64_t crossing(const std::vector<curve_point>& points, std::size_t first, std::size_t last,
                       double ns) {
  auto above = first;
  while (above < last && points[above].latency_ns.minimum < ns)
    ++above;
  if (above == first) return points[first].size_bytes;
  const auto& left = points[above - 1];
  const auto& right = points[above];
  const double part = std::log(ns / left.latency_ns.minimum) /
                      std::log(right.latency_ns.minimum / left.latency_ns.minimum);
  return static_cast<std::uint64_t>(static_cast<double>(left.size_bytes) *
                                    std::exp2(octaves(left, right) * std::clamp(part, 0.0, 1.0)));
}

/// Takes over what is described with about `measured`, if it is nearer than what the step has.
void offer_cause(curve_step& step, double measured, const std::string& cause,
                 std::uint64_t described, std::uint64_t shown) {
  const auto distance_to = [&](double size) { return std::abs(std::log2(measured / size)); };
  const double distance = distance_to(static_cast<double>(described));
  if (distance > distance_max || distance >= step.cause_distance) return;
  step.cause = cause;
  step.described = shown;
  step.cause_distance = distance;
}

/// A cache ends once: of the steps that took the same one, the nearest keeps it.
void settle_claims(std::vector<curve_step>& steps) {
  for (auto& step : steps) {
    const bool is_beaten = std::ranges::any_of(steps, [&](const curve_step& other) {
      return other.cause == step.cause && other.cause_distance < step.cause_distance;
    });
    if (is_beaten) step.cause.clear();
  }
}

bool is_for_data(const tlb_facts& tlb) {
  return tlb.kind != "instruction" && tlb.pages.starts_with("4K");
}

}  // namespace

std::vector<curve_step> find_steps(const std::vector<curve_point>& points) {
  std::vector<curve_step> steps;
  for (std::size_t index = 0; index < points.size(); ++index) {
    if (!is_rising(points, index)) continue;
    auto last = index;
    while (is_rising(points, last + 1))
      ++last;
    // The last slope that counted reaches to the end of its window.
    auto end = last + 1;
    while (end + 1 < points.size() && octaves(points[last], points[end]) < window)
      ++end;
    const double before = points[index].latency_ns.minimum;
    const double after = points[end].latency_ns.minimum;
    if (after >= before * rise_min) {
      auto flat = index;
      while (flat < end && points[flat + 1].latency_ns.minimum <= before * plateau_tolerance)
        ++flat;
      steps.push_back({.flat_bytes = points[flat].size_bytes,
                       .size_bytes = crossing(points, index, end, std::sqrt(before * after)),
                       .before_ns = before,
                       .after_ns = after});
    }
    index = end;
  }
  return steps;
}

void name_steps(std::vector<curve_step>& steps, const std::vector<cache_facts>& caches) {
  for (auto& step : steps)
    for (const auto& cache : caches)
      offer_cause(step, static_cast<double>(step.size_bytes), cache.name, cache.size_bytes,
                  cache.size_bytes);
  settle_claims(steps);
  for (auto& step : steps) {
    if (!step.cause.empty()) continue;
    // A cache that has no step of its own, and is larger: only a part of it was there for us.
    for (const auto& cache : caches) {
      if (cache.size_bytes < step.size_bytes ||
          std::ranges::find(steps, cache.name, &curve_step::cause) != steps.end())
        continue;
      step.cause = cache.name;
      step.described = cache.size_bytes;
      step.is_part = true;
      break;
    }
  }
}

void name_page_steps(std::vector<curve_step>& steps, const machine_description& machine) {
  // A step may be a TLB's as well as a cache's: with one of them unknown there is no telling.
  if (std::ranges::none_of(machine.tlbs, is_for_data)) return;
  const auto page_bytes = machine.memory.page_bytes;
  for (auto& step : steps) {
    const auto pages = static_cast<double>(step.size_bytes) / static_cast<double>(page_bytes);
    for (const auto& tlb : machine.tlbs) {
      if (!is_for_data(tlb)) continue;
      offer_cause(step, pages, "entries of the TLB of level " + std::to_string(tlb.level),
                  tlb.entries, tlb.entries);
    }
    for (const auto& cache : caches_here(machine)) {
      if (cache.line_bytes == 0) continue;
      const auto lines = cache.size_bytes / cache.line_bytes;
      offer_cause(step, pages, "lines of " + cache.name, lines, lines);
    }
  }
  settle_claims(steps);
}

std::vector<level_latency> find_levels(const std::vector<curve_point>& points,
                                       const std::vector<curve_step>& steps,
                                       const std::vector<cache_facts>& caches) {
  const auto median_between = [&](double from, double to) -> std::optional<double> {
    std::vector<double> values;
    for (const auto& point : points) {
      const auto size = static_cast<double>(point.size_bytes);
      if (size >= from && size <= to) values.push_back(point.latency_ns.minimum);
    }
    if (values.empty()) return {};
    return summarize(std::move(values)).median;
  };
  std::vector<level_latency> levels;
  double before = 0;
  for (const auto& cache : caches) {
    const auto size = static_cast<double>(cache.size_bytes);
    const auto step = std::ranges::find(steps, cache.name, &curve_step::cause);
    // Where only a part of the cache was to be had, what is behind that part is not the cache.
    const double end = step == steps.end() ? size : std::min(size, double(step->size_bytes));
    levels.push_back({cache.name, median_between(2 * before, 0.75 * end)});
    before = size;
  }
  levels.push_back({"memory", median_between(4 * before, INFINITY)});
  return levels;
}

}  // namespace acre::tool
