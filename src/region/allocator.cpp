#include <acre/region/allocator.hpp>

#include "base/assert.hpp"

#include <cstdio>

namespace acre::region::detail {

void refuse_other_region(std::string_view own, std::string_view other) noexcept {
  char message[320];
  std::snprintf(message, sizeof message,
                "region '%.*s': a container was moved or swapped with one of region '%.*s'; copy "
                "its elements, or construct it in the region where it is to live",
                static_cast<int>(own.size()), own.data(), static_cast<int>(other.size()),
                other.data());
  base::fatal(message);
}

}  // namespace acre::region::detail
