#include "tool/ink.hpp"

#include <cstdlib>

#include <unistd.h>

namespace acre::tool {

ink ink_for(int file) noexcept {
  const char* const refusal = std::getenv("NO_COLOR");
  const char* const terminal = std::getenv("TERM");
  const bool is_refused = refusal != nullptr && *refusal != '\0';
  const bool is_dumb = terminal == nullptr || std::string_view(terminal) == "dumb";
  if (is_refused || is_dumb || ::isatty(file) == 0) return {};
  return {.heading = "\x1b[1m",
          .alarm = "\x1b[1;31m",
          .first = "\x1b[34m",
          .second = "\x1b[33m",
          .faint = "\x1b[2m",
          .end = "\x1b[0m"};
}

}  // namespace acre::tool
