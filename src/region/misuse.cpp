#include "region/misuse.hpp"

#include "base/assert.hpp"

#include <cstdio>

namespace acre::region {

void misuse(std::string_view name, std::string_view what) noexcept {
  char message[320];
  std::snprintf(message, sizeof message, "region '%.*s': %.*s", static_cast<int>(name.size()),
                name.data(), static_cast<int>(what.size()), what.data());
  base::fatal(message);
}

}  // namespace acre::region
