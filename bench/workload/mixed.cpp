// A live set of mixed sizes in which random blocks are replaced: the steady state of most programs.
// Sizes are skewed to the small ones; each thread has its own set. With `filled=1` the sets are
// full before the first replacement, so that the cost of a step can be read at a known number of
// blocks.

#include "support.hpp"
#include "workload.hpp"

#include <array>

namespace acre::bench {
namespace {

constexpr std::array parameters{
    parameter{"threads", 1, 2},         parameter{"slots", 100000, 2000},
    parameter{"steps", 4000000, 20000}, parameter{"min", 16, 16},
    parameter{"max", 4096, 4096},       parameter{"filled", 0, 1}};

std::uint64_t replace(const arguments& given, random_source random) {
  off_heap_table<block> slots{given["slots"]};
  const std::size_t size_min = given["min"];
  const std::size_t size_max = given["max"];
  std::uint64_t sum = 0;
  if (given["filled"] != 0)
    for (block& slot : slots)
      slot = make_block(random.skewed(size_min, size_max), slots.size());
  const stopwatch clock;
  for (std::size_t step = given["steps"]; step != 0; --step) {
    block& slot = slots[random.below(slots.size())];
    sum += drop_block(slot);
    slot = make_block(random.skewed(size_min, size_max), step);
  }
  if (given["threads"] == 1)
    report("ns_per_step", clock.seconds() * 1e9 / static_cast<double>(given["steps"]));
  for (block& slot : slots)
    sum += drop_block(slot);
  return sum;
}

std::uint64_t run(const arguments& given) {
  return on_threads(given["threads"],
                    [&](std::size_t index) { return replace(given, random_source{index + 1}); });
}

}  // namespace

const workload mixed{"mixed", "random replacement in a live set of mixed sizes", parameters, run};

}  // namespace acre::bench
