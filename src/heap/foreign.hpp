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
/// Not kept are: blocks of heap objects, which die with their heap; blocks that the thread would
/// only pile up, since it allocates none of that size; and blocks that share a cache line with
/// their neighbours, if most of what the thread frees is its own (more than 5/8), since after some
/// time every neighbour would be another thread's. (Otherwise its own blocks come back to it from
/// other threads' caches just the same; two threads that free each other's blocks, and keep them,
/// come to half.)
///
/// A thread that takes and frees more at a time than a stack holds gets a deep one.
namespace acre::heaps {

inline constexpr std::size_t kept_bytes_max = 1024;

/// The thread's own bin for the class of a block of `owner`; null for classes that are not kept.
[[nodiscard]] inline bin* keeper_of(heap_body& from, const bin& owner) noexcept {
  constexpr std::size_t last = kept_bytes_max / 16;
  static_assert(class_bytes(last) == kept_bytes_max);
  const std::size_t offset = bin_offset(&owner);
  return offset > last * sizeof(bin)
             ? nullptr
             : reinterpret_cast<bin*>(reinterpret_cast<std::byte*>(from.bins) + offset);
}

/// Decides at a refill whether the bin keeps foreign blocks until the next. Returns whether most of
/// what it freed of late was foreign.
bool judge_foreign(heap_body& heap, bin& b) noexcept ACRE_REQUIRES(heap.lock);

/// The thread's own bin, if it keeps blocks like one of `owner` now; else null. Counts the block.
[[nodiscard]] inline bin* willing_keeper_of(heap_body& from, const bin& owner) noexcept {
  bin* const keeper = keeper_of(from, owner);
  if (keeper == nullptr) return nullptr;
  ++keeper->foreign;
  return keeper->keeps != 0 ? keeper : nullptr;
}

/// What deep stacks may hold for the sake of foreign blocks: 5/8 of the heap's pages and as much
/// as one of them. Less with many threads: each runs seldom, what it holds lies idle meanwhile, and
/// keeps slabs of all the others.
[[nodiscard]] std::size_t foreign_deep_room(const heap_body& heap) noexcept;

/// `keep_foreign` for a full stack: makes room. If the thread allocates few such blocks, or the
/// stack was full many times since its last refill, sends home what it will not need of other
/// heaps' instead, and keeps no more until the next refill.
void keep_in_full(heap_body& from, bin& keeper, bin& owner, void* block) noexcept;

/// Keeps a block of another heap in a bin that is willing. Requires: it is no heap object's.
inline void keep_foreign(heap_body& from, bin& keeper, bin& owner, void* block) noexcept {
  void** const top = keeper.top + 1;
  if (top > keeper.end) [[unlikely]]
    return keep_in_full(from, keeper, owner, block);
  *top = block;
  keeper.top = top;
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

}  // namespace acre::heaps
