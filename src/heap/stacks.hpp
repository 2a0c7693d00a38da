#pragma once

#include "heap/body.hpp"

#include <algorithm>
#include <cstddef>

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

/// Moves what a stack holds to where another begins; see body.hpp. Its end is the caller's to set.
inline void move_to(bin& b, void** base) noexcept {
  const std::size_t count = cached(b);
  std::copy(b.base + 1, b.top + 1, base + 1);
  b.base = base;
  b.top = base + count;
}

/// Moves a stack to its larger place in the heap's body if it is still where it first was, and that
/// is too small for so many blocks.
void make_place(heap_body& heap, bin& b, std::size_t blocks) noexcept;

/// How many blocks a stack in the heap's body may hold, of a class up to `large_cached_bytes`.
[[nodiscard]] inline std::size_t place_of(const class_shape& shape) noexcept {
  return std::max(shape.cache_most, std::uint16_t{shape.widened_most});
}

/// Lets the stack of a class up to `large_cached_bytes` hold half as many again where it is, as
/// long as all that hold more than a busy class may then hold a small part of the heap. False if it
/// may not.
[[nodiscard]] bool widen(heap_body& heap, bin& b) noexcept ACRE_REQUIRES(heap.lock);

/// Lets the full stack of a class of blocks above `large_cached_bytes` hold half as many again, as
/// long as all such stacks of the heap then hold a small part of it. False if it may not.
[[nodiscard]] bool widen_large(heap_body& heap, bin& b) noexcept;

/// Gives back what such stacks hold that were widened and hold more than a busy class may. They may
/// hold as much again, unless that is more now than all of them may; the others are narrow again.
void flush_large(heap_body& heap) noexcept ACRE_REQUIRES(heap.lock);

}  // namespace acre::heaps
