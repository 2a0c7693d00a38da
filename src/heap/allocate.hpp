#pragma once

#include "heap/address_space.hpp"
#include "heap/body.hpp"
#include "heap/hooks.hpp"
#include "heap/registry.hpp"
#include "heap/size_class.hpp"

#include <cstddef>
#include <cstdint>

/// Allocation and release of blocks by a thread: the fast paths, inline, and their slow paths.
///
/// The fast paths have no atomic operation, lock or system call, and no store but to the thread's
/// own bin. tests/codegen holds their exact instruction counts.
namespace acre::heaps {

/// The way on when the bin's grant has ended and `renew_grant` did not help. `b` is a bin of what
/// `current` was when the caller read it. Null when out of memory.
[[nodiscard]] void* allocate_slow(bin* b, std::size_t size_bytes) noexcept;

/// A block of any size, with all paths.
[[nodiscard]] void* allocate_any(std::size_t size_bytes) noexcept;

/// Requires: size_bytes > class_bytes_max.
[[nodiscard]] void* allocate_huge(std::size_t size_bytes) noexcept;

/// A block whose address is a multiple of `alignment_bytes`, a power of two.
[[nodiscard]] void* allocate_aligned(std::size_t size_bytes, std::size_t alignment_bytes) noexcept;

/// A block of zero bytes.
[[nodiscard]] void* allocate_zeroed(std::size_t size_bytes) noexcept;

/// A block with the contents of `block`, which is freed; null (and `block` unchanged) when out of
/// memory. Requires: `block` is not null; size_bytes > 0.
[[nodiscard]] void* reallocate(void* block, std::size_t size_bytes) noexcept;

/// A block whose page belongs to `owner`, which is no bin of the thread's heap; or null.
void release_other(bin* owner, void* block) noexcept;

/// All else: null, large blocks, misuse, and threads without a heap.
void release_rare(void* block) noexcept;

/// `block` is of the thread's own slabs and the bin's stack is full.
void release_full(bin* b, void* block) noexcept;

/// Usable bytes of a live block; reports misuse and returns 0 for anything else.
[[nodiscard]] std::size_t usable_bytes(const void* block) noexcept;

/// One block of a heap that is used under its lock. Null when out of memory or at its limit.
[[nodiscard]] void* allocate_locked(heap_body& heap, unsigned size_class,
                                    std::size_t size_bytes) noexcept ACRE_EXCLUDES(heap.lock);

/// Gives a block of `b` back to it; the caller holds the heap's lock and not its thread.
void give_locked(heap_body& heap, bin& b, void* block) noexcept ACRE_REQUIRES(heap.lock);

/// What a stack is full with: blocks of the heap, or one that got one of another heap.
enum class filled_with : std::uint8_t { own, foreign };

/// Makes room in a full stack, if it can without waiting for another heap: makes it larger, or
/// flushes up to half of it.
void make_room(heap_body& heap, bin& b, filled_with blocks = filled_with::own) noexcept
    ACRE_REQUIRES(heap.lock);

[[gnu::always_inline]] inline void* pop(bin* b) noexcept {
  void** const top = b->top;
  b->top = top - 1;
  return *top;
}

/// The end of a grant when nothing else is to be done: a new grant over what the stack holds. False
/// when the stack should be refilled, a hook is set, or the thread has no heap.
[[nodiscard, gnu::always_inline]] inline bool renew_grant(bin* b, std::size_t size_bytes) noexcept {
  const std::size_t count = cached(*b);
  if (count <= b->low) return false;
  if (active_hooks.load(std::memory_order_relaxed) != nullptr) [[unlikely]]
    return false;
  b->seen_bytes += size_bytes;
  ++b->seen_count;
  b->granted += count;
  b->grant = static_cast<std::int32_t>(count) - 1;
  return true;
}

/// Requires: a power of two.
[[nodiscard]] inline bool is_aligned(const void* block, std::size_t alignment_bytes) noexcept {
  return (reinterpret_cast<std::uintptr_t>(block) & (alignment_bytes - 1)) == 0;
}

/// The slow paths are parameters so that a caller can add what failure means to it (errno, a
/// new-handler) without a test on the fast path.
template <void* (*Slow)(bin*, std::size_t), void* (*Medium)(std::size_t)>
[[nodiscard, gnu::always_inline]] inline void* allocate(std::size_t size_bytes) noexcept(
    noexcept(Slow(nullptr, 0))) {
  if (size_bytes > small_bytes_max) [[unlikely]]
    return Medium(size_bytes);
  static_assert(sizeof(bin) == std::size_t{16} * 8,
                "the class times 16 is scaled by 8 in the address");
  bin* const b = reinterpret_cast<bin*>(reinterpret_cast<std::uintptr_t>(current) +
                                        ((size_bytes + 15) & ~std::size_t{15}) * 8);
  if (--b->grant < 0) [[unlikely]]
    return Slow(b, size_bytes);
  return pop(b);
}

template <void* (*Slow)(bin*, std::size_t), void* (*Huge)(std::size_t)>
[[nodiscard, gnu::always_inline]] inline void* allocate_medium(std::size_t size_bytes) noexcept(
    noexcept(Slow(nullptr, 0))) {
  if (size_bytes > class_bytes_max) [[unlikely]]
    return Huge(size_bytes);
  bin* const b = current + medium_class_of(size_bytes);
  if (--b->grant < 0) [[unlikely]]
    return Slow(b, size_bytes);
  return pop(b);
}

[[gnu::always_inline]] inline void release(void* block) noexcept {
  const std::size_t page = space.page_of(block);
  if (page >= space.page_count()) [[unlikely]]
    return release_rare(block);
  bin* const b = space.owner[page];
  const auto offset =
      reinterpret_cast<std::uintptr_t>(b) - reinterpret_cast<std::uintptr_t>(current);
  if (offset >= sizeof(bin) * class_count) [[unlikely]]
    return release_other(b, block);
  void** const top = b->top + 1;
  if (top > b->end) [[unlikely]]
    return release_full(b, block);
  *top = block;
  b->top = top;
}

}  // namespace acre::heaps
