#pragma once

#include "heap/body.hpp"

#include <atomic>
#include <cstddef>

/// All heaps of the process, and which thread uses which.
///
/// A thread gets a heap at its first allocation. When it ends, the heap with all its slabs becomes
/// idle, and the next new thread takes it whole; frees by others go on meanwhile, since a slab's
/// record is guarded by its heap's lock and not by its thread.
namespace acre::heaps {

/// The bins of the calling thread's heap, or `no_bins`: it has none, or another thread took it for
/// idle (idle.hpp), which may happen at any time.
extern constinit thread_local bin* current __attribute__((tls_model("initial-exec")));

/// What a thread without a heap points at: every stack is empty, so every call takes the slow path.
extern bin no_bins[class_count];

/// `current`, read exactly once.
[[nodiscard]] inline bin* current_bins() noexcept {
  return std::atomic_ref(current).load(std::memory_order_relaxed);
}

[[nodiscard]] inline bool is_no_bin(const bin* b) noexcept {
  return b >= no_bins && b < no_bins + class_count;
}

/// Gives the calling thread a heap, or its own back. Null when it is ending, a fork is pending, or
/// memory ran out.
[[nodiscard]] bin* attach_thread() noexcept;

/// The calling thread's heap; null when it has none. Its caches may be touched after this, until
/// the thread returns from the library; not when it is null because a fork is pending.
[[nodiscard]] heap_body* own_heap() noexcept;

/// The same for a caller who takes the heap's lock before it touches the caches.
/// Asked at a program's end alone, and so out of the way; see src/preload/layout.ld.
[[nodiscard, gnu::cold]] heap_body* own_heap_to_lock() noexcept;

/// Whether the calling thread never had a heap; like the last one, for a program's end.
[[nodiscard, gnu::cold]] bool never_had_heap() noexcept;

/// Where pages that the calling thread takes by itself belong; see page_heap.hpp.
[[nodiscard]] std::uint8_t own_home() noexcept;

/// Thread heaps that were used since their caches were last emptied.
[[nodiscard]] std::size_t used_heaps() noexcept;

/// Where the stack of the program's first thread ends, or somewhat above.
[[nodiscard]] std::uintptr_t first_stack_end() noexcept;

/// The newest of all heaps; `next_all` leads to the others, and never changes. Heaps are not freed.
[[nodiscard]] heap_body* newest_heap() noexcept;

/// The heap's owner can no longer be asked for it: it ends. Requires: the heap's lock is held.
void forget_owner(heap_body& heap) noexcept;

/// A heap's caches are empty now, and its owner will come back for it. Requires: it is taken.
void note_emptied(heap_body& heap) noexcept ACRE_REQUIRES(heap.lock);

/// The heap for threads that have none; null when memory ran out before the first allocation.
[[nodiscard]] heap_body* common_heap() noexcept;

/// The memory of a heap object; null when memory ran out.
[[nodiscard]] heap_body* new_object_heap() noexcept;

/// Takes back a heap object's memory that holds no page any more; its counts of the past are kept.
void retire_object_heap(heap_body& heap) noexcept;

/// Calls `visit` for each heap, idle ones included. The registry's lock is held meanwhile.
void for_each_heap(void (*visit)(heap_body& heap, void* context), void* context) noexcept;

/// The same unless the registry is in use; false then.
bool try_each_heap(void (*visit)(heap_body& heap, void* context), void* context) noexcept;

struct thread_counts {
  std::size_t now = 0, peak = 0;
};
[[nodiscard]] thread_counts count_threads() noexcept;

/// Empties the caches that threads which ended left to those to come.
void empty_left_heaps() noexcept;

/// Allocations of heap objects that are gone.
[[nodiscard]] std::size_t retired_allocations() noexcept;

// Fork: takes the registry's and every heap's lock, and releases them.
void lock_heaps_for_fork() noexcept;
void wake_heap_waiters() noexcept;
void unlock_heaps_after_fork_in_parent() noexcept;
/// The forking thread has another id in the child.
void own_heap_after_fork() noexcept;
/// Makes the heaps of threads that the child does not have idle; what they had cached is lost.
void unlock_heaps_after_fork_in_child() noexcept;

}  // namespace acre::heaps
