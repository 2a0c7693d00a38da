#pragma once

#include "heap/body.hpp"

#include <cstddef>
#include <cstdint>

/// Free slots that one size class of a heap lends another, before that takes pages. All under the
/// heap's lock; what is measured of it stands in docs/design/heap.md, "When a class borrows".
/// Small programs never come past `may_borrow`, so the rest lies with rarely used code (layout.ld).
namespace acre::heaps {

/// A class borrows nothing in a heap that holds less than this (2 MiB), or less free slots than
/// this part: smaller programs would pay for the search and gain little.
inline constexpr std::size_t lending_pages_min = 512;
inline constexpr std::size_t lending_part = 16;

/// Whether a class that needs pages looks for free slots elsewhere: the heap is large, much of it
/// is free in slabs, and no block of the class was asked for at more than its own alignment.
[[nodiscard]] inline bool may_borrow(const heap_body& heap, unsigned size_class) noexcept
    ACRE_REQUIRES(heap.lock) {
  const std::size_t pages = heap.pages.load(std::memory_order_relaxed);
  return heap.kind == body_kind::thread && pages >= lending_pages_min &&
         heap.free_bytes > pages * page_bytes / lending_part &&
         (heap.aligned_classes[size_class / 64] >> (size_class % 64) & 1U) == 0;
}

/// A slab with free slots of a somewhat larger class, or 0.
[[nodiscard]] run_index larger_lender(const heap_body& heap, unsigned size_class) noexcept
    ACRE_REQUIRES(heap.lock);

/// Takes up to `count` blocks over several slots of smaller classes, downwards from `to`, if a
/// quarter of the heap is free. Returns how many, and adds their size.
std::size_t take_wide_blocks(heap_body& heap, unsigned size_class, void** to, std::size_t count,
                             std::int64_t& taken_bytes) noexcept ACRE_REQUIRES(heap.lock);

}  // namespace acre::heaps
