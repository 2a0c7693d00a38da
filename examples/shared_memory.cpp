// One process fills a table and publishes it whole; another opens it by its name.
#include <acre/os/shared_memory.hpp>

#include <cstdio>
#include <new>
#include <string>

#include <sys/wait.h>
#include <unistd.h>

struct table {
  int rows;
  int values[1000];
};

int main() {
  using namespace acre::os;
  constexpr segment_layout layout{.version = 1, .layout_hash = layout_hash_of<table>()};
  const std::string name = "/acre-example-" + std::to_string(getpid());

  auto segment =
      shared_memory::prepare({.size_bytes = sizeof(table), .layout = layout, .permissions = 0600});
  if (!segment) {
    std::printf("no shared memory here: %s\n", segment.error().message().c_str());
    return 77;
  }
  auto* const made = new (segment->bytes().data()) table{};
  for (int& value : made->values)
    value = made->rows++;
  acre::or_throw(segment->publish(name.c_str()));  // whole from the first moment

  const pid_t child = fork();
  if (child == 0) {
    const auto opened = shared_memory::open(name.c_str(), layout, segment_access::read);
    if (!opened) _exit(1);
    const auto* const seen = reinterpret_cast<const table*>(opened->bytes().data());
    std::printf("the child sees %d rows; the owner is %s\n", seen->rows,
                *opened->is_owner_alive() == true ? "alive" : "gone");
    std::fflush(stdout);
    _exit(seen->rows == 1000 && seen->values[999] == 999 ? 0 : 1);
  }
  int status = 1;
  waitpid(child, &status, 0);
  const auto other = shared_memory::open(name.c_str(), {.version = 2, .layout_hash = 0});
  std::printf("version 2: %s\n", other.error().message().c_str());
  return status == 0 && !other ? 0 : 1;
}
