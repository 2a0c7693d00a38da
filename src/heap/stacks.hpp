#pragma once

#include "heap/body.hpp"

/// What the bins' stacks may hold. All under the heap's lock, by the bins' owner.
namespace acre::heaps {

/// How many blocks a bin may cache while its class is little used.
[[nodiscard]] inline std::size_t idle_capacity(const class_shape& shape) noexcept {
  return shape.bytes > large_cached_bytes ? 1 : shape.cache_first;
}

[[nodiscard]] inline std::size_t capacity(const bin& b) noexcept {
  return static_cast<std::size_t>(b.end - b.base);
}

/// Sets up a bin that was never used.
void prepare_bin(heap_body& heap, bin& b) noexcept;

/// Lets a bin cache what one of a class that is little used may. Requires: it caches no more now.
void set_idle_capacity(heap_body& heap, bin& b) noexcept;

/// Lets a bin of blocks above `large_cached_bytes` cache so many. Requires: room for them, and it
/// caches no more now.
void set_large_capacity(heap_body& heap, bin& b, std::size_t blocks) noexcept;

/// Moves the stack of a class that is busy to its larger place in the heap's body.
void move_stack(heap_body& heap, bin& b) noexcept;

/// Lets the full stack of a class of blocks above `large_cached_bytes` hold half as many again, as
/// long as all such stacks of the heap then hold a small part of it. False if it may not.
[[nodiscard]] bool widen_large(heap_body& heap, bin& b) noexcept;

/// Gives back what such stacks hold that were widened. They may hold as much again, unless that is
/// more now than all of them may.
void flush_large(heap_body& heap) noexcept ACRE_REQUIRES(heap.lock);

}  // namespace acre::heaps
