#pragma once

#include "heap/body.hpp"

#include <atomic>
#include <cstddef>

/// Slabs: taking blocks out of them and putting blocks back. All under the owning heap's lock.
namespace acre::heaps {

[[nodiscard]] inline unsigned class_of_bin(const heap_body& heap, const bin& b) noexcept {
  return static_cast<unsigned>(&b - heap.bins);
}

/// Pushes up to `count` free blocks onto the stack, lowest address on top. Returns how many; fewer
/// only when memory ran out. With `frees_foreign`, as most blocks of the class that the thread
/// frees are other heaps', these heaps' free slots are taken, too. Requires: room for the blocks.
std::size_t take_from_slabs(heap_body& heap, bin& b, std::size_t count, bool frees_foreign) noexcept
    ACRE_REQUIRES(heap.lock);

/// One block of the class's own slabs, past the stack; later blocks of it are its own, too. Null
/// when out of memory.
[[nodiscard]] void* take_own(heap_body& heap, bin& b) noexcept ACRE_REQUIRES(heap.lock);

/// Puts blocks of the heap, of any classes, back into their slabs. A pointer that is free already,
/// or no block's start, is reported (misuse.hpp) and left alone.
void give_to_slabs(heap_body& heap, void* const* blocks, std::size_t count) noexcept
    ACRE_REQUIRES(heap.lock);

/// The same for the `count` oldest blocks of the stack; those of other heaps go home. Fewer leave
/// the stack when such a heap is in use just now.
void flush_oldest(heap_body& heap, bin& b, std::size_t count) noexcept ACRE_REQUIRES(heap.lock);

/// Empties every stack, as far as `flush_oldest` does, and gives empty slabs back. Requires: the
/// caller owns the stacks.
void flush_all(heap_body& heap) noexcept ACRE_REQUIRES(heap.lock);

/// Pages of slabs that other threads emptied in heaps whose thread has ended, and that those keep
/// for the next thread. Relaxed: a hint.
extern std::atomic<std::size_t> pages_left_empty;

/// Sets what a heap adds to these: 0 once a thread has taken it, or its empty slabs are dropped.
void count_left_empty(heap_body& heap, std::size_t pages) noexcept ACRE_REQUIRES(heap.lock);

/// Gives back slabs that are kept though empty. Needs only the lock, not the stacks.
void drop_empty_slabs(heap_body& heap) noexcept ACRE_REQUIRES(heap.lock);

// Lists of what a heap object owns, to destroy it whole.
void own_run(heap_body& heap, run_index run) noexcept ACRE_REQUIRES(heap.lock);
void disown_run(heap_body& heap, run_index run) noexcept ACRE_REQUIRES(heap.lock);

}  // namespace acre::heaps
