// Blocks made in batches and freed in batches, in the order made, in reverse, and shuffled: a frame
// of a game, a parsed message, a query plan.

#include "support.hpp"
#include "workload.hpp"

#include <algorithm>
#include <array>
#include <utility>

namespace acre::bench {
namespace {

constexpr std::array parameters{parameter{"threads", 1, 2}, parameter{"rounds", 10000, 30},
                                parameter{"blocks", 2000, 500}, parameter{"min", 16, 16},
                                parameter{"max", 512, 512}};

std::uint64_t work(const arguments& given, random_source random) {
  off_heap_table<block> made{given["blocks"]};
  const std::size_t size_min = given["min"];
  const std::size_t size_max = given["max"];
  std::uint64_t sum = 0;
  for (std::size_t round = given["rounds"]; round != 0; --round) {
    for (block& each : made)
      each = make_block(random.skewed(size_min, size_max), round);
    if (round % 3 == 1) std::reverse(made.begin(), made.end());
    if (round % 3 == 2)
      for (std::size_t left = made.size(); left > 1; --left)
        std::swap(made[left - 1], made[random.below(left)]);
    for (block& each : made)
      sum += drop_block(each);
  }
  return sum;
}

std::uint64_t run(const arguments& given) {
  return on_threads(given["threads"],
                    [&](std::size_t index) { return work(given, random_source{index + 1}); });
}

}  // namespace

const workload batch{"batch", "batches freed in order, in reverse and shuffled", parameters, run};

}  // namespace acre::bench
