#pragma once

#include "heap/size_class.hpp"

#include <array>
#include <cstddef>
#include <cstdint>

namespace acre::heaps {

/// Of one class. A block counts where its slab is; an allocation, where its size belongs: they
/// differ for what a class borrowed (see slabs.cpp).
struct class_counts {
  std::size_t allocations = 0;
  std::size_t in_slabs = 0;  ///< slots that are out of the slabs: live, cached or on their way
  std::size_t cached = 0;    ///< blocks in stacks and batches
  /// Slots beyond the first of their block (see wide_block.hpp), of `in_slabs` and of `cached`.
  std::size_t further = 0, cached_further = 0;
  std::size_t slab_slots = 0;                  ///< all slots of all slabs
  std::size_t seen_bytes = 0, seen_count = 0;  ///< requests seen on slow paths

  [[nodiscard]] std::size_t live() const noexcept { return in_slabs - further - cached; }
  [[nodiscard]] std::size_t cached_slots() const noexcept { return cached + cached_further; }
  [[nodiscard]] std::size_t live_slots() const noexcept { return in_slabs - cached_slots(); }
};

/// Counts over all heaps; exact while no thread allocates or frees, else a moment's estimate.
///
/// Equation: frees = allocations - live, since every block is live from its one allocation to its
/// one free.
struct heap_counts {
  std::array<class_counts, class_count> classes{};
  std::size_t large_allocations = 0, large_live = 0, large_live_pages = 0;
  std::size_t retired_allocations = 0;  ///< of heap objects that are gone
  std::size_t slab_pages = 0;
  std::size_t live_pages = 0, dirty_pages = 0;
  std::size_t metadata_bytes = 0;
  std::size_t peak_bytes = 0;
  std::size_t threads = 0, threads_peak = 0;
};

/// Fills `counts`; takes the heaps' locks one by one. Cost: a pass over the slabs' records.
void collect(heap_counts& counts) noexcept;

/// Waits until each lock that `collect` takes has been free once: then the calling thread holds
/// none of them. False after `patience_ms`: other threads hold one for moments only, so the caller
/// is a signal handler that has interrupted the heap.
[[nodiscard]] bool wait_until_collectable(long patience_ms) noexcept;

/// Allocations and live blocks of one class alone.
[[nodiscard]] class_counts collect_class(unsigned size_class) noexcept;

/// Checks every slab and run; false when something does not fit. Other threads must not allocate.
[[nodiscard]] bool check_invariants() noexcept;

}  // namespace acre::heaps
