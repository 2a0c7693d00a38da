#pragma once

#include <string>

namespace acre::tool {

struct machine_request {
  std::string json_path;  ///< empty for none, "-" for standard output
  std::string svg_path;   ///< the same
  std::string html_path;  ///< the same
  bool is_quick = false;
  bool is_described_only = false;
};

/// The verb `machine`: the memory hierarchy of this machine, as described and as measured.
///
/// Returns:  0, or 1 when the machine was too noisy to trust the figures.
/// Throws:   error.
int machine(const machine_request& request);

}  // namespace acre::tool
