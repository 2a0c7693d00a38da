#pragma once

#include "heap/body.hpp"

#include <cstddef>

/// Blocks of whole pages: more than `class_bytes_max`, or aligned to more than a page.
namespace acre::heaps {

struct large_block {
  void* address = nullptr;
  bool reads_zero = false;
};

/// Null address when out of memory. Requires: size_bytes > 0; alignment_bytes is a power of two.
[[nodiscard]] large_block allocate_large(heap_body& owner, std::size_t size_bytes,
                                         std::size_t alignment_bytes = page_bytes) noexcept;

/// Requires: `block` is the first byte of a page whose owner is a large marker.
void free_large(void* block) noexcept;

/// Bytes of the large block at `block`. Requires: as for free_large.
[[nodiscard]] std::size_t large_bytes(const void* block) noexcept;

/// Grows or shrinks in place, or moves pages without copying. Null when none of these can be done:
/// the block is then unchanged. Requires: as for free_large; size_bytes > class_bytes_max.
[[nodiscard]] void* resize_large(void* block, std::size_t size_bytes) noexcept;

}  // namespace acre::heaps
