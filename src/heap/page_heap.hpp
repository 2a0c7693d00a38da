#pragma once

#include "heap/page_run.hpp"
#include "heap/size_class.hpp"
#include "os/lock.hpp"

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

/// The process-wide store of free page runs.
///
/// A freed run stays resident ("dirty") and is used again first. It goes back to the kernel in two
/// cases only: when pages that are not resident ("clean") are about to be taken while dirty ones
/// lie idle, as many dirty ones are purged first ("purge on growth": the peak never exceeds what
/// was resident before, at almost no system call in a steady state); and when nobody needed a dirty
/// page for a while (`purge_unneeded`, called by the purging thread).
///
/// Dirty runs are listed by home: that of the heap that took them last. A heap gets those of its
/// own home first, since another processor may hold in its cache what another thread has written;
/// but any dirty run rather than clean pages.
///
/// Equation: every page below the frontier is live (slab, large, held), dirty, clean, or skipped.
namespace acre::heaps {

/// Which fresh contents a request accepts.
enum class page_source : std::uint8_t {
  any,         ///< dirty first
  clean_only,  ///< pages that read as zero and take no memory yet
  dirty_only,  ///< resident pages in one run
};

struct page_request {
  std::size_t pages = 0;
  std::size_t alignment_pages = 1;  ///< a power of two
  run_state state = run_state::large;
  page_source source = page_source::any;
  /// Bit n: a dirty run of n pages, fewer than `pages`, will do where clean ones would raise the
  /// peak or have dirty ones purged.
  std::uint32_t shorter = 0;
  std::size_t replaced_pages = 0;  ///< resident pages that will be given back at once (a move)
  std::uint8_t home = 0;           ///< below `home_count`
};

struct page_grant {
  run_index run = 0;        ///< 0: out of memory
  bool reads_zero = false;  ///< every page reads as zero
};

struct page_counts {
  std::size_t live = 0, dirty = 0, frontier = 0, runs = 0, peak = 0;
};

/// The kernel does not join moved pages with their neighbours again, and a process may have 65530
/// mappings. A move makes up to three and undoes those that lay at its target, so most programs
/// settle at a few hundred; but none may run out. Hence a budget, relaxed, that the purging thread
/// renews after it has counted.
inline constexpr int moves_most = 4096;
inline constinit std::atomic<int> moves_left{moves_most};
[[nodiscard]] inline bool may_move_pages() noexcept {
  return moves_left.load(std::memory_order_relaxed) > 0;
}
inline void note_move() noexcept {
  moves_left.fetch_sub(1, std::memory_order_relaxed);
}
void renew_moves() noexcept;
/// The places that pages were moved away from are mapped afresh and have lost the heap's name. The
/// purging thread gives it back, once an interval: no thread of the program makes that system call,
/// which a seccomp filter may not expect.
void name_moved_pages() noexcept;

class page_heap {
 public:
  /// Fails: run 0 when memory, the limit or address space runs out.
  [[nodiscard]] page_grant allocate(const page_request& request) noexcept ACRE_EXCLUDES(lock_);

  /// Runs as `each` asks for, up to `count`; returns how many. One lock for all, and pages that lie
  /// together, where `allocate` would search and cut for each.
  /// Requires: no alignment; each.pages * count < 64; each.shorter only for one.
  [[nodiscard]] std::size_t allocate_several(run_index* runs, const page_request& each,
                                             std::size_t count) noexcept ACRE_EXCLUDES(lock_);

  /// Gives a run back; its pages must have no owner in the address space any more.
  void release(run_index run) noexcept ACRE_EXCLUDES(lock_);

  /// The same for all runs from `first` on that `next` leads to.
  void release_several(run_index first) noexcept ACRE_EXCLUDES(lock_);

  /// The same for pages that read as zero and are not resident.
  void release_clean(run_index run) noexcept ACRE_EXCLUDES(lock_);

  /// Lengthens a large run in place; false when the pages after it are taken.
  [[nodiscard]] bool extend(run_index run, std::size_t pages) noexcept ACRE_EXCLUDES(lock_);

  /// Gives the pages of a large run beyond `pages` back.
  void shorten(run_index run, std::size_t pages) noexcept ACRE_EXCLUDES(lock_);

  /// The same for pages that read as zero and are not resident.
  void shorten_clean(run_index run, std::size_t pages) noexcept ACRE_EXCLUDES(lock_);

  /// Whether `address` is that of the page heap's own lock, for which a thread may be waiting.
  [[nodiscard]] bool is_lock(std::uintptr_t address) const noexcept {
    return address == reinterpret_cast<std::uintptr_t>(&lock_);
  }

  /// Whether no thread holds that lock at this moment.
  [[nodiscard]] bool is_unlocked() const noexcept { return lock_.is_free(); }

  /// Gives dirty pages back to the kernel until at most `keep_pages` are left, or as many have gone
  /// as were too many at first: what other threads free meanwhile may stay. Returns how many.
  /// The purging thread passes its gate; see purger.cpp.
  std::size_t purge_down_to(std::size_t keep_pages, os::lock* gate = nullptr) noexcept
      ACRE_EXCLUDES(lock_);

  /// Purges most of what has been dirty ever since the last call. Returns how many pages.
  std::size_t purge_unneeded(os::lock& gate) noexcept ACRE_EXCLUDES(lock_);

  [[nodiscard]] page_counts counts() noexcept ACRE_EXCLUDES(lock_);
  /// Dirty pages that are not resident: of large blocks that the program freed and had not touched.
  /// Short runs are taken for resident. Asks the kernel; for statistics.
  [[nodiscard]] std::size_t untouched_pages() noexcept ACRE_EXCLUDES(lock_);
  /// Dirty pages now; a hint that needs no lock.
  [[nodiscard]] std::size_t dirty_hint() const noexcept {
    return dirty_.load(std::memory_order_relaxed);
  }
  /// Whether the kernel refused the last purge; a hint that needs no lock.
  [[nodiscard]] bool purge_refused_hint() const noexcept {
    return purge_refused_.load(std::memory_order_relaxed);
  }

  [[nodiscard]] bool ready() noexcept
      ACRE_EXCLUDES(lock_);  ///< reserves the space at the first call

  /// Walks every run; false when an invariant is broken.
  [[nodiscard]] bool check_invariants() noexcept ACRE_EXCLUDES(lock_);

  // Fork: see fork.hpp.
  void lock_for_fork() noexcept ACRE_ACQUIRE(lock_);
  void wake_waiters() noexcept;
  void unlock_after_fork_in_parent() noexcept ACRE_RELEASE(lock_);
  void unlock_after_fork_in_child() noexcept ACRE_RELEASE(lock_);
  /// For a child that leaves the lock as it is; see fork.cpp. `unlock_after_fork_in_child` does it,
  /// too.
  void note_child_of_fork() noexcept { forks_.fetch_add(1, std::memory_order_relaxed); }
  /// Not 0 when other threads may have taken the page while this process was forked from its
  /// parent, or that one from its own: the bytes of a block that begins there, or as many as are
  /// sure. Such pages are never used again, and what the tables say of them is not to be trusted.
  [[nodiscard]] std::size_t skipped_bytes(std::size_t page) const noexcept;

 private:
  static constexpr unsigned exact_bins = 128;
  static constexpr unsigned bins_per_doubling = 8;
  static constexpr unsigned bin_count = exact_bins + 24 * bins_per_doubling;
  static constexpr unsigned word_count = bin_count / 64;
  static constexpr std::size_t growth_step_pages = 64;
  /// Shorter requests do not look for dirty pages beside clean ones.
  static constexpr std::size_t mixed_pages_min = 8;
  static constexpr std::size_t moved_pages_min = 64;  ///< fewer are not worth a mapping
  /// Pages of address space that other threads may take without the lock while a fork is pending.
  static constexpr std::size_t fork_lane_pages = 16384;

  /// Free runs of one kind, by length.
  struct free_lists {
    std::array<run_index, bin_count> head{};
    std::array<std::uint64_t, word_count> used{};
  };

  struct run_range;
  struct mixed_parts;

  static unsigned bin_of(std::size_t pages) noexcept;
  static bool is_free(run_state state) noexcept {
    return state == run_state::dirty || state == run_state::clean;
  }

  free_lists& lists_of(const page_run& run) noexcept ACRE_REQUIRES(lock_) {
    return state_of(run) == run_state::dirty ? dirty_lists_[run.home] : clean_lists_;
  }
  void link(run_index run, run_state state) noexcept ACRE_REQUIRES(lock_);
  void unlink(run_index run) noexcept ACRE_REQUIRES(lock_);
  run_index new_run() noexcept ACRE_REQUIRES(lock_);
  void drop_run(run_index run) noexcept ACRE_REQUIRES(lock_);
  void move_record(run_index from, run_index to) noexcept ACRE_REQUIRES(lock_);
  void list_spare_runs(run_index end) noexcept ACRE_REQUIRES(lock_);
  void shrink_table() noexcept ACRE_REQUIRES(lock_);
  void mark_ends(run_index run) noexcept ACRE_REQUIRES(lock_);
  run_index split(run_index run, std::size_t pages) noexcept ACRE_REQUIRES(lock_);
  void insert_free(run_index run, run_state state) noexcept ACRE_REQUIRES(lock_);
  run_index neighbour_after(const page_run& run) noexcept ACRE_REQUIRES(lock_);
  run_index neighbour_before(const page_run& run) noexcept ACRE_REQUIRES(lock_);

  std::size_t dirty_pages_in_one(std::size_t least, std::size_t most, unsigned home) noexcept
      ACRE_REQUIRES(lock_);
  page_grant take(const page_request& request) noexcept ACRE_REQUIRES(lock_);
  run_index best_fit(free_lists& lists, std::size_t pages) noexcept ACRE_REQUIRES(lock_);
  run_index best_dirty(std::size_t pages, unsigned home) noexcept ACRE_REQUIRES(lock_);
  run_index take_free(run_state kind, const page_request& request) noexcept ACRE_REQUIRES(lock_);
  run_index take_shorter(const page_request& request) noexcept ACRE_REQUIRES(lock_);
  run_index take_mixed(const page_request& request) noexcept ACRE_REQUIRES(lock_);
  run_index take_mixed_of(const free_lists& lists, const page_request& request, int& looks) noexcept
      ACRE_REQUIRES(lock_);
  run_range range_around(run_index dirty, std::size_t pages) noexcept ACRE_REQUIRES(lock_);
  void cut_clean_end(run_range& range, std::size_t surplus) noexcept ACRE_REQUIRES(lock_);
  mixed_parts join(const run_range& range) noexcept ACRE_REQUIRES(lock_);
  run_index take_range(run_range range, const page_request& request) noexcept ACRE_REQUIRES(lock_);
  page_grant take_clean(const page_request& request) noexcept ACRE_REQUIRES(lock_);
  std::size_t fill_by_moving(std::size_t page, std::size_t pages) noexcept ACRE_REQUIRES(lock_);
  run_index take_frontier(const page_request& request) noexcept ACRE_REQUIRES(lock_);
  run_index trim_to(run_index run, const page_request& request, run_state rest) noexcept
      ACRE_REQUIRES(lock_);
  page_grant finish(run_index run, const page_request& request, bool zero) noexcept
      ACRE_REQUIRES(lock_);
  [[nodiscard]] bool would_exceed_peak(std::size_t growth) noexcept ACRE_REQUIRES(lock_);
  [[nodiscard]] bool would_purge(std::size_t growth, std::size_t request_pages) noexcept
      ACRE_REQUIRES(lock_);
  [[nodiscard]] bool make_room(std::size_t clean_pages, std::size_t request_pages,
                               std::size_t replaced_pages) noexcept ACRE_REQUIRES(lock_);
  [[nodiscard]] bool within_limit(std::size_t new_live_pages) noexcept ACRE_REQUIRES(lock_);
  [[nodiscard]] bool within_limit_reused(std::size_t new_live_pages) noexcept ACRE_REQUIRES(lock_);
  [[nodiscard]] std::size_t dirty_allowance(std::size_t pages) const noexcept ACRE_REQUIRES(lock_);
  /// Notes whether pages went that were to be purged; returns it.
  bool note_purge(bool gone) noexcept ACRE_REQUIRES(lock_);
  std::size_t purge_locked(std::size_t pages) noexcept ACRE_REQUIRES(lock_);
  run_index longest_dirty() noexcept ACRE_REQUIRES(lock_);
  run_index largest_dirty(std::size_t pages) noexcept ACRE_REQUIRES(lock_);
  void add_dirty(std::ptrdiff_t pages) noexcept ACRE_REQUIRES(lock_);
  /// Pages that will be given back at once do not make a peak: else a chain of moves would raise
  /// it.
  void note_peak(std::size_t replaced_pages) noexcept ACRE_REQUIRES(lock_);
  void note_low() noexcept ACRE_REQUIRES(lock_);
  void note_purging(run_index run) noexcept ACRE_REQUIRES(lock_);
  void note_purged(run_index run) noexcept ACRE_REQUIRES(lock_);
  void take_lost_runs() noexcept ACRE_REQUIRES(lock_);
  void give_back(run_index run, run_state state) noexcept ACRE_EXCLUDES(lock_);
  void cut(run_index run, std::size_t pages, run_state rest) noexcept ACRE_EXCLUDES(lock_);
  void enter(os::lock* gate) noexcept ACRE_ACQUIRE(lock_);
  void leave(os::lock* gate) noexcept ACRE_RELEASE(lock_);
  page_grant allocate_in_fork_lane(const page_request& request) noexcept;
  bool take_lane(const page_request& request, page_grant& grant) noexcept;
  page_grant allocate_after_fork(const page_request& request) noexcept;

  os::lock lock_;  ///< guards all below and, with the heaps' locks, the tables of the address space
  free_lists clean_lists_ ACRE_GUARDED_BY(lock_);
  run_index spare_runs_ ACRE_GUARDED_BY(lock_) = 0;
  std::size_t spare_count_ ACRE_GUARDED_BY(lock_) = 0;
  std::size_t freed_runs_ ACRE_GUARDED_BY(lock_) = 0;     ///< runs that were put on a free list
  std::size_t freed_at_pass_ ACRE_GUARDED_BY(lock_) = 0;  ///< at the last pass over the records
  std::size_t live_ ACRE_GUARDED_BY(lock_) = 0;
  std::size_t resident_peak_ ACRE_GUARDED_BY(lock_) = 0;  ///< most of live + dirty so far
  std::size_t dirty_low_ ACRE_GUARDED_BY(lock_) = 0;  ///< fewest dirty pages since the last tick
  /// Runs that a thread is purging with the lock open, each marked with the number of forks by
  /// then.
  run_index purging_ ACRE_GUARDED_BY(lock_) = 0;
  std::atomic<std::uint64_t> forks_{0};  ///< children of fork between the first process and this
  // Written under lock_; read anywhere as hints, relaxed.
  std::atomic<std::size_t> dirty_{0};
  std::atomic<bool> purge_refused_{false};  ///< madvise failed: memory is locked

  // Advanced under lock_, or by compare-exchange without it while a fork is pending.
  std::atomic<std::size_t> frontier_{0};
  std::atomic<run_index> run_count_{1};
  std::atomic<std::size_t> lane_live_{0};   ///< pages taken in the fork lane, not yet in live_
  std::atomic<std::size_t> lane_users_{0};  ///< threads that are taking pages of it now
  // Written by the forking thread before others look.
  std::size_t lane_start_ = 0;
  std::size_t lane_end_ = 0;
  run_index lane_first_run_ = 0;
  std::size_t skipped_ ACRE_GUARDED_BY(lock_) = 0;  ///< pages of lanes that a child skipped
  run_index skipped_runs_ = 0;  ///< these lanes, newest first; written before there are threads

  /// Bit i: home i has had a dirty run. Those that never had one are not looked at.
  unsigned homes_used_ ACRE_GUARDED_BY(lock_) = 0;
  /// The last member: most programs touch the memory of the first home alone.
  std::array<free_lists, home_count> dirty_lists_ ACRE_GUARDED_BY(lock_);
};

extern constinit page_heap process_pages;

}  // namespace acre::heaps
