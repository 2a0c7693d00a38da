// Threads with live sets of their own that now and then swap a block with a table they share, so a
// part of the frees is remote and lands at no particular thread.

#include "support.hpp"
#include "workload.hpp"

#include <array>
#include <atomic>

namespace acre::bench {
namespace {

constexpr std::array parameters{parameter{"threads", 2, 2},     parameter{"slots", 20000, 500},
                                parameter{"shared", 2000, 100}, parameter{"steps", 3000000, 20000},
                                parameter{"swaps", 10, 10},     parameter{"max", 2048, 2048}};

/// A block begins with its size, because a swapped one comes from anywhere.
struct sized {
  std::size_t size_bytes;
};

sized* make(std::size_t size_bytes, std::uint64_t tag) {
  auto* made = reinterpret_cast<sized*>(make_block(size_bytes, tag).data);
  made->size_bytes = size_bytes;
  return made;
}

std::uint64_t drop(sized* old) {
  if (old == nullptr) return 0;
  const std::uint64_t sum =
      old->size_bytes + reinterpret_cast<std::uint8_t*>(old)[old->size_bytes - 1];
  std::free(old);
  return sum;
}

std::uint64_t replace(off_heap_table<std::atomic<sized*>>& shared, const arguments& given,
                      random_source random) {
  off_heap_table<sized*> slots{given["slots"]};
  const std::size_t size_max = given["max"];
  const std::size_t swaps_percent = given["swaps"];
  std::uint64_t sum = 0;
  for (std::size_t step = given["steps"]; step != 0; --step) {
    sized*& slot = slots[random.below(slots.size())];
    sum += drop(slot);
    slot = make(random.skewed(16, size_max), step);
    if (random.below(100) < swaps_percent)
      slot = shared[random.below(shared.size())].exchange(slot, std::memory_order_acq_rel);
  }
  for (sized* slot : slots)
    sum += drop(slot);
  return sum;
}

std::uint64_t run(const arguments& given) {
  off_heap_table<std::atomic<sized*>> shared{given["shared"]};
  std::uint64_t sum = on_threads(given["threads"], [&](std::size_t index) {
    return replace(shared, given, random_source{index + 1});
  });
  for (auto& slot : shared)
    sum += drop(slot.load(std::memory_order_relaxed));
  return sum;
}

}  // namespace

const workload exchange{"exchange", "live sets that swap blocks through a shared table", parameters,
                        run};

}  // namespace acre::bench
