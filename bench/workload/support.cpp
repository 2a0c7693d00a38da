#include "support.hpp"

#include "workload.hpp"

#include <cstdio>
#include <cstring>

#include <fcntl.h>
#include <unistd.h>

namespace acre::bench {

std::size_t arguments::operator[](std::string_view name) const {
  for (const parameter& one : values_)
    if (one.name == name) return static_cast<std::size_t>(one.value);
  die("a workload asked for a parameter that it does not have");
}

void report(const char* name, double value) {
  std::printf("%s %.6g\n", name, value);
}

long resident_kib() {
  // statm counts in batches per CPU on some kernels; smaps_rollup walks the pages and is exact.
  static char text[4096];
  const int file = ::open("/proc/self/smaps_rollup", O_RDONLY | O_CLOEXEC);
  if (file < 0) die("cannot open /proc/self/smaps_rollup");
  const ssize_t length = ::read(file, text, sizeof text - 1);
  ::close(file);
  text[length > 0 ? length : 0] = '\0';
  const char* line = std::strstr(text, "Rss:");
  return line == nullptr ? 0 : std::atol(line + 4);
}

}  // namespace acre::bench
