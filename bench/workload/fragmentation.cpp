// Long life with changing sizes: fill, free a random 90 %, refill with blocks twice as large, and
// so on. The survivors sit everywhere, and what an allocator cannot reuse for the larger sizes is
// lost.

#include "support.hpp"
#include "workload.hpp"

#include <array>
#include <utility>

namespace acre::bench {
namespace {

constexpr std::array parameters{parameter{"phases", 8, 4}, parameter{"live_mb", 96, 4},
                                parameter{"freed", 90, 90}, parameter{"size", 32, 32}};

/// Moves a random `percent` of the first `count` blocks to the end and frees them there.
std::size_t free_random(off_heap_table<block>& blocks, std::size_t count, std::size_t percent,
                        random_source& random, std::size_t& live_bytes, std::uint64_t& sum) {
  const std::size_t survivors = count - count * percent / 100;
  for (; count > survivors; --count) {
    std::swap(blocks[random.below(count)], blocks[count - 1]);
    live_bytes -= blocks[count - 1].size_bytes;
    sum += drop_block(blocks[count - 1]);
  }
  return survivors;
}

std::uint64_t run(const arguments& given) {
  const std::size_t live_max = given["live_mb"] << 20U;
  std::size_t size_bytes = given["size"];
  off_heap_table<block> blocks{live_max / (size_bytes / 2)};
  random_source random{7};
  std::size_t count = 0;
  std::size_t live_bytes = 0;
  std::uint64_t sum = 0;
  for (std::size_t phase = 0; phase < given["phases"]; ++phase, size_bytes *= 2) {
    for (; live_bytes < live_max; live_bytes += blocks[count++].size_bytes)
      blocks[count] = make_block(random.between(size_bytes / 2, size_bytes * 3 / 2), count);
    count = free_random(blocks, count, given["freed"], random, live_bytes, sum);
  }
  report("rss_after_kib", static_cast<double>(resident_kib()));
  free_random(blocks, count, 100, random, live_bytes, sum);
  return sum;
}

}  // namespace

const workload fragmentation{"fragmentation", "phases of ever larger blocks between survivors",
                             parameters, run};

}  // namespace acre::bench
