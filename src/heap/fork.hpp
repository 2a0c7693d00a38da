#pragma once

#include "heap/page_run.hpp"

#include <atomic>
#include <cstddef>
#include <cstdint>

/// fork() in a program with threads.
///
/// The forking thread takes every lock of the heap before the fork, so that the child finds slabs
/// and page runs whole. Other threads must not wait for it: one of them may hold a lock of libc
/// (stdio's) that fork itself takes next, and both would wait for ever. So while a fork is pending
/// their slow paths give up on a lock that is taken: they allocate whole pages past the frontier by
/// compare-exchange (the "fork lane"), and what they free is parked on lists without locks, which
/// the parent empties afterwards. The child skips the lane: the kernel copies page by page while
/// the others run, so nothing that was written there meanwhile can be trusted.
namespace acre::heaps {

/// Not 0 from the moment the forking thread holds all locks until it has released them.
/// Written by the forking thread (seq_cst, before waking all waiters); read by waiters (seq_cst).
extern constinit std::atomic<std::uint32_t> fork_pending;

/// Keeps a run until the fork is over. The run belongs to the caller and has no owner any more.
void park_run(run_index run) noexcept;

/// Keeps blocks until the fork is over; the pointers are copied. False when out of memory: the
/// caller then loses the blocks.
[[nodiscard]] bool park_blocks(void* const* blocks, std::size_t count) noexcept;

/// Gives back what was parked.
void release_all_parked() noexcept;

/// The three handlers, in the order of pthread_atfork(3); they are registered when the program
/// starts.
void before_fork() noexcept;
void after_fork_in_parent() noexcept;
void after_fork_in_child() noexcept;

}  // namespace acre::heaps
