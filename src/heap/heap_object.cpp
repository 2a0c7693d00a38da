#include "heap/heap_object.hpp"

#include "base/bits.hpp"
#include "heap/address_space.hpp"
#include "heap/allocate.hpp"
#include "heap/large.hpp"
#include "heap/owner.hpp"
#include "heap/page_heap.hpp"
#include "heap/purger.hpp"
#include "heap/registry.hpp"
#include "heap/slabs.hpp"
#include "heap/usage.hpp"

#include <algorithm>

namespace acre::heaps {

heap_body* make_object(std::string_view name, std::size_t limit_bytes) noexcept {
  heap_body* const heap = new_object_heap();
  if (heap == nullptr) return nullptr;
  heap->limit_pages = limit_bytes / page_bytes + (limit_bytes % page_bytes != 0 ? 1 : 0);
  const std::size_t kept = std::min(name.size(), sizeof heap->name - 1);
  std::copy_n(name.data(), kept, heap->name);
  heap->name[kept] = '\0';
  return heap;
}

void release_object(heap_body& heap) noexcept {
  {
    const os::hold guard(heap.lock);
    for_each_used_bin(heap, [&heap](bin& b) ACRE_NO_THREAD_SAFETY_ANALYSIS {
      b.granted -= static_cast<std::uint64_t>(std::max(b.grant, 0));
      b.grant = 0;
      b.top = b.base;
      heap.slabs[class_of_bin(heap, b)] = {};
    });
    while (heap.owned != 0) {
      const run_index run = heap.owned;
      page_run& r = space.runs[run];
      disown_run(heap, run);
      for (std::size_t page = r.page; page < std::size_t{r.page} + r.pages; ++page)
        set_owner(page, nullptr);
      if (state_of(r) == run_state::large) {
        used.add(-static_cast<std::int64_t>(r.pages * page_bytes));
      } else {
        const class_shape& shape = class_shapes[r.size_class];
        used.add(-static_cast<std::int64_t>(r.block_count - r.free_count) * shape.bytes);
      }
      process_pages.release(run);
    }
    heap.pages.store(0, std::memory_order_relaxed);
    heap.free_bytes = 0;
    heap.large_live.store(0, std::memory_order_relaxed);
    heap.large_live_pages.store(0, std::memory_order_relaxed);
  }
  purge_later();
}

void destroy_object(heap_body& heap) noexcept {
  release_object(heap);
  retire_object_heap(heap);
}

void* allocate_from_object(heap_body& heap, std::size_t size_bytes,
                           std::size_t alignment_bytes) noexcept {
  std::size_t bytes = size_bytes;
  if (alignment_bytes > 16) {
    bytes = aligned_bytes(size_bytes, alignment_bytes);
    if (bytes == 0)
      return allocate_large(heap, std::max<std::size_t>(size_bytes, 1),
                            std::max(alignment_bytes, page_bytes))
          .address;
  }
  if (bytes > class_bytes_max) return allocate_large(heap, bytes).address;
  return allocate_locked(heap, class_of(bytes), bytes);
}

void free_to_object(heap_body& heap, void* block) noexcept {
  bin* const owner = space.contains(block) ? space.owner[space.page_of(block)] : nullptr;
  if (owner == nullptr || body_of(owner) != &heap || is_large_marker(owner)) return release(block);
  const os::hold guard(heap.lock);
  give_locked(heap, *owner, block);
}

bool object_owns(const heap_body& heap, const void* address) noexcept {
  if (!space.contains(address)) return false;
  const std::size_t page = space.page_of(address);
  const bin* owner = space.owner[page];
  // Only the first page of a large block has an owner.
  if (owner == nullptr) {
    const owner_facts facts = owner_of(address);
    if (facts.kind == owner_kind::large) owner = space.owner[space.page_of(facts.block)];
  }
  return owner != nullptr && body_of(owner) == &heap;
}

object_counts count_object(heap_body& heap) noexcept {
  const os::hold guard(heap.lock);
  object_counts counts{
      .allocations = heap.large_allocations.load(std::memory_order_relaxed),
      .live_blocks = heap.large_live.load(std::memory_order_relaxed),
      .live_bytes = heap.large_live_pages.load(std::memory_order_relaxed) * page_bytes,
      .committed_bytes = heap.pages.load(std::memory_order_relaxed) * page_bytes};
  for_each_used_bin(heap, [&](bin& b) {
    counts.allocations += b.granted - static_cast<std::uint64_t>(std::max(b.grant, 0));
    counts.live_blocks -= cached(b);
    counts.live_bytes -= cached(b) * class_shapes[class_of_bin(heap, b)].bytes;
  });
  for (run_index run = heap.owned; run != 0; run = space.runs[run].owned_next) {
    const page_run& slab = space.runs[run];
    if (state_of(slab) != run_state::slab) continue;
    const class_shape& shape = class_shapes[slab.size_class];
    const std::size_t taken = static_cast<std::size_t>(slab.block_count - slab.free_count);
    counts.live_blocks += taken;
    counts.live_bytes += taken * shape.bytes;
  }
  return counts;
}

}  // namespace acre::heaps
