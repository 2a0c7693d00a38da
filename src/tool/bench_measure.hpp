#pragma once

#include <chrono>
#include <string>
#include <vector>

namespace acre::tool {

/// What one run used.
struct measurement {
  double cpu_s = 0;
  double wall_s = 0;
  double peak_bytes = 0;
  int status = 0;         ///< exit code, or 128 + signal
  std::string last_line;  ///< of what it printed, if it failed
  std::string checksum;   ///< what a workload printed; the same for every allocator
  bool was_preloaded = true;
};

/// Runs a command with a library preloaded (none when empty) through acre-measure, which is small
/// enough that its own memory does not count in the command's peak.
///
/// Throws:  error when acre-measure cannot be run, or when the user interrupts.
[[nodiscard]] measurement measure(const std::string& measure_program, const std::string& preload,
                                  const std::vector<std::string>& command, int repeat,
                                  std::chrono::seconds timeout);

}  // namespace acre::tool
