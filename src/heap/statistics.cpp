#include "heap/statistics.hpp"

#include "heap/address_space.hpp"
#include "heap/page_heap.hpp"
#include "heap/past_counts.hpp"
#include "heap/registry.hpp"
#include "heap/slabs.hpp"
#include "heap/usage.hpp"
#include "heap/wide_block.hpp"
#include "os/background_thread.hpp"
#include "os/memory.hpp"

#include <algorithm>
#include <bit>

namespace acre::heaps {

namespace {

/// A block that waits in a stack or a batch. It may be sent meanwhile, and its page be of another
/// use: a large block's, or none.
void add_cached(heap_counts& counts, const void* block) noexcept {
  if (!space.contains(block)) return;
  const std::size_t page = space.page_of(block);
  const bin* const owner = space.owner[page];
  if (owner == nullptr || is_large_marker(owner)) return;
  class_counts& c = counts.classes[static_cast<std::size_t>(owner - body_of(owner)->bins)];
  ++c.cached;
  const page_run& slab = space.runs[space.run_of_page[page]];
  if (may_hold_wide(slab)) c.cached_further += slots_of_block(slab, slot_of(slab, block)) - 1;
}

/// `cached` for a bin that its thread may be setting up just now.
std::size_t cached_by_others(const bin& b) noexcept {
  void** const base = b.base;
  void** const top = b.top;
  return base == nullptr || top < base ? 0 : static_cast<std::size_t>(top - base);
}

void add_stack(heap_counts& counts, const bin& b) noexcept {
  const std::size_t count = cached_by_others(b);
  for (std::size_t i = 1; i <= count; ++i)
    add_cached(counts, b.base[i]);
}

void add_heap(heap_body& heap, void* context) noexcept {
  auto& counts = *static_cast<heap_counts*>(context);
  const os::hold guard(heap.lock);
  for_each_used_bin(heap, [&](bin& b) {
    class_counts& c = counts.classes[static_cast<std::size_t>(&b - heap.bins)];
    c.allocations += b.granted - static_cast<std::uint64_t>(std::max(b.grant, 0));
    if (!heap.borrows && !heap.keeps_foreign)
      c.cached += cached_by_others(b);
    else
      add_stack(counts, b);
    c.seen_bytes += b.seen_bytes;
    c.seen_count += b.seen_count;
  });
  for (const remote_batch& batch : heap.batches)
    for (std::size_t i = 0; i < batch.count; ++i)
      add_cached(counts, batch.blocks[i]);
  counts.large_allocations += heap.large_allocations.load(std::memory_order_relaxed);
  counts.large_live += heap.large_live.load(std::memory_order_relaxed);
  counts.large_live_pages += heap.large_live_pages.load(std::memory_order_relaxed);
  // A body's own pages are live pages of the page heap; about what a small one touches.
  counts.metadata_bytes += 3 * page_bytes;
}

/// All slabs, by walking the pages. A slab that appears or goes meanwhile is counted or not.
void add_slabs(heap_counts& counts, std::size_t frontier) noexcept {
  for (std::size_t page = 0; page < frontier;) {
    const page_run& run = space.runs[space.run_of_page[page]];
    if (state_of(run) == run_state::slab && run.page == page) {
      class_counts& c = counts.classes[run.size_class];
      c.slab_slots += run.block_count;
      c.in_slabs += static_cast<std::size_t>(run.block_count - run.free_count);
      if (may_hold_wide(run)) c.further += count_further_slots(run);
      counts.slab_pages += run.pages;
    }
    page += std::max<std::size_t>(run.page == page ? run.pages : 1, 1);
  }
}

void add_past(heap_counts& counts) noexcept ACRE_REQUIRES(past_lock) {
  for (unsigned size_class = 0; size_class < class_count; ++size_class) {
    const past_count& past = past_counts[size_class];
    class_counts& c = counts.classes[size_class];
    c.allocations += past.allocations;
    c.seen_bytes += past.seen_bytes;
    c.seen_count += past.seen_count;
  }
}

/// The end of a wait; polls, since the time that this may take is lost at a program's end.
struct deadline {
  long end_ms = 0;

  template <class Condition>
  [[nodiscard]] bool sees(Condition condition) const noexcept {
    while (!condition()) {
      if (os::now_ms() >= end_ms) return false;
      os::background_thread::sleep_ms(1);
    }
    return true;
  }
};

struct heaps_seen {
  deadline until;
  bool all_free = true;
};

void see_heap(heap_body& heap, void* context) noexcept {
  auto& seen = *static_cast<heaps_seen*>(context);
  seen.all_free = seen.all_free && seen.until.sees([&] { return heap.lock.is_free(); });
}

}  // namespace

bool wait_until_collectable(long patience_ms) noexcept {
  heaps_seen seen{.until = {.end_ms = os::now_ms() + patience_ms}};
  return seen.until.sees([] { return past_lock.is_free(); }) &&
         seen.until.sees([] { return process_pages.is_unlocked(); }) &&
         seen.until.sees([&seen] { return try_each_heap(see_heap, &seen); }) && seen.all_free;
}

void collect(heap_counts& counts) noexcept {
  if (common_heap() == nullptr) return;
  {
    // No heap's counts become past ones meanwhile: each is added once.
    const os::hold guard(past_lock);
    for_each_heap(add_heap, &counts);
    add_past(counts);
  }
  const page_counts page_figures = process_pages.counts();
  add_slabs(counts, page_figures.frontier);
  // Moments differ while threads run; a count never wraps.
  for (class_counts& c : counts.classes) {
    c.further = std::min(c.further, c.in_slabs);
    c.cached = std::min(c.cached, c.in_slabs - c.further);
    c.cached_further = std::min(c.cached_further, c.in_slabs - c.cached);
  }
  counts.live_pages = page_figures.live;
  counts.dirty_pages = page_figures.dirty;
  counts.metadata_bytes += page_figures.runs * sizeof(page_run) +
                           page_figures.frontier * (sizeof(bin*) + sizeof(run_index));
  counts.retired_allocations = retired_allocations();
  counts.peak_bytes = static_cast<std::size_t>(used.peak_bytes.load(std::memory_order_relaxed));
  const thread_counts threads = count_threads();
  counts.threads = threads.now;
  counts.threads_peak = threads.peak;
}

class_counts collect_class(unsigned size_class) noexcept {
  heap_counts counts;
  collect(counts);
  return counts.classes[size_class];
}

namespace {

bool slab_is_sound(const page_run& slab) noexcept {
  const class_shape& shape = class_shapes[slab.size_class];
  unsigned bits = 0;
  for (const std::uint64_t word : slab.free_bits)
    bits += static_cast<unsigned>(std::popcount(word));
  if (bits != slab.free_count || slab.free_count > slab.block_count) return false;
  if (std::size_t{slab.block_count} * shape.bytes > slab.pages * page_bytes) return false;
  const bin* const owner = space.owner[slab.page];
  for (std::size_t page = slab.page; page < std::size_t{slab.page} + slab.pages; ++page)
    if (space.owner[page] != owner || &space.runs[space.run_of_page[page]] != &slab) return false;
  return owner == body_of(owner)->bins + slab.size_class;
}

void check_heap(heap_body& heap, void* context) noexcept {
  bool& sound = *static_cast<bool*>(context);
  const os::hold guard(heap.lock);
  for_each_used_bin(heap, [&](bin& b) {
    sound = sound && b.top >= b.base && b.top <= b.end &&
            b.grant <= static_cast<std::int32_t>(cached(b));
    for (run_index run = heap.slabs[class_of_bin(heap, b)].partial; run != 0;
         run = space.runs[run].next)
      sound = sound && space.runs[run].listed && space.owner[space.runs[run].page] == &b;
    // A cached block is out of its slab and at the start of a slot.
    for (void** slot = b.base + 1; sound && slot <= b.top; ++slot) {
      const page_run& slab = space.runs[space.run_of_page[space.page_of(*slot)]];
      const std::size_t index = slot_of(slab, *slot);
      sound = starts_slot(slab, *slot) && (slab.free_bits[index / 64] >> (index % 64) & 1U) == 0 &&
              !(may_hold_wide(slab) && is_further_slot(slab, index));
    }
  });
}

}  // namespace

bool check_invariants() noexcept {
  if (common_heap() == nullptr) return true;
  bool sound = process_pages.check_invariants();
  const std::size_t frontier = process_pages.counts().frontier;
  for (std::size_t page = 0; sound && page < frontier;) {
    const page_run& run = space.runs[space.run_of_page[page]];
    if (state_of(run) == run_state::slab) sound = slab_is_sound(run);
    page += run.pages;
  }
  for_each_heap(check_heap, &sound);
  return sound;
}

}  // namespace acre::heaps
