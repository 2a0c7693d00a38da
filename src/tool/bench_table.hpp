#pragma once

#include "tool/bench_allocators.hpp"
#include "tool/bench_measure.hpp"
#include "tool/bench_rows.hpp"
#include "tool/ink.hpp"

#include <optional>
#include <string>
#include <vector>

namespace acre::tool {

/// The middle of several runs and how far they lie apart.
struct figure_summary {
  double median = 0;
  double spread = 0;  ///< (largest - smallest) / median
};

/// All runs of one row under one allocator.
struct bench_cell {
  std::vector<measurement> runs;

  /// Why it has no figures; empty when it has.
  [[nodiscard]] std::string problem() const;
  [[nodiscard]] figure_summary summary(double measurement::* figure) const;
};

/// The results: one line per row, one cell per allocator.
struct bench_results {
  std::vector<allocator> allocators;
  std::vector<bench_row> rows;
  std::vector<std::vector<bench_cell>> cells;

  /// Marks the runs whose checksum is not that of most allocators; such an allocator has handed
  /// out a byte twice.
  void compare_checksums();
  /// Whether the first allocator failed somewhere.
  [[nodiscard]] bool has_first_failed() const;
};

/// Tables of ratios to the best of each row, for CPU time and for peak RSS, with geometric means,
/// and a note when runs lie far apart.
[[nodiscard]] std::string format_bench(const bench_results& results, const ink& colours);

/// All figures as one JSON object.
[[nodiscard]] std::string format_bench_json(const bench_results& results);

}  // namespace acre::tool
