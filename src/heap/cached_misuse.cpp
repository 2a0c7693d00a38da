#include "heap/address_space.hpp"
#include "heap/misuse.hpp"
#include "heap/registry.hpp"

#include <sys/single_threaded.h>

// Apart from the other checks: every program looks back when it ends.
namespace acre::heaps {

namespace {

/// Looks through the caches of a heap that no other thread uses.
bad_free find_in(heap_body& heap) noexcept {
  bad_free found;
  // A signal handler that interrupted this very heap may be what calls exit.
  if (!heap.lock.try_acquire()) return found;
  // Each cached block's bit is set for the time of the search: a second copy finds it set.
  const auto each_cached = [&heap, &found](auto visit) ACRE_NO_THREAD_SAFETY_ANALYSIS {
    for_each_used_bin(heap, [&](bin& b) {
      for (void** slot = b.base + 1; slot <= b.top; ++slot) {
        const std::size_t page = space.page_of(*slot);
        const bin* const owner = space.owner[page];
        // Another heap's bits are guarded by its own lock.
        if (owner == nullptr || is_large_marker(owner) || body_of(owner) != &heap) continue;
        page_run& slab = space.runs[space.run_of_page[page]];
        if (!starts_slot(slab, *slot)) {
          found = {misuse::interior, *slot};
          continue;
        }
        const std::size_t index = slot_of(slab, *slot);
        visit(slab.free_bits[index / 64], std::uint64_t{1} << (index % 64), *slot);
      }
    });
  };
  each_cached([&](std::uint64_t& bits, std::uint64_t bit, const void* block) {
    if ((bits & bit) != 0) found = {misuse::double_free, block};
    bits |= bit;
  });
  each_cached([](std::uint64_t& bits, std::uint64_t bit, const void*) { bits &= ~bit; });
  heap.lock.release();
  return found;
}

}  // namespace

bad_free find_cached_misuse() noexcept {
  // Nothing was ever allocated; the heap's own data, which nothing has read so far, stay unread.
  if (__libc_single_threaded != 0 && never_had_heap()) return {};
  heap_body* const own = own_heap_to_lock();
  bad_free found = own != nullptr ? find_in(*own) : bad_free{};
  if (found.address != nullptr) return found;
  // What threads that ended have left.
  (void)try_each_heap(
      [](heap_body& heap, void* context) noexcept {
        auto& found_there = *static_cast<bad_free*>(context);
        if (heap.idle && found_there.address == nullptr) found_there = find_in(heap);
      },
      &found);
  return found;
}

}  // namespace acre::heaps
