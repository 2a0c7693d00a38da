// A file as memory: written, grown, synced; and what happens when somebody truncates it.
#include <acre/os/file_mapping.hpp>

#include <array>
#include <cstdio>
#include <cstring>
#include <string>

#include <unistd.h>

int main() {
  using namespace acre::os;
  const std::string path = "acre-example-" + std::to_string(::getpid()) + ".log";
  file_mapping log = acre::or_throw(file_mapping::create(path.c_str(), 100));
  std::memcpy(log.data(), "first entry", 11);
  acre::or_throw(log.resize(100'000, resize_policy::may_move, file_space::sparse));
  std::memcpy(log.data() + 99'000, "last entry", 10);
  acre::or_throw(log.sync());

  // Another view, of an offset that is no multiple of a page.
  const file_mapping end = acre::or_throw(
      file_mapping::open(path.c_str(), file_access::read_only, {.offset_bytes = 99'000}));
  std::printf("the end: %.10s\n", reinterpret_cast<const char*>(end.data()));

  if (::truncate(path.c_str(), 10) != 0) return 1;
  std::array<std::byte, 10> copy{};
  const auto read = end.guarded_read(0, copy);
  std::printf("after a truncation: %s\n", read ? "still there" : read.error().message().c_str());
  acre::or_throw(log.close());
  return ::unlink(path.c_str());
}
