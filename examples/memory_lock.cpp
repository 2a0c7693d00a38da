// Memory that is never swapped out.
#include <acre/os/mapping.hpp>
#include <acre/os/memory_lock.hpp>

#include <cstdio>

int main() {
  using namespace acre::os;
  const mapping samples = acre::or_throw(mapping::anonymous(std::size_t{64} << 10U));
  const auto lock = memory_lock::lock(samples.bytes(), lock_time::on_fault);
  if (!lock) {
    // Names RLIMIT_MEMLOCK and its value where that is the cause.
    std::printf("not locked: %s\n", lock.error().message().c_str());
    return 77;
  }
  std::printf("%zu bytes are locked, %zu in the process\n", lock->pages().size(),
              locked_memory().value_or(0));
}
