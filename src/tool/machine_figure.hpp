#pragma once

#include <cstddef>
#include <vector>

namespace acre::tool {

/// Repetitions of one measurement.
///
/// What disturbs a measurement only ever adds time, so for work of fixed cost the minimum is the
/// machine's own figure. For work whose cost varies by itself, as the kernel's, the median says
/// what to expect.
struct figure {
  double minimum = 0;
  double median = 0;
  double maximum = 0;
  std::size_t repetitions = 0;

  /// How far the median lies from the minimum, as a part of the minimum: noise.
  [[nodiscard]] double spread() const noexcept {
    return minimum > 0 ? (median - minimum) / minimum : 0;
  }
};

[[nodiscard]] figure summarize(std::vector<double> values);

}  // namespace acre::tool
