#pragma once

#include "heap/body.hpp"
#include "heap/remote.hpp"

/// Blocks of other heaps in a thread's own stacks.
///
/// Threads that pass blocks to each other free what others allocated, and allocate the same sizes
/// themselves. Such a block is kept where it was freed, for the thread's next allocation, rather
/// than sent home. It stays a block of its owner's slab: when it leaves the stack unused, it is
/// sent home like any other.
///
/// Not kept are: blocks that share a cache line with their neighbours, since after some time every
/// neighbour would be another thread's; blocks of heap objects, which die with their heap; and
/// blocks that the thread would only pile up, since it allocates none of that size.
///
/// A thread that takes and frees more at a time than a stack holds gets a deep one, of pages, until
/// the class comes to rest.
namespace acre::heaps {

/// Blocks of whole cache lines are kept: multiples of this, which is also the least.
inline constexpr std::size_t kept_bytes_min = 64;
inline constexpr std::size_t kept_bytes_max = 1024;

/// The thread's own bin for the class of a block of `owner`; null for classes that are not kept.
[[nodiscard]] inline bin* keeper_of(heap_body& from, const bin& owner) noexcept {
  constexpr std::size_t first = kept_bytes_min / 16;
  constexpr std::size_t last = kept_bytes_max / 16;
  static_assert(class_bytes(first) == kept_bytes_min && class_bytes(last) == kept_bytes_max);
  const std::size_t offset = reinterpret_cast<std::uintptr_t>(&owner) % body_bytes -
                             offsetof(heap_body, bins) - first * sizeof(bin);
  const std::size_t step = offset / sizeof(bin);
  if (step > last - first || step % (kept_bytes_min / 16) != 0) return nullptr;
  return &from.bins[first] + step;
}

/// Keeps a block in a full stack: makes room if the thread allocates such blocks about as often as
/// it frees them. Otherwise sends home what the stack holds of other heaps, and closes it to them.
[[nodiscard]] bool keep_in_full(heap_body& from, bin& keeper, void* block) noexcept;

/// Keeps a block of another heap, which is no heap object, if it is of use to the thread.
[[nodiscard]] inline bool keep_foreign(heap_body& from, const bin& owner, void* block) noexcept {
  bin* const keeper = keeper_of(from, owner);
  if (keeper == nullptr || keeper->closed) return false;
  // A bin that was never used has neither.
  if (keeper->top >= keeper->end) [[unlikely]]
    return keeper->base != nullptr && keep_in_full(from, *keeper, block);
  *++keeper->top = block;
  return true;
}

/// Whether `owner`, of a page on which a block of the bin's stack lies, is another heap's. What is
/// neither the heap's own nor of the bin's class was freed twice.
[[nodiscard]] inline bool is_foreign(heap_body& heap, const bin& b, const bin* owner) noexcept {
  if (owner == nullptr || body_of(owner) == &heap) return false;
  return keeper_of(heap, *owner) == &b && body_of(owner)->kind != body_kind::object;
}

/// Sends all blocks of other heaps home that the thread's stacks hold. Requires: the caller is the
/// owner and holds no lock.
void send_foreign_home(heap_body& heap) noexcept;

/// Whether the bin's stack is a deep one.
[[nodiscard]] inline bool is_deep(const heap_body& heap, const bin& b) noexcept {
  if (b.base == nullptr) return false;
  const auto offset =
      reinterpret_cast<std::uintptr_t>(b.base + 1) - reinterpret_cast<std::uintptr_t>(&heap);
  return offset >= sizeof heap;
}

/// Gives the deep stack of a bin back, which holds nothing.
void leave_deep_stack(heap_body& heap, bin& b) noexcept ACRE_REQUIRES(heap.lock);

}  // namespace acre::heaps
