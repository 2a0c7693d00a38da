#include "tool/machine_scale.hpp"

#include <algorithm>
#include <array>
#include <cmath>

#include <fmt/format.h>

namespace acre::tool {

double machine_scale::across(double size_bytes) const noexcept {
  return std::log(size_bytes / size_first) / std::log(size_last / size_first);
}

double machine_scale::up(double ns) const noexcept {
  return std::log(ns / ns_first) / std::log(ns_last / ns_first);
}

std::vector<double> machine_scale::ns_ticks() const {
  std::vector<double> ticks;
  for (double decade = 0.1; decade < ns_last; decade *= 10)
    for (const double factor : {1.0, 2.0, 5.0})
      if (const double tick = decade * factor; tick >= ns_first * 0.999 && tick <= ns_last * 1.001)
        ticks.push_back(tick);
  return ticks;
}

std::vector<std::uint64_t> machine_scale::size_ticks() const {
  std::vector<std::uint64_t> ticks;
  for (std::uint64_t size = 4096; static_cast<double>(size) <= size_last; size *= 4)
    if (static_cast<double>(size) >= size_first) ticks.push_back(size);
  return ticks;
}

machine_scale scale_for(const machine_measurement& measurement) {
  machine_scale scale{4096, 8192, 1, 2};
  double lowest = 1e9;
  for (const auto* curve : {&measurement.huge_pages, &measurement.small_pages}) {
    for (const auto& point : curve->points) {
      scale.size_last = std::max(scale.size_last, static_cast<double>(point.size_bytes));
      scale.ns_last = std::max(scale.ns_last, point.latency_ns.minimum * 1.15);
      lowest = std::min(lowest, point.latency_ns.minimum);
    }
  }
  scale.ns_first = std::min(scale.ns_first, lowest * 0.85);
  return scale;
}

std::string short_bytes(std::uint64_t bytes) {
  constexpr std::array units{"", "K", "M", "G", "T"};
  auto value = static_cast<double>(bytes);
  std::size_t unit = 0;
  for (; value >= 1000 && unit + 1 < units.size(); ++unit)
    value /= 1024;
  return fmt::format("{:.3g}{}", value, units[unit]);
}

}  // namespace acre::tool
