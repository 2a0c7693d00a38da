#include "heap/lending.hpp"

#include "base/bits.hpp"
#include "heap/address_space.hpp"
#include "heap/slab_list.hpp"
#include "heap/wide_block.hpp"

namespace acre::heaps {

namespace {

/// Whether so much of the heap is free in slabs that it is worth a search.
[[nodiscard]] bool has_much_free(const heap_body& heap) noexcept ACRE_REQUIRES(heap.lock) {
  return heap.free_bytes > heap.pages.load(std::memory_order_relaxed) * page_bytes / 4;
}

/// Whether more than half of what a class holds is free: the program needs it no more.
[[nodiscard]] bool is_sparse(const class_slabs& slabs, std::size_t bytes) noexcept {
  return std::size_t{slabs.free_slots} * bytes > slabs.pages * page_bytes / 2;
}

/// Takes blocks of `slots` slots each from a class that is mostly free, downwards from `to`.
/// Returns how many. Slabs without such a gap go to the end of the list; a few of them are looked
/// at.
std::size_t take_wide_of_class(heap_body& heap, unsigned size_class, unsigned slots, void** to,
                               std::size_t count) noexcept ACRE_REQUIRES(heap.lock) {
  constexpr unsigned misses_most = 4;
  class_slabs& slabs = heap.slabs[size_class];
  std::size_t taken = 0;
  for (unsigned misses = 0; misses < misses_most && slabs.partial != 0;) {
    if (!is_sparse(slabs, class_shapes[size_class].bytes)) break;
    const run_index run = slabs.partial;
    page_run& slab = space.runs[run];
    if (!may_hold_wide(slab) && !prepare_wide(slab)) break;
    const std::size_t more = take_wide(slab, slots, to - taken, count - taken);
    slabs.free_slots -= static_cast<std::uint32_t>(more * slots);
    taken += more;
    if (slab.free_count == 0) unlist_slab(slabs, run);
    if (taken == count || run == slabs.partial_last) break;
    if (slab.free_count != 0) rotate_slabs(slabs);
    misses = more == 0 ? misses + 1 : 0;
  }
  return taken;
}

}  // namespace

run_index larger_lender(const heap_body& heap, unsigned size_class) noexcept {
  const std::size_t most = class_shapes[size_class].lent_most;
  for (unsigned c = size_class + 1; c < class_count && class_shapes[c].bytes <= most; ++c)
    if (heap.slabs[c].partial != 0) return heap.slabs[c].partial;
  return 0;
}

std::size_t take_wide_blocks(heap_body& heap, unsigned size_class, void** to, std::size_t count,
                             std::int64_t& taken_bytes) noexcept {
  if (!has_much_free(heap)) return 0;
  constexpr unsigned slots_most = 4;
  const std::size_t bytes = class_shapes[size_class].bytes;
  std::size_t taken = 0;
  for (unsigned c = size_class; c-- > 1 && taken < count;) {
    const std::size_t slot_bytes = class_shapes[c].bytes;
    const std::size_t slots = base::divide_up(bytes, slot_bytes);
    if (slots > slots_most) break;
    if (slots * slot_bytes > class_shapes[size_class].lent_most) continue;
    const std::size_t more =
        take_wide_of_class(heap, c, static_cast<unsigned>(slots), to - taken, count - taken);
    taken_bytes += static_cast<std::int64_t>(more * slots * slot_bytes);
    taken += more;
  }
  heap.borrows = heap.borrows || taken > 0;
  return taken;
}

}  // namespace acre::heaps
