#include "base/bits.hpp"
#include "heap/address_space.hpp"
#include "heap/page_heap.hpp"
#include "os/background_thread.hpp"
#include "os/memory.hpp"

#include <algorithm>

// How dirty pages go back to the kernel: the largest runs first, for the fewest system calls.
namespace acre::heaps {

/// The longest dirty run, or nearly; 0 when there is none.
run_index page_heap::longest_dirty() noexcept {
  run_index longest = 0;
  for (unsigned homes = homes_used_; homes != 0; homes &= homes - 1) {
    const free_lists& lists = dirty_lists_[static_cast<unsigned>(std::countr_zero(homes))];
    unsigned words = word_count;
    while (words > 0 && lists.used[words - 1] == 0)
      --words;
    if (words == 0) continue;
    const unsigned word = words - 1;
    const run_index run = lists.head[word * 64 + base::log2_floor(lists.used[word])];
    if (longest == 0 || space.runs[run].pages > space.runs[longest].pages) longest = run;
  }
  return longest;
}

/// A dirty run off its list, cut to about `pages`; 0 when there is none.
run_index page_heap::largest_dirty(std::size_t pages) noexcept {
  const run_index run = longest_dirty();
  if (run == 0) return 0;
  unlink(run);
  set_state(space.runs[run], run_state::held);
  if (space.runs[run].pages <= pages) return run;
  // The front part stays: it is the one that best fit takes next.
  const run_index tail = split(run, space.runs[run].pages - pages);
  insert_free(run, run_state::dirty);
  return tail;
}

bool page_heap::note_purge(bool gone) noexcept {
  purge_refused_.store(!gone, std::memory_order_relaxed);
  return gone;
}

/// Purges about `pages` pages while the lock is held; for the thread that is about to grow.
std::size_t page_heap::purge_locked(std::size_t pages) noexcept {
  std::size_t purged = 0;
  while (purged < pages && !purge_refused_hint()) {
    const run_index run = largest_dirty(pages - purged);
    if (run == 0) break;
    const page_run& r = space.runs[run];
    const std::size_t count = r.pages;
    const bool gone = note_purge(os::purge(space.address_of(r.page), count * page_bytes));
    insert_free(run, gone ? run_state::clean : run_state::dirty);
    if (gone) purged += count;
  }
  return purged;
}

/// Takes the lock, and the gate before it when there is one; never waits for the lock with the gate
/// closed.
void page_heap::enter(os::lock* gate) noexcept ACRE_NO_THREAD_SAFETY_ANALYSIS {
  if (gate == nullptr) return lock_.acquire();
  for (;;) {
    gate->acquire();
    if (lock_.try_acquire()) return;
    gate->release();
    os::background_thread::sleep_ms(1);
  }
}

/// The end of `enter`.
void page_heap::leave(os::lock* gate) noexcept ACRE_NO_THREAD_SAFETY_ANALYSIS {
  lock_.release();
  if (gate != nullptr) gate->release();
}

void page_heap::note_purging(run_index run) noexcept {
  page_run& r = space.runs[run];
  live_ += r.pages;  // Held pages count as live.
  r.free_bits[0] = forks_.load(std::memory_order_relaxed);
  r.previous = 0;
  r.next = purging_;
  if (r.next != 0) space.runs[r.next].previous = run;
  purging_ = run;
}

void page_heap::note_purged(run_index run) noexcept {
  const page_run& r = space.runs[run];
  live_ -= r.pages;
  if (r.next != 0) space.runs[r.next].previous = r.previous;
  if (r.previous != 0)
    space.runs[r.previous].next = r.next;
  else
    purging_ = r.next;
}

/// A child of fork has the runs that its parent's threads were purging, and nobody who is.
void page_heap::take_lost_runs() noexcept {
  const std::uint64_t forks = forks_.load(std::memory_order_relaxed);
  for (run_index run = purging_; run != 0;) {
    const run_index next = space.runs[run].next;
    if (space.runs[run].free_bits[0] != forks) {
      note_purged(run);
      insert_free(run, run_state::dirty);
    }
    run = next;
  }
}

std::size_t page_heap::purge_down_to(std::size_t keep_pages, os::lock* gate) noexcept {
  // In pieces, and with the lock open during each system call.
  constexpr std::size_t piece_pages = 1024;
  std::size_t purged = 0;
  std::size_t purged_most = SIZE_MAX;
  for (;;) {
    enter(gate);
    take_lost_runs();
    const std::size_t dirty = dirty_.load(std::memory_order_relaxed);
    const std::size_t surplus = dirty - std::min(dirty, keep_pages);
    // Other threads may free faster than this purges: a trim would not end.
    purged_most = std::min(purged_most, purged + surplus);
    const std::size_t wanted = std::min(piece_pages, purged_most - purged);
    const run_index run = wanted > 0 ? largest_dirty(wanted) : 0;
    std::byte* const start = run != 0 ? space.address_of(space.runs[run].page) : nullptr;
    const std::size_t count = run != 0 ? space.runs[run].pages : 0;
    if (run != 0) note_purging(run);
    if (run == 0) shrink_table();
    leave(gate);
    if (run == 0) return purged;
    const bool gone = os::purge(start, count * page_bytes);
    enter(gate);
    note_purged(run);
    insert_free(run, gone ? run_state::clean : run_state::dirty);
    note_purge(gone);
    leave(gate);
    if (!gone) return purged;
    purged += count;
  }
}

/// Gives a free run another record.
void page_heap::move_record(run_index from, run_index to) noexcept {
  const run_state state = state_of(space.runs[from]);
  unlink(from);
  space.runs[to] = space.runs[from];
  set_state(space.runs[from], run_state::none);
  mark_ends(to);
  link(to, state);
}

/// Lists the unused records below `end`, the lowest first.
void page_heap::list_spare_runs(run_index end) noexcept {
  spare_runs_ = 0;
  spare_count_ = 0;
  for (run_index run = end; run-- > 1;)
    if (state_of(space.runs[run]) == run_state::none) drop_run(run);
}

/// Gives the table's unused end back, after a time with many more runs than now. Free runs move to
/// records at its beginning; slabs and large blocks keep theirs, which may keep part of it.
void page_heap::shrink_table() noexcept {
  constexpr std::size_t worth_it = 4096;
  const run_index count = run_count_.load(std::memory_order_relaxed);
  if (spare_count_ < worth_it || spare_count_ < count / 2) return;
  // What the last pass had to leave, because records in use lie behind it, is not looked for again
  // while no run becomes free.
  if (freed_runs_ == freed_at_pass_) return;
  list_spare_runs(count);
  run_index last = count - 1;
  for (; last > spare_runs_ && spare_runs_ != 0; --last) {
    if (!is_free(state_of(space.runs[last]))) continue;
    move_record(last, new_run());
  }
  last = count - 1;
  while (state_of(space.runs[last]) == run_state::none)
    --last;
  run_count_.store(last + 1, std::memory_order_relaxed);
  list_spare_runs(last + 1);
  freed_at_pass_ = freed_runs_;
  auto* const table = reinterpret_cast<std::byte*>(space.runs);
  const std::size_t keep = base::align_up((last + 1) * sizeof(page_run), page_bytes);
  const std::size_t end = base::align_up(count * sizeof(page_run), page_bytes);
  if (keep < end) (void)os::purge(table + keep, end - keep);
}

void name_moved_pages() noexcept {
  // Written by the purging thread alone.
  static constinit int left_before = moves_most;
  const int left = moves_left.load(std::memory_order_relaxed);
  if (left == left_before) return;
  left_before = left;
  name_usable_pages();
}

/// Leaves three quarters of the mappings that a process may have to the program.
void renew_moves() noexcept {
  constexpr std::size_t mappings_most = 16384;
  if (moves_left.load(std::memory_order_relaxed) > moves_most / 2) return;
  const std::size_t count = std::min(os::mapping_count(), mappings_most);
  moves_left.store(std::min(static_cast<int>(mappings_most - count) / 3, moves_most),
                   std::memory_order_relaxed);
}

std::size_t page_heap::purge_unneeded(os::lock& gate) noexcept {
  enter(&gate);
  take_lost_runs();
  const std::size_t dirty = dirty_.load(std::memory_order_relaxed);
  const std::size_t unneeded = std::min(dirty_low_, dirty);
  leave(&gate);
  // An eighth stays, so that a slow ebb is not followed page by page; small rests go at once.
  constexpr std::size_t small_rest = 64;
  const std::size_t stays = unneeded > small_rest * 8 ? unneeded / 8 : 0;
  const std::size_t purged =
      unneeded > stays ? purge_down_to(dirty - (unneeded - stays), &gate) : 0;
  enter(&gate);
  dirty_low_ = dirty_.load(std::memory_order_relaxed);
  // What was resident once is not a reason to grow again.
  resident_peak_ = std::max(live_ + dirty_.load(std::memory_order_relaxed),
                            resident_peak_ - std::min(resident_peak_, purged));
  shrink_table();
  leave(&gate);
  return purged;
}

}  // namespace acre::heaps
