// Out of memory, cleanly: under a limit of address space malloc must end with null and ENOMEM, and
// once something was freed it must work again. The limit is set after start, as a program would.

#include "support.hpp"
#include "workload.hpp"

#include <array>
#include <cerrno>

#include <sys/resource.h>

namespace acre::bench {
namespace {

constexpr std::array parameters{parameter{"limit_mb", 200, 200}, parameter{"rounds", 3, 1}};

/// Allocates blocks of one size until there are no more; returns how many bytes that were.
std::size_t fill_up(off_heap_table<block>& blocks, std::size_t size_bytes) {
  std::size_t count = 0;
  for (errno = 0; count < blocks.size(); ++count) {
    void* data = std::malloc(size_bytes);
    if (data == nullptr) break;
    touch(data, size_bytes, 1);
    blocks[count] = {static_cast<std::uint8_t*>(data), size_bytes};
  }
  if (count == blocks.size()) die("the limit did not hold");
  if (errno != ENOMEM) die("malloc returned null without ENOMEM");
  return count * size_bytes;
}

std::uint64_t run(const arguments& given) {
  const rlim_t limit_bytes = given["limit_mb"] << 20U;
  off_heap_table<block> blocks{limit_bytes / 256};
  const rlimit limit{limit_bytes, limit_bytes};
  if (::setrlimit(RLIMIT_AS, &limit) != 0) die("setrlimit failed");
  std::size_t least_bytes = limit_bytes;
  std::uint64_t rounds = 0;
  for (; rounds < given["rounds"]; ++rounds) {
    for (const std::size_t size_bytes : {1000UL, 100000UL, 5000000UL}) {
      const std::size_t got_bytes = fill_up(blocks, size_bytes);
      if (got_bytes < least_bytes) least_bytes = got_bytes;
      for (block& each : blocks)
        drop_block(each);
    }
  }
  report("least_mb", static_cast<double>(least_bytes >> 20U));
  return rounds;
}

}  // namespace

const workload exhaustion{"exhaustion", "null and ENOMEM at a limit of address space", parameters,
                          run};

}  // namespace acre::bench
