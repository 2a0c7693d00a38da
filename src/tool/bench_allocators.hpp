#pragma once

#include "tool/library.hpp"

#include <string>
#include <vector>

namespace acre::tool {

/// An allocator to compare: a library to preload; the C library's own has no path.
struct allocator {
  std::string name;
  std::string path;
};

/// Acre, the C library's allocator and every known one that is installed, in that order.
[[nodiscard]] std::vector<allocator> find_allocators(const library& acre);

}  // namespace acre::tool
