#pragma once

#include <chrono>
#include <string>
#include <vector>

namespace acre::tool {

struct run_request {
  std::vector<std::string> command;  ///< the program's name and its arguments
  std::vector<std::string> options;  ///< of the library, each "name=value"
  std::string json_path;             ///< empty for none, "-" for standard output
  std::chrono::milliseconds stats_interval{0};
  bool is_quiet = false;
  bool is_first_only = false;
};

/// The verb `run`: runs a command on Acre's heap and tells what memory it used.
///
/// Returns:  the command's exit code, or 128 + the signal that killed it.
/// Throws:   error before the command was started, or when the JSON file could not be written.
int run(const run_request& request);

}  // namespace acre::tool
