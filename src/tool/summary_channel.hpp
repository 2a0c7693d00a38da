#pragma once

#include "tool/file_descriptor.hpp"

#include <string>
#include <vector>

#include <sys/types.h>

namespace acre::tool {

/// The file to which each process of a command appends lines of JSON, and which the tool reads.
///
/// It lives in memory and has no name in any folder; processes below the tool reach it through the
/// tool's /proc entry, so it needs no open descriptor in them and survives their exec.
class summary_channel {
 public:
  /// Throws:  error when the kernel gives no memory file.
  summary_channel();

  /// The value for option summary_path. Only processes of the same user can open it.
  [[nodiscard]] std::string path() const;

  /// The complete lines that were appended since the last call.
  [[nodiscard]] std::vector<std::string> read_new_lines();

 private:
  file_descriptor file_;
  off_t offset_ = 0;
  std::string unfinished_;
};

}  // namespace acre::tool
