#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace acre::tool {

/// One line of the comparison: fixed work that is run under each allocator.
struct bench_row {
  std::string name;
  std::vector<std::string> command;  ///< a program of its own, or what acre-workloads takes
  bool is_workload = true;
  int repeat = 1;  ///< how often it runs in one measurement
};

enum class bench_extent : bool { quick, full };

[[nodiscard]] std::vector<bench_row> bench_rows(bench_extent extent);

/// The rows with these names, or of the groups with these names: "larson" is "larson-1" too.
///
/// Throws:  error for a name that no row has.
[[nodiscard]] std::vector<bench_row> choose_rows(const std::vector<std::string>& names);

}  // namespace acre::tool
