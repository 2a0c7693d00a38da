#pragma once

#include "heap/body.hpp"

#include <cstddef>
#include <string_view>

/// Heaps as objects: bodies that any thread uses under their lock. What acre::heap is made of.
namespace acre::heaps {

struct object_counts {
  std::size_t allocations = 0, live_blocks = 0, live_bytes = 0, committed_bytes = 0;
};

/// Null when out of memory. A limit of 0 is none; it is rounded up to pages.
[[nodiscard]] heap_body* make_object(std::string_view name, std::size_t limit_bytes) noexcept;

/// Frees every block. Requires: no other thread uses the heap.
void release_object(heap_body& heap) noexcept;
void destroy_object(heap_body& heap) noexcept;

[[nodiscard]] void* allocate_from_object(heap_body& heap, std::size_t size_bytes,
                                         std::size_t alignment_bytes) noexcept;
void free_to_object(heap_body& heap, void* block) noexcept;

[[nodiscard]] bool object_owns(const heap_body& heap, const void* address) noexcept;
[[nodiscard]] object_counts count_object(heap_body& heap) noexcept;

}  // namespace acre::heaps
