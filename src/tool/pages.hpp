#pragma once

#include <chrono>
#include <optional>
#include <string>

namespace acre::tool {

struct pages_request {
  std::string target;     ///< a process number, or "self"
  std::string selector;   ///< which mappings; empty for all
  std::string json_path;  ///< empty for none, "-" for standard output
  std::string svg_path;
  std::string png_path;
  std::optional<std::chrono::milliseconds> working_set_time;
};

/// The verb `pages`: what the pages of a process are, one by one.
///
/// Returns:  the exit code.
/// Throws:   error.
int pages(const pages_request& request);

}  // namespace acre::tool
