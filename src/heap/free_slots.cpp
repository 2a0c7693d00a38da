#include "heap/free_slots.hpp"

#include "base/bits.hpp"
#include "heap/address_space.hpp"
#include "heap/body.hpp"
#include "heap/page_heap.hpp"
#include "heap/slabs.hpp"
#include "os/memory.hpp"

#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>

namespace acre::heaps {

namespace {

static_assert(
    [] {
      for (const class_shape& shape : class_shapes)
        if (shape.bytes >= page_bytes &&
            (shape.later_slab.blocks > 64 || shape.long_slab.blocks > 64))
          return false;
      return true;
    }(),
    "the free slots of a slab are in one word");

/// False when the kernel refuses, as for locked pages. Requires: the heap's lock.
bool purge_slots(const page_run& slab) noexcept {
  const std::size_t bytes = class_shapes[slab.size_class].bytes;
  std::byte* const start = space.address_of(slab.page);
  for (std::uint64_t bits = slab.free_bits[0]; bits != 0;) {
    const auto first = static_cast<unsigned>(std::countr_zero(bits));
    const auto count = static_cast<unsigned>(std::countr_one(bits >> first));
    const std::size_t begin = base::align_up(first * bytes, page_bytes);
    const std::size_t end = base::align_down((first + count) * bytes, page_bytes);
    if (begin < end && !os::purge(start + begin, end - begin)) return false;
    bits &= bits + (std::uint64_t{1} << first);  // The lowest stretch of ones goes.
  }
  return true;
}

/// False when there is a gate and the heap's lock is not free.
bool enter(heap_body& heap, os::lock* gate) noexcept ACRE_NO_THREAD_SAFETY_ANALYSIS {
  if (gate == nullptr) {
    heap.lock.acquire();
    return true;
  }
  gate->acquire();
  if (heap.lock.try_acquire()) return true;
  gate->release();
  return false;
}

/// The end of `enter`.
void leave(heap_body& heap, os::lock* gate) noexcept ACRE_NO_THREAD_SAFETY_ANALYSIS {
  heap.lock.release();
  if (gate != nullptr) gate->release();
}

}  // namespace

void purge_free_slots(os::lock* gate) noexcept {
  const std::size_t frontier = process_pages.counts().frontier;
  for (std::size_t page = 0; page < frontier; ++page) {
    const std::atomic_ref place(space.owner[page]);
    bin* const owner = place.load(std::memory_order_relaxed);
    if (owner == nullptr || is_large_marker(owner)) continue;
    heap_body& heap = *body_of(owner);
    if (class_shapes[class_of_bin(heap, *owner)].bytes < page_bytes) continue;
    if (!enter(heap, gate)) continue;
    bool refused = false;
    // The slab may have gone before the lock was there.
    if (place.load(std::memory_order_relaxed) == owner) {
      const page_run& slab = space.runs[space.run_of_page[page]];
      refused = !purge_slots(slab);
      page = std::size_t{slab.page} + slab.pages - 1;
    }
    leave(heap, gate);
    if (refused) return;
  }
}

}  // namespace acre::heaps
