#pragma once

#include <acre/result.hpp>

#include <string>

namespace acre::os {

/// The whole text of a file that the kernel makes up, such as those of /sys and /proc.
///
/// `name` is what the failure calls it: a literal. Throws: `std::bad_alloc`.
[[nodiscard]] result<std::string> read_whole_file(const char* path, const char* name);

}  // namespace acre::os
