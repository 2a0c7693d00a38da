#include "base/assert.hpp"

#include <cstdlib>
#include <cstring>

#include <unistd.h>

namespace acre::base {

void fatal(const char* message) noexcept {
  // Plain writes: stdio could allocate, and we may be inside malloc.
  (void)!::write(STDERR_FILENO, "acre: ", 6);
  (void)!::write(STDERR_FILENO, message, std::strlen(message));
  (void)!::write(STDERR_FILENO, "\n", 1);
  std::abort();
}

}  // namespace acre::base
