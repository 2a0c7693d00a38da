#pragma once

#include "tool/machine_measurement.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace acre::tool {

/// The logarithmic axes that the pictures of the latency curves share.
struct machine_scale {
  double size_first = 0;  ///< bytes
  double size_last = 0;
  double ns_first = 0;
  double ns_last = 0;

  /// Where a value lies, from 0 to 1.
  [[nodiscard]] double across(double size_bytes) const noexcept;
  [[nodiscard]] double up(double ns) const noexcept;

  /// Round values within the axes: 1, 2 and 5 times powers of ten; powers of four.
  [[nodiscard]] std::vector<double> ns_ticks() const;
  [[nodiscard]] std::vector<std::uint64_t> size_ticks() const;
};

/// Axes that hold both curves of working sets.
[[nodiscard]] machine_scale scale_for(const machine_measurement& measurement);

/// "32K", "1M".
[[nodiscard]] std::string short_bytes(std::uint64_t bytes);

}  // namespace acre::tool
