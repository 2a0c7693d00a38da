#pragma once

#include "heap/page_run.hpp"
#include "heap/size_class.hpp"
#include "os/lock.hpp"

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <iterator>

/// A heap's own memory: its bins (thread caches), its slabs' heads, its outgoing remote frees.
///
/// A bin is a stack of pointers to free blocks. Nothing is written into the blocks, so a stray
/// write of the program cannot reach the heap's structure, and refilling touches no block.
///
///     base          top                end
///      v             v                  v
///     [ ][ p ][ p ][ p ][   ][   ][   ]       top == base: empty; free pushes while top < end
///
/// malloc has one test: `grant`, the number of allocations until something must happen, counts
/// down. It is never more than the stack holds, and only frees change the stack otherwise, so it
/// also says "not empty". When it runs out the slow path looks at the stack again (most often
/// nothing is needed and a new grant begins), which gives exact counts of allocations and lets a
/// sampler end a grant at a byte count, at no instruction of the fast path.
namespace acre::heaps {

struct alignas(128) bin {
  void** top;          ///< the next block is *top, if top != base
  void** end;          ///< the last slot there is
  std::int32_t grant;  ///< allocations until the slow path must look; see above
  std::uint32_t seen_count;
  std::uint64_t granted;  ///< allocations granted since the start, with those left in `grant`
  void** base;
  std::uint8_t pressure;     ///< refills and flushes since the bin was set up or found idle
  std::uint8_t low;          ///< a stack of at most so many is refilled when its grant ends
  bool busy;                 ///< pressure has shown that more blocks are worth caching
  std::uint8_t keeps;        ///< blocks of other heaps, until so many overflows; see foreign.hpp
  std::uint32_t foreign;     ///< such blocks freed by the thread since `looked_at`
  std::uint64_t seen_bytes;  ///< sum of the sizes asked for on the slow path
  std::uint32_t stamp;       ///< how much the bin had been used when the sweep last came by
  std::uint32_t looked_at;   ///< `allocations` when it was last decided about foreign blocks
  void* first[8];
};
static_assert(sizeof(bin) == 128);

/// A size class's slabs in one heap. Apart from the bin, whose cache lines the owner's fast path
/// writes: this is written by whoever brings blocks back. Guarded by: the heap's lock.
struct class_slabs {
  run_index partial;           ///< first of the slabs with free slots; others peek (slab_list.hpp)
  run_index partial_last;      ///< last of these
  std::uint32_t pages;         ///< of all the class's slabs
  std::uint32_t free_slots;    ///< in all the class's slabs
  std::uint32_t visited_at;    ///< the bin's `allocations` at its last refill or flush
  std::uint16_t swing_blocks;  ///< what the bin caches at least, for what the class showed
  std::uint8_t early_visits;   ///< refills soon after a flush, or the reverse, less late ones
  bool was_refill;             ///< the last visit was one, not a flush
  bool rose;  ///< at the last refill hardly any block had been freed since the visit before
  bool fell;  ///< all flushes since then fit a fall: hardly more was taken than it had brought
};

struct heap_body;

/// Blocks on their way to another heap.
struct remote_batch {
  heap_body* target;
  std::uint32_t count;
  std::uint32_t filled;  ///< sum of the blocks' `batch_part`; sent when it is `remote_batch_full`
  void* blocks[remote_batch_most];
};
static_assert(sizeof(remote_batch) == 512);

inline constexpr unsigned remote_batch_count = 8;
inline constexpr std::size_t body_bytes = 131072;

/// Runs of up to so many pages may wait in a heap for its next slab, so that a class that fills and
/// empties slabs does not go to the page heap each time.
inline constexpr std::size_t spare_slab_pages_max = 16;

/// Words of a class's larger stack; 0 where the first, small one is all there is.
[[nodiscard]] constexpr std::size_t stack_words_of(const class_shape& shape) noexcept {
  const std::size_t most =
      std::max<std::size_t>({shape.cache_most, shape.swing_most, shape.widened_most});
  return most > 8 ? most : 0;
}
inline constexpr std::size_t stack_words = [] {
  std::size_t words = 0;
  for (const class_shape& shape : class_shapes)
    words += stack_words_of(shape);
  return words;
}();

/// Who uses a thread's heap, as far as others must know it; see idle.hpp. Guarded by the heap's
/// lock.
struct heap_owner {
  bin** current = nullptr;  ///< the owner's thread-local `current`; null: not to be taken
  std::int32_t process = 0;
  std::int32_t thread = 0;
  std::uint32_t visits = 0;  ///< the heap's, when it was last looked at
  bool taken = false;        ///< `*current` is `no_bins` until the owner comes back for its heap
  bool emptied = false;      ///< since it was taken
};

enum class body_kind : std::uint8_t {
  thread,  ///< used by one thread at a time, or idle
  common,  ///< used under its lock by threads that have no heap; owns the large blocks
  object,  ///< used under its lock; limited, and destroyed whole
};

/// Invariant:      aligned to `body_bytes`, so that a bin's address leads to it. A body made of
/// zero bytes
///                 is valid and empty (a bin is set up at its first use), so that a thread's heap
///                 touches only the pages it needs.
/// Thread-safety:  bins and batches belong to the owner thread, or for the other kinds to whoever
///                 holds the lock; slabs and their records are guarded by the lock.
struct alignas(body_bytes) heap_body {
  // Touched by other threads.
  os::lock lock;
  std::atomic<std::size_t> pages{0};  ///< pages of slabs and large blocks held
  alignas(64) std::int64_t bytes_until_event =
      0;                           ///< see hooks.hpp; counts only while hooks are set
  std::int64_t used_delta = 0;     ///< bytes taken from slabs, not yet added to the common count
  heap_body* next_all = nullptr;   ///< guarded by the registry's lock
  heap_body* next_idle = nullptr;  ///< guarded by the registry's lock
  bool idle = false;               ///< guarded by the registry's lock
  std::size_t left_bytes = 0;      ///< idle: what emptying it would free; registry's lock
  bool retired = false;            ///< a destroyed heap object; guarded by the registry's lock
  body_kind kind = body_kind::thread;
  std::uint8_t home = 0;  ///< of its pages; see page_heap.hpp
  run_index spare_slabs[spare_slab_pages_max] =
      {};                            ///< by length: runs kept for the next slab; guarded by lock
  std::size_t spare_pages = 0;       ///< pages of these; guarded by lock
  std::size_t free_bytes = 0;        ///< in slots of slabs; guarded by lock
  std::size_t given_bytes = 0;       ///< lately brought back to slabs; see slabs.cpp; by lock
  std::size_t emptied_bytes = 0;     ///< lately in slabs that became empty; by lock
  std::size_t left_empty_pages = 0;  ///< part of `pages_left_empty`; guarded by lock
  std::size_t large_bytes = 0;  ///< what stacks may hold for swings of blocks above 8 KiB; by lock
  std::size_t deep_bytes = 0;   ///< what the deep stacks (deep_stack.hpp) may hold; by lock
  std::uint32_t visits = 0;     ///< refills and flushes; guarded by lock
  heap_owner owner;             ///< thread: guarded by lock
  run_index owned = 0;          ///< object: all its runs; guarded by lock
  std::size_t limit_pages = 0;  ///< object: 0 is none
  /// Bins that are set up. Written by the owner alone (or under lock: objects and the common heap);
  /// others read it under lock, to find the bins whose slabs, guarded by lock, they visit. A bin
  /// that such a reader misses has no slab yet, so relaxed suffices.
  std::atomic<std::uint64_t> used_bins[(class_count + 63) / 64] = {};
  /// Classes of which blocks at more than their own size's alignment were asked for: they are given
  /// no block of another class. Guarded by lock.
  std::uint64_t aligned_classes[(class_count + 63) / 64] = {};
  bool borrows = false;        ///< a stack may hold blocks of another class; guarded by lock
  bool keeps_foreign = false;  ///< the stacks may hold blocks of other heaps; see foreign.hpp
  unsigned sweep_at = 0;       ///< the class at which the sweep goes on; see allocate.cpp
  std::atomic<std::size_t> large_allocations{0};
  std::atomic<std::size_t> large_live{0};
  std::atomic<std::size_t> large_live_pages{0};
  char name[32] = {};
  alignas(128) bin large_marker{};  ///< only its address is used: the owner of large blocks

  class_slabs slabs[class_count];  ///< guarded by lock
  alignas(128) bin bins[class_count];
  remote_batch batches[remote_batch_count];
  void* stacks[stack_words];
};
static_assert(sizeof(heap_body) == body_bytes);
/// The first page is never given back, so none of this is.
static_assert(offsetof(heap_body, slabs) + sizeof(heap_body::slabs) <= 4096);

/// Counts `count` more pages as the heap's, unless they would exceed its limit: a reservation that
/// several threads cannot make together. Whoever gets no pages after all counts them back.
[[nodiscard]] inline bool reserve_pages(heap_body& heap, std::size_t count) noexcept {
  std::size_t held = heap.pages.load(std::memory_order_relaxed);
  do {
    if (heap.limit_pages != 0 && (count > heap.limit_pages || held > heap.limit_pages - count))
      return false;
  } while (!heap.pages.compare_exchange_weak(held, held + count, std::memory_order_relaxed));
  return true;
}

inline void return_pages(heap_body& heap, std::size_t count) noexcept {
  heap.pages.fetch_sub(count, std::memory_order_relaxed);
}

[[nodiscard]] inline heap_body* body_of(const bin* b) noexcept {
  return reinterpret_cast<heap_body*>(reinterpret_cast<std::uintptr_t>(b) & ~(body_bytes - 1));
}

/// Where a bin lies in its heap's bins, in bytes; more than these take for any other address.
[[nodiscard]] inline std::size_t bin_offset(const bin* b) noexcept {
  return reinterpret_cast<std::uintptr_t>(b) % body_bytes - offsetof(heap_body, bins);
}

[[nodiscard]] inline bool is_large_marker(const bin* b) noexcept {
  return b == &body_of(b)->large_marker;
}

[[nodiscard]] inline bool is_used_bin(const heap_body& heap, unsigned size_class) noexcept {
  const std::uint64_t bits = heap.used_bins[size_class / 64].load(std::memory_order_relaxed);
  return (bits >> (size_class % 64) & 1U) != 0;
}

/// The class of the next bin that is set up, in a circle. Requires: there is one.
[[nodiscard]] inline unsigned next_used_bin(const heap_body& heap, unsigned size_class) noexcept {
  constexpr unsigned words = (class_count + 63) / 64;
  unsigned word = size_class / 64;
  const std::uint64_t above = ~std::uint64_t{1} << (size_class % 64);
  std::uint64_t bits = heap.used_bins[word].load(std::memory_order_relaxed) & above;
  while (bits == 0) {
    word = word + 1 == words ? 0 : word + 1;
    bits = heap.used_bins[word].load(std::memory_order_relaxed);
  }
  return word * 64 + static_cast<unsigned>(std::countr_zero(bits));
}

/// Calls `visit` for each bin that is set up, of the classes from `first` on; the others' memory is
/// not touched.
template <class Visit>
void for_each_used_bin(heap_body& heap, Visit visit, unsigned first = 0) noexcept {
  std::uint64_t wanted = ~std::uint64_t{0} << (first % 64);
  for (unsigned word = first / 64; word < (class_count + 63) / 64; ++word) {
    for (std::uint64_t bits = heap.used_bins[word].load(std::memory_order_relaxed) & wanted;
         bits != 0; bits &= bits - 1)
      visit(heap.bins[word * 64 + static_cast<unsigned>(std::countr_zero(bits))]);
    wanted = ~std::uint64_t{0};
  }
}

/// Allocations since the start, modulo 2^32.
[[nodiscard]] inline std::uint32_t allocations(const bin& b) noexcept {
  return static_cast<std::uint32_t>(b.granted) - static_cast<std::uint32_t>(b.grant);
}

[[nodiscard]] inline std::size_t cached(const bin& b) noexcept {
  return static_cast<std::size_t>(b.top - b.base);
}

/// A grant never exceeds what the stack holds: to be called when blocks were taken out of it.
inline void limit_grant(bin& b) noexcept {
  const auto left = static_cast<std::int32_t>(cached(b));
  if (b.grant <= left) return;
  b.granted -= static_cast<std::uint64_t>(b.grant - left);
  b.grant = left;
}

}  // namespace acre::heaps
