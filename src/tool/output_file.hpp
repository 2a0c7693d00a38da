#pragma once

#include "tool/file_descriptor.hpp"

#include <string>
#include <string_view>

namespace acre::tool {

/// Writes all of `text`; false when the file took no more.
bool write_all(int file, std::string_view text) noexcept;

/// A file that was named on the command line for the tool to write; "-" is standard output.
class output_file {
 public:
  /// Throws:  error when it cannot be opened.
  explicit output_file(const std::string& path);
  /// Throws:  error when not all could be written.
  void write(std::string_view text) const;

 private:
  std::string name_;  ///< for errors
  file_descriptor file_;
};

}  // namespace acre::tool
