#pragma once

#include <string>
#include <vector>

namespace acre::tool {

struct bench_request {
  std::vector<std::string> command;     ///< compare on this instead of on the built-in rows
  std::vector<std::string> rows;        ///< names; empty for all
  std::vector<std::string> allocators;  ///< names; empty for all that are installed
  std::string json_path;                ///< empty for none, "-" for standard output
  int repetitions = 0;                  ///< 0 for the usual
  bool is_quick = false;
};

/// The verb `bench`: compares Acre with the allocators that are installed, on this machine.
///
/// Returns:  0, or 1 when a row failed on Acre.
/// Throws:   error.
int bench(const bench_request& request);

}  // namespace acre::tool
