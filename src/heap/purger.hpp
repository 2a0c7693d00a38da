#pragma once

/// Gives memory back while the program is idle.
///
/// A thread of its own, made when more than a little free memory is resident and gone again after a
/// few intervals in which nothing was left to purge. A program whose free memory stays small never
/// has one.
namespace acre::heaps {

/// Starts the purging thread if there is enough to purge and it is not running. Cheap otherwise.
/// Requires: no lock of the heap is held.
void purge_later() noexcept;

/// Gives everything back that can be given back now: empty slabs of all heaps, all dirty pages but
/// `keep_pages`. Returns the pages purged.
unsigned long purge_now(unsigned long keep_pages) noexcept;

/// Makes free pages of the empty slabs of all heaps that are not in use. False when the registry
/// is.
bool drop_all_empty_slabs() noexcept;

/// Whether the caller is the purging thread, which the C library does not know of.
[[nodiscard]] bool is_purging_thread() noexcept;

/// In the child of a fork, which has no purging thread.
void reset_purger_after_fork() noexcept;

/// Keeps the purging thread out of the heap until `let_purger_go`. Requires: fork_pending is set.
void stop_purger() noexcept;
void let_purger_go() noexcept;

}  // namespace acre::heaps
