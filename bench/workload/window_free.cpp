// Windows of blocks freed in part and in changing order. `sh6-like`: sizes rise pass by pass, the
// older half of the window is freed forwards, then backwards. `sh8-like`: sizes are mixed, runs of
// the window are freed at random places, and threads hand whole windows on. The patterns are those
// described for the SmartHeap benchmarks; the code is our own.

#include "support.hpp"
#include "workload.hpp"

#include <array>
#include <mutex>
#include <utility>

namespace acre::bench {
namespace {

constexpr std::array sh6_parameters{parameter{"threads", 1, 2}, parameter{"passes", 150, 1},
                                    parameter{"window", 60000, 1000}, parameter{"max", 1000, 1000}};
constexpr std::array sh8_parameters{parameter{"threads", 2, 2}, parameter{"passes", 800, 4},
                                    parameter{"window", 20000, 1000}, parameter{"max", 1000, 1000}};

std::uint64_t rising_pass(off_heap_table<block>& window, std::size_t size_max, bool forwards) {
  std::uint64_t sum = 0;
  std::size_t older = window.size() / 2;
  for (std::size_t size_bytes = 8; size_bytes <= size_max; size_bytes += size_bytes / 4 + 4) {
    for (std::size_t index = 0; index < older; ++index)
      sum += drop_block(window[forwards ? index : older - 1 - index]);
    for (std::size_t index = 0; index < window.size(); ++index)
      if (window[index].data == nullptr) window[index] = make_block(size_bytes, index);
    forwards = !forwards;
    older = window.size() / (size_bytes % 3 + 2);
  }
  for (block& each : window)
    sum += drop_block(each);
  return sum;
}

std::uint64_t run_sh6(const arguments& given) {
  return on_threads(given["threads"], [&](std::size_t) {
    off_heap_table<block> window{given["window"]};
    std::uint64_t sum = 0;
    for (std::size_t pass = 0; pass < given["passes"]; ++pass)
      sum += rising_pass(window, given["max"], pass % 2 == 0);
    return sum;
  });
}

/// Frees a run of the window at a random place, in one of two orders, and fills it again.
std::uint64_t replace_run(off_heap_table<block>& window, std::size_t size_max,
                          random_source& random) {
  std::uint64_t sum = 0;
  const std::size_t length = random.between(1, window.size() / 8);
  const std::size_t first = random.below(window.size() - length);
  const bool forwards = random.below(2) == 0;
  for (std::size_t index = 0; index < length; ++index)
    sum += drop_block(window[first + (forwards ? index : length - 1 - index)]);
  for (std::size_t index = first; index < first + length; ++index)
    window[index] = make_block(random.skewed(8, size_max), index);
  return sum;
}

std::uint64_t run_sh8(const arguments& given) {
  std::mutex lock;
  off_heap_table<block> common{given["window"] / 4};
  std::uint64_t sum = on_threads(given["threads"], [&](std::size_t thread) {
    off_heap_table<block> window{given["window"]};
    random_source random{thread + 1};
    std::uint64_t mine = 0;
    for (std::size_t pass = 0; pass < given["passes"]; ++pass) {
      for (std::size_t turn = 0; turn < 8; ++turn)
        mine += replace_run(window, given["max"], random);
      const std::scoped_lock hold{lock};
      for (std::size_t index = 0; index < common.size(); index += 4)
        std::swap(common[index], window[index]);
    }
    for (block& each : window)
      mine += drop_block(each);
    return mine;
  });
  for (block& each : common)
    sum += drop_block(each);
  return sum;
}

}  // namespace

const workload sh6_like{"sh6-like", "windows of rising sizes, freed in part", sh6_parameters,
                        run_sh6};
const workload sh8_like{"sh8-like", "windows of mixed sizes that threads hand on", sh8_parameters,
                        run_sh8};

}  // namespace acre::bench
