#include "heap/purger.hpp"

#include "heap/config.hpp"
#include "heap/fork.hpp"
#include "heap/page_heap.hpp"
#include "heap/registry.hpp"
#include "heap/slabs.hpp"
#include "os/background_thread.hpp"
#include "os/lock.hpp"

#include <algorithm>
#include <atomic>

namespace acre::heaps {

namespace {

/// Free memory below this waits for use: 2 MiB.
constexpr std::size_t worth_a_thread_pages = 512;
constexpr int quiet_intervals_max = 4;
/// However short the delay: memory goes after one to two delays.
constexpr std::int64_t least_interval_ms = 10;

constinit os::background_thread thread;

/// Held by the thread while it is inside the heap, where it waits for no lock that a thread which
/// forks may hold; and by a thread that forks.
constinit os::lock gate;

void drop_empty(heap_body& heap, void*) noexcept {
  // A heap that is busy is not idle.
  if (!heap.lock.try_acquire()) return;
  drop_empty_slabs(heap);
  heap.lock.release();
}

/// One run of the thread; ends when there is nothing to do.
void purge_while_useful() noexcept {
  int quiet = 0;
  bool dropped = false;
  while (quiet < quiet_intervals_max) {
    const std::int64_t delay = config.purge_delay_ms.load(std::memory_order_relaxed);
    os::background_thread::sleep_ms(std::max(delay, least_interval_ms));
    // While a fork is pending it would all be parked again.
    if (fork_pending.load(std::memory_order_relaxed) == 0) release_all_parked();
    const std::size_t purged = process_pages.purge_unneeded(gate);
    quiet = purged == 0 ? quiet + 1 : 0;
    // Once all is quiet: the empty slabs that heaps keep for their next allocation.
    if (quiet == 1 && !dropped) {
      gate.acquire();
      dropped = try_each_heap(drop_empty, nullptr);
      gate.release();
    }
  }
}

}  // namespace

void purge_later() noexcept {
  if (process_pages.dirty_hint() < worth_a_thread_pages || thread.running()) return;
  if (config.purge_delay_ms.load(std::memory_order_relaxed) < 0) return;
  if (!config.background.load(std::memory_order_relaxed)) return;
  thread.start(purge_while_useful);
}

unsigned long purge_now(unsigned long keep_pages) noexcept {
  for_each_heap(
      [](heap_body& heap, void*) noexcept {
        const os::hold guard(heap.lock);
        drop_empty_slabs(heap);
      },
      nullptr);
  return process_pages.purge_down_to(keep_pages);
}

bool drop_all_empty_slabs() noexcept {
  return try_each_heap(drop_empty, nullptr);
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
