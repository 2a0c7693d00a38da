#include "heap/allocate.hpp"

#include "base/assert.hpp"
#include "base/bits.hpp"
#include "heap/deep_stack.hpp"
#include "heap/foreign.hpp"
#include "heap/fork.hpp"
#include "heap/hooks.hpp"
#include "heap/large.hpp"
#include "heap/misuse.hpp"
#include "heap/page_heap.hpp"
#include "heap/purger.hpp"
#include "heap/remote.hpp"
#include "heap/slabs.hpp"
#include "heap/stacks.hpp"
#include "heap/wide_block.hpp"
#include "os/memory.hpp"
#include "os/waiting_thread.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

namespace acre::heaps {

namespace {

/// Refills and flushes that show that a class is busy. More for large blocks, of which a busy class
/// caches two: it is swept before if it is used now and then only.
constexpr std::uint8_t busy_pressure = 4;
constexpr std::uint8_t large_busy_pressure = 16;

/// What a refill fills the stack up to, so that there is room for frees; never more blocks than a
/// busy class may have in any case, since what swings need comes back by itself.
[[nodiscard]] std::size_t refill_level(const bin& b, const class_shape& shape) noexcept {
  const std::size_t full = std::min<std::size_t>(capacity(b), shape.cache_most);
  return full > 8 ? full / 2 : full;
}

/// Sets what a busy class may cache: an eighth of what its slabs hold, so that a class of which the
/// program holds little does not hold more in its cache, and what its swings need.
void set_busy_capacity(const heap_body& heap, bin& b, const class_shape& shape) noexcept
    ACRE_REQUIRES(heap.lock) {
  constexpr std::size_t part = 8;
  const class_slabs& slabs = heap.slabs[class_of_bin(heap, b)];
  std::size_t blocks = std::clamp<std::size_t>(slabs.pages * page_bytes / part / shape.bytes,
                                               shape.cache_first, shape.cache_most);
  blocks = std::max<std::size_t>(blocks, slabs.swing_blocks);
  b.end = b.base + std::max(blocks, cached(b));
  const std::size_t low = std::max(blocks / 16, std::size_t{4}) - 1;
  // Below the level of a refill, or a stack just refilled would be looked at again at once.
  b.low = static_cast<std::uint8_t>(std::min({low, blocks / 2, refill_level(b, shape) - 1}));
}

/// Called at each refill and flush: a class with many of them caches more.
void press(heap_body& heap, bin& b) noexcept ACRE_REQUIRES(heap.lock) {
  const class_shape& shape = class_shapes[class_of_bin(heap, b)];
  const bool large = shape.bytes > large_cached_bytes;
  if (!b.busy) {
    if (++b.pressure < (large ? large_busy_pressure : busy_pressure)) return;
    b.busy = true;
    heap.slabs[class_of_bin(heap, b)].swing_blocks = 0;
    heap.slabs[class_of_bin(heap, b)].early_visits = 0;
    if (large) return set_large_capacity(heap, b, shape.cache_most);
    make_place(heap, b, shape.cache_most);
  } else if (large) {
    return;  // `widen_large` changes what it may cache.
  }
  if (!is_deep(heap, b)) set_busy_capacity(heap, b, shape);
}

/// Flushes a stack that was not used since the sweep last came by. A few allocations are no use for
/// large blocks: with many classes of them, two cached blocks each are megabytes. Fewer will do for
/// stacks that swings have widened: these have a bound in all, and are emptied before a slab makes
/// pages resident.
void sweep_bin(heap_body& heap, bin& b) noexcept ACRE_REQUIRES(heap.lock) {
  constexpr std::uint32_t few_large = 32;
  constexpr std::uint32_t few_widened = 4;
  const class_shape& shape = class_shapes[class_of_bin(heap, b)];
  const std::uint32_t few = capacity(b) > shape.cache_most ? few_widened : few_large;
  const std::uint32_t taken = allocations(b);
  const bool large = shape.bytes > large_cached_bytes;
  // A number that changes with every use, frees included.
  const std::uint32_t now = large ? taken : taken * 31 + static_cast<std::uint32_t>(cached(b)) + 1;
  // Swept before, and not used since.
  if (now == b.stamp && cached(b) == 0 && !b.busy && b.pressure == 0) return;
  if (large ? now - b.stamp < few : now == b.stamp) {
    flush_oldest(heap, b, cached(b));
    if (cached(b) > 0) return;  // Blocks of a heap that is in use just now.
    if (is_deep(heap, b))
      leave_deep_stack(heap, b);
    else
      set_idle_capacity(heap, b);
    b.stamp = large ? taken : taken * 31 + 1;
    return;
  }
  b.stamp = now;
}

/// Looks at the next of the heap's bins, at each refill and flush of any, so that a heap's caches
/// follow what the program does now. Where blocks are cached one by one nearly every allocation is
/// a refill: then at every fourth. Requires: the heap's lock.
void sweep(heap_body& heap, const bin& in_use) noexcept ACRE_REQUIRES(heap.lock) {
  constexpr std::uint8_t one_by_one_turns = 4;
  const bool one_by_one = in_use.end == in_use.base + 1;
  if (one_by_one && in_use.pressure % one_by_one_turns != 0) return;
  const unsigned c = next_used_bin(heap, heap.sweep_at);
  heap.sweep_at = c;
  if (&heap.bins[c] != &in_use) sweep_bin(heap, heap.bins[c]);
}

/// Whether the class may have a deep stack for its swings: all whose blocks are not cached one by
/// one.
[[nodiscard]] bool may_swing(unsigned size_class) noexcept {
  return class_shapes[size_class].bytes <= large_cached_bytes;
}

/// Allocations from the bin since its last refill or flush.
std::uint32_t taken_since_visit(class_slabs& slabs, const bin& b) noexcept {
  const std::uint32_t taken = allocations(b) - slabs.visited_at;
  slabs.visited_at += taken;
  return taken;
}

enum class visit : bool { flush, refill };

/// Lets the stack of a medium class hold half as many again that is refilled soon after a flush,
/// and the reverse, time after time: its blocks come and go at random. `since`: the allocations
/// since the visit before.
void widen_if_random(heap_body& heap, bin& b, visit now, std::size_t since) noexcept
    ACRE_REQUIRES(heap.lock) {
  constexpr std::size_t few = 8;
  constexpr std::uint8_t many_visits = 8;
  const class_shape& shape = class_shapes[class_of_bin(heap, b)];
  class_slabs& slabs = heap.slabs[class_of_bin(heap, b)];
  if (capacity(b) >= shape.widened_most || !b.busy) return;
  if (heap.kind != body_kind::thread) return;
  const bool is_refill = now == visit::refill;
  const bool turned = std::exchange(slabs.was_refill, is_refill) != is_refill;
  if (since >= few) {
    if (slabs.early_visits > 0) --slabs.early_visits;
    return;
  }
  if (!turned || ++slabs.early_visits < many_visits) return;
  slabs.early_visits = 0;
  (void)widen(heap, b);
}

/// Called before a refill.
void note_refill(heap_body& heap, bin& b) noexcept ACRE_REQUIRES(heap.lock) {
  const unsigned size_class = class_of_bin(heap, b);
  if (!may_swing(size_class)) return;
  class_slabs& slabs = heap.slabs[size_class];
  const std::size_t since = taken_since_visit(slabs, b);
  slabs.rose = since <= capacity(b) + capacity(b) / 4;
  slabs.fell = true;
  widen_if_random(heap, b, visit::refill, since);
}

/// What deep stacks may hold for the sake of swings. Less in a large heap: few small blocks keep
/// many slabs, and a database of 60 MB took 4 % more with 192 KiB.
[[nodiscard]] std::size_t swing_deep_room(const heap_body& heap) noexcept {
  constexpr std::size_t large_heap_pages = (std::size_t{8} << 20) / page_bytes;
  const bool large = heap.pages.load(std::memory_order_relaxed) > large_heap_pages;
  return std::size_t{large ? 64U : 192U} << 10;
}

/// Makes the stack of a class larger that swings: the thread took more than a stack full of its
/// blocks, and now frees so many that it is full. Where blocks come and go at random that would
/// save little. In a deep stack few blocks of a small class keep many slabs: so there the flushes
/// since the last refill must all fit a fall, unless the blocks are other heaps'. (The first may
/// come after half a stack full was taken: what the refill had brought.)
bool grow_if_swinging(heap_body& heap, bin& b, filled_with blocks) noexcept
    ACRE_REQUIRES(heap.lock) {
  const unsigned size_class = class_of_bin(heap, b);
  if (!may_swing(size_class)) return widen_large(heap, b);
  if (heap.kind != body_kind::thread) return false;
  class_slabs& slabs = heap.slabs[size_class];
  const std::size_t since = taken_since_visit(slabs, b);
  const bool falls = since <= capacity(b) / 4;
  slabs.fell = slabs.fell && since <= capacity(b) / 2;
  widen_if_random(heap, b, visit::flush, since);
  if (b.top < b.end) return true;
  if (!slabs.rose || !falls) return false;
  if (widen(heap, b)) return true;
  if (blocks == filled_with::foreign) return deepen(heap, b, foreign_deep_room(heap));
  return (slabs.fell || size_class >= small_class_count) && deepen(heap, b, swing_deep_room(heap));
}

/// Fills the stack up to its level. Requires: the heap's lock.
void refill(heap_body& heap, bin& b) noexcept ACRE_REQUIRES(heap.lock) {
  ++heap.visits;
  const bool frees_foreign = judge_foreign(heap, b);
  note_refill(heap, b);
  press(heap, b);
  sweep(heap, b);
  const std::size_t level = refill_level(b, class_shapes[class_of_bin(heap, b)]);
  if (cached(b) < level) (void)take_from_slabs(heap, b, level - cached(b), frees_foreign);
}

/// Starts a new grant and takes the first block of it. Requires: the stack is not empty.
void* grant_and_pop(heap_body& heap, bin& b, std::size_t size_bytes) noexcept {
  std::size_t count = cached(b);
  const hooks* const table = active_hooks.load(std::memory_order_acquire);
  if (table == nullptr) [[likely]] {
    b.granted += count;
    b.grant = static_cast<std::int32_t>(count) - 1;
    return pop(&b);
  }
  if (heap.bytes_until_event <= 0) heap.bytes_until_event = table->first_budget_bytes;
  const auto bytes = static_cast<std::int64_t>(class_shapes[class_of_bin(heap, b)].bytes);
  // The block that reaches the budget is the first of its own grant, so that it is seen here.
  const bool reached = heap.bytes_until_event <= bytes;
  const auto before_event = (heap.bytes_until_event - 1) / bytes;
  count = reached ? 1 : std::min(count, static_cast<std::size_t>(before_event));
  heap.bytes_until_event -= static_cast<std::int64_t>(count) * bytes;
  b.granted += count;
  b.grant = static_cast<std::int32_t>(count) - 1;
  void* const block = pop(&b);
  if (reached) heap.bytes_until_event = table->reached(block, size_bytes);
  return block;
}

/// What is left of a grant of before; null when that is nothing.
void* pop_granted(bin& b) noexcept {
  if (b.grant <= 0) return nullptr;
  --b.grant;
  return pop(&b);
}

/// Pages of its own for one small request: while a fork is pending.
void* allocate_pages(std::size_t size_bytes) noexcept {
  heap_body* const common = common_heap();
  if (common == nullptr) return nullptr;
  return allocate_large(*common, std::max<std::size_t>(size_bytes, 1)).address;
}

}  // namespace

void make_room(heap_body& heap, bin& b, filled_with blocks) noexcept {
  ++heap.visits;
  press(heap, b);
  sweep(heap, b);
  if (cached(b) < capacity(b)) return;
  if (grow_if_swinging(heap, b, blocks)) return;
  // Where blocks of other heaps come in, what overflows is little, and the rest soon needed again.
  constexpr std::size_t most = 256;
  const std::size_t count =
      blocks == filled_with::own ? (capacity(b) + 1) / 2 : std::min(capacity(b) / 4 + 1, most);
  flush_oldest(heap, b, count);
}

void* allocate_locked(heap_body& heap, unsigned size_class, std::size_t size_bytes) noexcept {
  bin& b = heap.bins[size_class];
  // A block of an object must be the object's own, so that its limit holds and it dies with it.
  if (heap.kind == body_kind::object)
    heap.lock.acquire();
  else if (!heap.lock.acquire_unless(fork_pending))
    return allocate_pages(size_bytes);
  if (b.base == nullptr) prepare_bin(heap, b);
  void* block = pop_granted(b);
  if (block == nullptr) {
    if (cached(b) == 0) refill(heap, b);
    if (cached(b) > 0) block = grant_and_pop(heap, b, size_bytes);
  }
  heap.lock.release();
  return block;
}

void give_locked(heap_body& heap, bin& b, void* block) noexcept {
  if (b.base == nullptr) prepare_bin(heap, b);
  if (b.top == b.end) make_room(heap, b);
  *++b.top = block;
}

void* allocate_slow(bin* b, std::size_t size_bytes) noexcept {
  // Not `current`: that may have become `no_bins` meanwhile; see idle.hpp.
  if (is_no_bin(b)) {
    const auto size_class = static_cast<unsigned>(b - no_bins);
    b->grant = 0;
    bin* const bins = attach_thread();
    if (bins == nullptr) {
      heap_body* const common = common_heap();
      return common == nullptr ? nullptr : allocate_locked(*common, size_class, size_bytes);
    }
    b = bins + size_class;
    // Of the thread before, or from before the heap was taken for idle.
    if (void* const block = pop_granted(*b); block != nullptr) return block;
  }
  heap_body& heap = *body_of(b);
  b->grant = 0;
  if (b->base == nullptr) prepare_bin(heap, *b);
  b->seen_bytes += size_bytes;
  ++b->seen_count;
  if (cached(*b) <= b->low) {
    if (!heap.lock.acquire_unless(fork_pending)) {
      if (cached(*b) == 0) return allocate_pages(size_bytes);
    } else {
      refill(heap, *b);
      heap.lock.release();
      purge_later();  // The sweep, and the search for pages, empty other stacks.
      if (cached(*b) == 0) return nullptr;
    }
  }
  return grant_and_pop(heap, *b, size_bytes);
}

void* allocate_huge(std::size_t size_bytes) noexcept {
  heap_body* const common = common_heap();
  return common == nullptr ? nullptr : allocate_large(*common, size_bytes).address;
}

namespace {

void* medium_or_huge(std::size_t size_bytes) noexcept {
  return allocate_medium<allocate_slow, allocate_huge>(size_bytes);
}

void* any_size(std::size_t size_bytes) noexcept {
  return allocate<allocate_slow, medium_or_huge>(size_bytes);
}

}  // namespace

void* allocate_any(std::size_t size_bytes) noexcept {
  return any_size(size_bytes);
}

namespace {

/// A block of the class's own slabs instead of `other`, which another class lent and which is not
/// aligned. From now on the class borrows nothing.
void* allocate_own_class(unsigned size_class, void* other) noexcept {
  heap_body* const heap = own_heap();
  void* block = nullptr;
  if (heap != nullptr && heap->lock.acquire_unless(fork_pending)) {
    block = take_own(*heap, heap->bins[size_class]);
    heap->lock.release();
  } else {
    // A page's start is aligned enough.
    block = allocate_pages(class_bytes(size_class));
  }
  release(other);
  return block;
}

}  // namespace

void* allocate_aligned(std::size_t size_bytes, std::size_t alignment_bytes) noexcept {
  if (const std::size_t bytes = aligned_bytes(size_bytes, alignment_bytes); bytes != 0) {
    void* const block = allocate<allocate_slow, medium_or_huge>(bytes);
    if (is_aligned(block, alignment_bytes)) [[likely]]
      return block;
    return allocate_own_class(class_of(bytes), block);
  }
  heap_body* const common = common_heap();
  if (common == nullptr) return nullptr;
  return allocate_large(*common, std::max<std::size_t>(size_bytes, 1),
                        std::max(alignment_bytes, page_bytes))
      .address;
}

namespace {

/// Clears a large block whose pages were used before. A big one of which few pages were ever
/// touched (a sparse table) would become resident whole: its pages go back to the kernel instead.
void clear(void* block, std::size_t size_bytes) noexcept {
  constexpr std::size_t sparse_bytes_min = std::size_t{1} << 20;
  auto* const pages = static_cast<std::byte*>(block);
  const std::size_t bytes = base::align_up(size_bytes, page_bytes);
  if (bytes >= sparse_bytes_min && !os::has_sandbox_handler() &&
      os::resident_bytes(pages, bytes) < bytes / 2 && os::purge(pages, bytes))
    return;
  std::memset(block, 0, size_bytes);
}

}  // namespace

void* allocate_zeroed(std::size_t size_bytes) noexcept {
  if (size_bytes <= class_bytes_max) {
    void* const block = any_size(size_bytes);
    if (block != nullptr) std::memset(block, 0, size_bytes);
    return block;
  }
  heap_body* const common = common_heap();
  if (common == nullptr) return nullptr;
  const large_block block = allocate_large(*common, size_bytes);
  if (block.address != nullptr && !block.reads_zero) clear(block.address, size_bytes);
  return block.address;
}

namespace {

/// Parks half of a full stack: each batch that is parked takes a page of the lane.
void park_newest(bin& b, void* block) noexcept {
  const std::size_t count = (cached(b) + 1) / 2;
  if (count == 0) {
    (void)park_blocks(&block, 1);
    return;
  }
  (void)park_blocks(b.top - count + 1, count);
  b.top -= count;
  limit_grant(b);
  *++b.top = block;
}

}  // namespace

void release_full(bin* b, void* block) noexcept {
  heap_body& heap = *body_of(b);
  if (b->base == nullptr) prepare_bin(heap, *b);
  if (cached(*b) == capacity(*b)) {
    if (!heap.lock.acquire_unless(fork_pending)) {
      park_newest(*b, block);
      return;
    }
    make_room(heap, *b);
    heap.lock.release();
    purge_later();
    // All that it holds is of heaps that are in use just now: wait for them.
    if (cached(*b) == capacity(*b)) [[unlikely]]
      send_foreign_home(heap);
  }
  *++b->top = block;
}

void release_other(bin* owner, void* block) noexcept {
  bin* const own = current_bins();
  // The marker of large blocks lies outside the bins, and so does null, of a page without an owner.
  if (own == no_bins || bin_offset(owner) >= sizeof(heap_body::bins)) [[unlikely]]
    return release_rare(block);
  heap_body& from = *body_of(own);
  remote_batch& batch = batch_for(from, *owner);
  // Every way on from here is a jump, so that the usual ones save no registers. A batch's target is
  // known to be no heap object.
  if (batch.target != body_of(owner)) return free_remote(from, *owner, block);
  if (bin* const keeper = willing_keeper_of(from, *owner); keeper != nullptr)
    return keep_foreign(from, *keeper, *owner, block);
  add_to_batch(batch, *owner, block);
  if (is_full(batch)) [[unlikely]]
    send_batch(batch);
}

void release_rare(void* block) noexcept {
  if (block == nullptr) return;
  if (!space.contains(block)) return report_misuse(misuse::not_ours, block);
  const std::size_t page = space.page_of(block);
  bin* const owner = space.owner[page];
  if (process_pages.skipped_bytes(page) != 0) return;
  if (owner == nullptr) return report_misuse(misuse::never_allocated, block);
  if (is_large_marker(owner)) {
    if (reinterpret_cast<std::uintptr_t>(block) % page_bytes != 0)
      return report_misuse(misuse::interior, block);
    return free_large(block);
  }
  // A thread whose first call this is, or whose heap was taken. The heap that it gets may be the
  // block's own.
  if (current_bins() == no_bins) {
    if (attach_thread() == nullptr) return free_direct(*owner, block);
    purge_later();  // What it frees now may fit its caches, and it may wait again.
  }
  release(block);
}

std::size_t usable_bytes(const void* block) noexcept {
  if (!space.contains(block)) {
    report_misuse(misuse::not_ours, block);
    return 0;
  }
  const std::size_t page = space.page_of(block);
  bin* const owner = space.owner[page];
  if (owner == nullptr || is_large_marker(owner)) {
    if (const std::size_t bytes = process_pages.skipped_bytes(page); bytes != 0) return bytes;
  }
  if (owner == nullptr) {
    report_misuse(misuse::never_allocated, block);
    return 0;
  }
  if (is_large_marker(owner)) {
    if (reinterpret_cast<std::uintptr_t>(block) % page_bytes == 0) return large_bytes(block);
    report_misuse(misuse::interior, block);
    return 0;
  }
  const std::size_t slot_bytes = class_shapes[class_of_bin(*body_of(owner), *owner)].bytes;
  if (further_table.load(std::memory_order_relaxed) == nullptr) [[likely]]
    return slot_bytes;
  const page_run& slab = space.runs[space.run_of_page[page]];
  if (!may_hold_wide(slab)) return slot_bytes;
  return slots_of_block(slab, slot_of(slab, block)) * slot_bytes;
}

void* reallocate(void* block, std::size_t size_bytes) noexcept {
  const std::size_t old_bytes = usable_bytes(block);
  if (old_bytes == 0) return nullptr;  // Misuse, reported.
  const std::size_t page = space.page_of(block);
  const bool was_large = is_large_marker(space.owner[page]);
  if (was_large && size_bytes > class_bytes_max && process_pages.skipped_bytes(page) == 0) {
    if (void* const resized = resize_large(block, size_bytes); resized != nullptr) return resized;
  } else if (!was_large && size_bytes <= class_bytes_max &&
             class_bytes(class_of(size_bytes)) <= old_bytes &&
             old_bytes <= class_bytes(class_of(size_bytes)) * 5 / 4) {
    return block;
  }
  void* const fresh = any_size(size_bytes);
  if (fresh == nullptr) return nullptr;
  std::memcpy(fresh, block, std::min(old_bytes, size_bytes));
  release(block);
  return fresh;
}

}  // namespace acre::heaps
