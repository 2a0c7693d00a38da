#include "heap/address_space.hpp"
#include "heap/registry.hpp"
#include "heap/statistics.hpp"

// Apart from the other figures: every program looks back when it ends.
namespace acre::heaps {

namespace {

/// A block that lies twice in the caches of a heap that no other thread uses, or null.
const void* find_in(heap_body& heap) noexcept {
  const void* found = nullptr;
  // A signal handler that interrupted this very heap may be what calls exit.
  if (!heap.lock.try_acquire()) return nullptr;
  // Each cached block's bit is set for the time of the search: a second copy finds it set.
  const auto each_cached = [&heap](auto visit) ACRE_NO_THREAD_SAFETY_ANALYSIS {
    for_each_used_bin(heap, [&](bin& b) {
      for (void** slot = b.base + 1; slot <= b.top; ++slot) {
        const std::size_t page = space.page_of(*slot);
        const bin* const owner = space.owner[page];
        // Another heap's bits are guarded by its own lock.
        if (owner == nullptr || is_large_marker(owner) || body_of(owner) != &heap) continue;
        page_run& slab = space.runs[space.run_of_page[page]];
        const std::size_t index = slot_of(slab, *slot);
        visit(slab.free_bits[index / 64], std::uint64_t{1} << (index % 64), *slot);
      }
    });
  };
  each_cached([&](std::uint64_t& bits, std::uint64_t bit, const void* block) {
    if ((bits & bit) != 0) found = block;
    bits |= bit;
  });
  each_cached([](std::uint64_t& bits, std::uint64_t bit, const void*) { bits &= ~bit; });
  heap.lock.release();
  return found;
}

}  // namespace

const void* find_double_free() noexcept {
  const void* found = own_heap_to_lock() != nullptr ? find_in(*own_heap_to_lock()) : nullptr;
  if (found != nullptr) return found;
  // What threads that ended have left.
  (void)try_each_heap(
      [](heap_body& heap, void* context) noexcept {
        auto& found_there = *static_cast<const void**>(context);
        if (heap.idle && found_there == nullptr) found_there = find_in(heap);
      },
      &found);
  return found;
}

}  // namespace acre::heaps
