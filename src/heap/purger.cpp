#include "heap/purger.hpp"

#include "heap/config.hpp"
#include "heap/fork.hpp"
#include "heap/free_slots.hpp"
#include "heap/idle.hpp"
#include "heap/page_heap.hpp"
#include "heap/registry.hpp"
#include "heap/slabs.hpp"
#include "os/background_thread.hpp"
#include "os/lock.hpp"
#include "os/memory.hpp"
#include "os/waiting_thread.hpp"

#include <algorithm>
#include <atomic>

namespace acre::heaps {

namespace {

/// Free memory below this waits for use: 2 MiB.
constexpr std::size_t worth_a_thread_pages = 512;
constexpr int quiet_intervals_max = 4;
/// Threads that wake now and then and need little do not keep the purging thread: 256 KiB, a few
/// slabs of the larger classes.
constexpr std::size_t worth_an_interval_pages = 64;
/// How long after it ended the thread is tried again where the kernel refuses to take pages.
constexpr long refused_again_ms = 5000;
/// So many threads' caches are worth a look even when little is free, but not all the time: the
/// thread starts, since the program may call no more, and waits.
constexpr std::size_t worth_a_thread_heaps = 16;
constexpr long heaps_again_ms = 5000;
/// However short the delay: memory goes after one to two delays.
constexpr std::int64_t least_interval_ms = 10;

constinit os::background_thread thread;

/// When the thread, or a round of its work, ended last.
constinit std::atomic<long> ended_ms{0};

/// Held by the thread while it is inside the heap, where it waits for no lock that a thread which
/// forks may hold; and by a thread that forks.
constinit os::lock gate;

void drop_empty(heap_body& heap, void*) noexcept {
  // A heap that is busy is not idle.
  if (!heap.lock.try_acquire()) return;
  drop_empty_slabs(heap);
  heap.lock.release();
}

/// Whether much lies in empty slabs of heaps that nobody allocates from any more.
bool slabs_wait() noexcept {
  return pages_left_empty.load(std::memory_order_relaxed) >= worth_a_thread_pages;
}

/// Whether the options, which are read after the first allocations, let the thread run.
bool may_run() noexcept {
  return config.background.load(std::memory_order_relaxed) &&
         config.purge_delay_ms.load(std::memory_order_relaxed) >= 0;
}

/// Whether memory is free that may go when the program comes to rest, even if it used all of it in
/// the interval that ends now: it may not call again, and no other thread would be started.
bool much_may_go() noexcept {
  return process_pages.dirty_hint() >= worth_a_thread_pages && !process_pages.purge_refused_hint();
}

/// Whether many threads' caches are to be looked at.
bool heaps_wait() noexcept {
  return used_heaps() >= worth_a_thread_heaps;
}

void sleep_for_an_interval() noexcept {
  const std::int64_t delay = config.purge_delay_ms.load(std::memory_order_relaxed);
  os::background_thread::sleep_ms(std::max(delay, least_interval_ms));
}

/// Until the caches have not been looked at for a while, or something else is to be done. False
/// when the program gave up rights meanwhile, which the thread had.
bool rest_since_last_look(bool had_rights) noexcept {
  const long last = ended_ms.load(std::memory_order_relaxed);
  while (may_run() && heaps_wait() && os::now_ms() - last < heaps_again_ms &&
         process_pages.dirty_hint() < worth_a_thread_pages && !slabs_wait()) {
    sleep_for_an_interval();
    if (had_rights && !os::has_rights_of_process()) return false;
  }
  return true;
}

/// Ends when there is nothing to do, or without the rights of the process. Whether there is reason
/// to look again: many threads used their heaps around the last look at them; they may wait from
/// now on, and call no more.
bool purge_while_useful() noexcept {
  int quiet = 0;
  bool dropped = false;
  idle_outcome idle;
  std::size_t heaps_at_look = 0;
  // What was just taken is looked at once more.
  while (may_run() && (quiet < quiet_intervals_max ||
                       (idle.taken > 0 && quiet < 2 * quiet_intervals_max) || much_may_go())) {
    sleep_for_an_interval();
    gate.acquire();
    // While a fork is pending it would all be parked again.
    if (fork_pending.load(std::memory_order_relaxed) == 0) release_all_parked();
    empty_left_heaps();
    gate.release();
    idle = search_idle_heaps(gate);
    heaps_at_look = used_heaps();
    const std::size_t purged = process_pages.purge_unneeded(gate);
    name_moved_pages();
    renew_moves();
    const bool is_quiet = purged + idle.freed_pages < worth_an_interval_pages;
    quiet = is_quiet ? std::min(quiet + 1, 2 * quiet_intervals_max) : 0;
    // The program was busy since the empty slabs went.
    dropped = dropped && purged < worth_a_thread_pages && !slabs_wait();
    if (!os::has_rights_of_process()) return false;
    // Once all is quiet: the empty slabs that heaps keep for their next allocation.
    if (quiet > 0 && !dropped) {
      gate.acquire();
      dropped = try_each_heap(drop_empty, nullptr);
      gate.release();
      purge_free_slots(&gate);
      quiet = 1;  // What is free now goes in the next intervals.
    }
  }
  const std::size_t came_back = std::max(used_heaps(), heaps_at_look) - heaps_at_look;
  return may_run() && idle.used + idle.taken + came_back >= worth_a_thread_heaps;
}

/// Rights that the program gives up end the thread within an interval, since it would keep them;
/// the next one has those of the thread that starts it. Where that one gave them up for itself
/// alone, each new thread has fewer than the first: then it works for one interval.
void run() noexcept {
  const bool had_rights = os::has_rights_of_process();
  bool again = false;
  do {
    again = rest_since_last_look(had_rights) && purge_while_useful();
    ended_ms.store(os::now_ms(), std::memory_order_relaxed);
  } while (again);
}

/// Whether pages could not go a moment ago, since they are locked.
bool was_just_refused() noexcept {
  return process_pages.purge_refused_hint() &&
         os::now_ms() - ended_ms.load(std::memory_order_relaxed) < refused_again_ms;
}

}  // namespace

void purge_later() noexcept {
  if (thread.running()) return;
  if (process_pages.dirty_hint() < worth_a_thread_pages && !slabs_wait() && !heaps_wait()) return;
  if (!may_run() || was_just_refused()) return;
  thread.start(run);
}

unsigned long purge_now(unsigned long keep_pages) noexcept {
  // As the purging thread, which may not run now: who saw a fork may have parked after its end.
  if (fork_pending.load(std::memory_order_relaxed) == 0) release_all_parked();
  empty_waiting_heaps();
  empty_left_heaps();
  for_each_heap(
      [](heap_body& heap, void*) noexcept {
        const os::hold guard(heap.lock);
        drop_empty_slabs(heap);
      },
      nullptr);
  purge_free_slots(nullptr);
  return process_pages.purge_down_to(keep_pages);
}

bool drop_all_empty_slabs() noexcept {
  empty_left_heaps();
  return try_each_heap(drop_empty, nullptr);
}

bool is_purging_thread() noexcept {
  return thread.is_here();
}

void reset_purger_after_fork() noexcept {
  thread.reset();
  gate.reset();
}

void stop_purger() noexcept ACRE_NO_THREAD_SAFETY_ANALYSIS {
  gate.acquire();
}
void let_purger_go() noexcept ACRE_NO_THREAD_SAFETY_ANALYSIS {
  gate.release();
}

}  // namespace acre::heaps
