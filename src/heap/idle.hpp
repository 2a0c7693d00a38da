#pragma once

#include "os/lock.hpp"

#include <cstddef>

/// The caches of threads that are alive and wait.
///
/// A thread reads and writes its bins without a lock, so that nobody else may touch them; unless it
/// is proven that the thread is outside of the heap's code, and that it cannot come in unnoticed.
/// Both hold for a heap after these steps, all of them under the heap's lock:
///
///   1. Take: `no_bins` is written into the owner's thread-local `current`. Whoever enters the heap
///      and reads that takes the slow path, where `take_back` waits for the lock.
///   2. Fence: every thread passes a memory barrier (membarrier(2)). A thread that enters
///   afterwards
///      reads `no_bins`.
///   3. Look: the kernel says that the owner waits in a system call. What it entered before the
///      fence it has left, for the fast paths make no system call, unless
///      - it waits for a heap's lock, on a slow path: such a futex is known by its address; or
///      - a signal handler interrupted it inside and waits: then the registers that the kernel
///      saved
///        lie on its stack between the stack's end and the thread's oldest frame, which is
///        searched.
///      Other code of the heap that makes one of the calls in question touches no bin afterwards.
///
/// A thread that cannot be proven idle keeps its caches: an own stack for a signal or a coroutine,
/// deep recursion, a handler that waits, a sandbox, no /proc, another processor.
///
/// From 3 on the owner may wake at any time; it then waits for the lock. The heap's stacks of
/// pointers go back to the slabs, bins without slabs are cleared and counted as past, and the pages
/// of the heap's own memory that only held these go back to the kernel.
namespace acre::heaps {

struct idle_outcome {
  std::size_t taken = 0;        ///< heaps that were taken; the next search may empty them
  std::size_t used = 0;         ///< heaps that were used since the search before
  std::size_t freed_pages = 0;  ///< pages of slabs that became free
};

/// For the purging thread, once an interval: empties the heaps that were taken in an earlier search
/// and not asked for since, and takes those that have not been to their slow path since.
/// `gate`: see purger.cpp.
idle_outcome search_idle_heaps(os::lock& gate) noexcept;

/// Empties the heaps of all threads that wait now. Requires: no lock of the heap is held.
void empty_waiting_heaps() noexcept;

}  // namespace acre::heaps
