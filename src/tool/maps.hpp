#pragma once

#include "tool/snapshot.hpp"

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

namespace acre::tool {

/// By what the rows are in order.
enum class maps_order : std::uint8_t { address, size, rss, pss, swap, dirty };

struct maps_request {
  std::string target;          ///< a process number, "self", or a file that --json wrote; "-" is
                               ///< that file on standard input
  std::string proc = "/proc";  ///< where the process file system is mounted
  std::optional<maps_order> order;  ///< by address, or with `diff` by what is resident, when empty
  bool is_all = false;              ///< every mapping has its own row
  std::string json_path;            ///< empty for none, "-" for standard output
  std::string html_path;
  std::string diff;  ///< a time to wait, or a file as above; empty for none
  std::chrono::milliseconds watch_interval{0};
};

/// The verb `maps`: the memory of a process, mapping by mapping, as the textbook draws it.
///
/// Returns:  the exit code.
/// Throws:   error.
int maps(const maps_request& request);

}  // namespace acre::tool
