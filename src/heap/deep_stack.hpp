#pragma once

#include "heap/body.hpp"

/// Deep stacks: those of bins whose thread takes and frees more at a time than a busy class's stack
/// holds. They lie on pages of their own, and last until the class comes to rest.
namespace acre::heaps {

/// A deep stack holds blocks of so many bytes at most.
inline constexpr std::size_t deep_bytes_max = 262144;

/// Whether the bin's stack is a deep one.
[[nodiscard]] inline bool is_deep(const heap_body& heap, const bin& b) noexcept {
  if (b.base == nullptr) return false;
  const auto offset =
      reinterpret_cast<std::uintptr_t>(b.base + 1) - reinterpret_cast<std::uintptr_t>(&heap);
  return offset >= sizeof heap;
}

/// Gives the bin of a class up to 8 KiB a stack of half as much room again. False when it does not
/// yet cache what it may where it is (`place_of`), or has the most there is, when all deep stacks
/// of the heap could then hold more than `room_bytes`, or out of memory.
[[nodiscard]] bool deepen(heap_body& heap, bin& b, std::size_t room_bytes) noexcept
    ACRE_REQUIRES(heap.lock);

/// Gives the deep stack of a bin back, which holds nothing.
void leave_deep_stack(heap_body& heap, bin& b) noexcept ACRE_REQUIRES(heap.lock);

}  // namespace acre::heaps
