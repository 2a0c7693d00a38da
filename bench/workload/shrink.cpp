// A program that once needed much and then little: fill, free all but a few percent in random
// order, and work on with the small set. Prints what is resident at each point.

#include "support.hpp"
#include "workload.hpp"

#include <array>
#include <utility>

namespace acre::bench {
namespace {

constexpr std::array parameters{parameter{"blocks", 800000, 20000}, parameter{"min", 16, 16},
                                parameter{"max", 1024, 1024}, parameter{"kept", 3, 3},
                                parameter{"steps", 2000000, 20000}};

std::uint64_t run(const arguments& given) {
  off_heap_table<block> blocks{given["blocks"]};
  const std::size_t size_min = given["min"];
  const std::size_t size_max = given["max"];
  random_source random{11};
  std::uint64_t sum = 0;
  for (block& each : blocks)
    each = make_block(random.skewed(size_min, size_max), blocks.size());
  report("rss_full_kib", static_cast<double>(resident_kib()));
  std::size_t count = blocks.size();
  for (const std::size_t kept = count * given["kept"] / 100; count > kept; --count) {
    std::swap(blocks[random.below(count)], blocks[count - 1]);
    sum += drop_block(blocks[count - 1]);
  }
  report("rss_shrunk_kib", static_cast<double>(resident_kib()));
  for (std::size_t step = given["steps"]; step != 0; --step) {
    block& slot = blocks[random.below(count)];
    sum += drop_block(slot);
    slot = make_block(random.skewed(size_min, size_max), step);
  }
  report("rss_later_kib", static_cast<double>(resident_kib()));
  for (std::size_t index = 0; index < count; ++index)
    sum += drop_block(blocks[index]);
  return sum;
}

}  // namespace

const workload shrink{"shrink", "much memory once, little for long after", parameters, run};

}  // namespace acre::bench
