#include "heap/fork.hpp"

#include "heap/address_space.hpp"
#include "heap/allocate.hpp"
#include "heap/page_heap.hpp"
#include "heap/purger.hpp"
#include "heap/registry.hpp"
#include "heap/remote.hpp"

#include <algorithm>

#include <sys/single_threaded.h>

namespace acre::heaps {

constinit std::atomic<std::uint32_t> fork_pending{0};

namespace {

/// Parked runs, linked by `page_run::next`. Pushed with release, taken whole with acquire.
constinit std::atomic<run_index> parked_runs{0};

struct parked_batch {
  parked_batch* next;
  run_index run;  ///< the pages this batch lies in
  std::uint32_t count;
  void* blocks[(page_bytes - 16) / sizeof(void*)];
};
static_assert(sizeof(parked_batch) <= page_bytes);

/// Parked blocks. Pushed with release, taken whole with acquire.
constinit std::atomic<parked_batch*> parked_batches{nullptr};

void release_parked() noexcept {
  for (run_index run = parked_runs.exchange(0, std::memory_order_acquire); run != 0;) {
    const run_index next = space.runs[run].next;
    process_pages.release(run);
    run = next;
  }
  parked_batch* batch = parked_batches.exchange(nullptr, std::memory_order_acquire);
  while (batch != nullptr) {
    parked_batch* const next = batch->next;
    for (std::uint32_t i = 0; i < batch->count; ++i)
      free_direct(*space.owner[space.page_of(batch->blocks[i])], batch->blocks[i]);
    process_pages.release(batch->run);
    batch = next;
  }
}

}  // namespace

void park_run(run_index run) noexcept {
  run_index head = parked_runs.load(std::memory_order_relaxed);
  do {
    space.runs[run].next = head;
  } while (!parked_runs.compare_exchange_weak(head, run, std::memory_order_release,
                                              std::memory_order_relaxed));
}

bool park_blocks(void* const* blocks, std::size_t count) noexcept {
  while (count > 0) {
    const page_grant grant = process_pages.allocate({.pages = 1, .state = run_state::held});
    if (grant.run == 0) return false;
    auto* const batch =
        reinterpret_cast<parked_batch*>(space.address_of(space.runs[grant.run].page));
    batch->run = grant.run;
    batch->count = static_cast<std::uint32_t>(std::min(count, std::size(batch->blocks)));
    std::copy(blocks, blocks + batch->count, batch->blocks);
    blocks += batch->count;
    count -= batch->count;
    batch->next = parked_batches.load(std::memory_order_relaxed);
    while (!parked_batches.compare_exchange_weak(batch->next, batch, std::memory_order_release,
                                                 std::memory_order_relaxed)) {
    }
  }
  return true;
}

void before_fork() noexcept ACRE_NO_THREAD_SAFETY_ANALYSIS {
  lock_heaps_for_fork();
  process_pages.lock_for_fork();
  fork_pending.store(1, std::memory_order_seq_cst);
  wake_heap_waiters();
  process_pages.wake_waiters();
}

void after_fork_in_parent() noexcept ACRE_NO_THREAD_SAFETY_ANALYSIS {
  fork_pending.store(0, std::memory_order_seq_cst);
  process_pages.unlock_after_fork_in_parent();
  unlock_heaps_after_fork_in_parent();
  release_parked();
}

void after_fork_in_child() noexcept ACRE_NO_THREAD_SAFETY_ANALYSIS {
  // What other threads parked while the kernel copied the pages is not to be trusted; it stays live.
  parked_runs.store(0, std::memory_order_relaxed);
  parked_batches.store(nullptr, std::memory_order_relaxed);
  fork_pending.store(0, std::memory_order_seq_cst);
  process_pages.unlock_after_fork_in_child();
  unlock_heaps_after_fork_in_child();
  reset_purger_after_fork();
}

// The page heap's side.

void page_heap::lock_for_fork() noexcept ACRE_NO_THREAD_SAFETY_ANALYSIS {
  lock_.acquire();
  const std::size_t start = frontier_.load(std::memory_order_relaxed);
  lane_start_ = start;
  lane_first_run_ = run_count_.load(std::memory_order_relaxed);
  // A program with one thread needs none (the flag is glibc's, see its manual).
  const std::size_t wanted = __libc_single_threaded != 0 ? 0 : fork_lane_pages;
  lane_end_ = std::max(start, std::min(start + wanted, committed_pages()));
}

void page_heap::wake_waiters() noexcept { lock_.wake_all(); }

/// Pages past the frontier, taken by compare-exchange while another thread is forking.
page_grant page_heap::allocate_in_fork_lane(const page_request& request) noexcept {
  std::size_t start = frontier_.load(std::memory_order_relaxed);
  std::size_t first = 0;
  std::size_t end = 0;
  do {
    first = aligned_page(start, request.alignment_pages);
    end = first + request.pages;
    if (end > lane_end_) return allocate_after_fork(request);
  } while (!frontier_.compare_exchange_weak(start, end, std::memory_order_relaxed));
  const auto make = [this](std::size_t page, std::size_t count, run_state state) {
    const run_index run = run_count_.fetch_add(1, std::memory_order_relaxed);
    page_run& r = space.runs[run];
    r.page = static_cast<std::uint32_t>(page);
    r.pages = static_cast<std::uint32_t>(count);
    r.state = state;
    space.run_of_page[page] = run;
    space.run_of_page[page + count - 1] = run;
    return run;
  };
  // What alignment skipped stays held for ever: a few pages of address space.
  if (first > start) (void)make(start, first - start, run_state::held);
  const run_index run = make(first, request.pages, request.state);
  space.runs[run].was_clean = true;
  lane_live_.fetch_add(end - start, std::memory_order_relaxed);
  return {.run = run, .reads_zero = true};
}

/// The lane is used up, or the fork is over by now: wait for the lock like anyone.
page_grant page_heap::allocate_after_fork(const page_request& request) noexcept {
  lock_.acquire();
  lock_.release();
  return allocate(request);
}

void page_heap::unlock_after_fork_in_parent() noexcept ACRE_NO_THREAD_SAFETY_ANALYSIS {
  live_ += lane_live_.exchange(0, std::memory_order_relaxed);
  lock_.release();
  lock_.wake_all();
}

void page_heap::unlock_after_fork_in_child() noexcept ACRE_NO_THREAD_SAFETY_ANALYSIS {
  // Skip all that other threads may have written to: the lane becomes one run that is never used.
  lane_live_.store(0, std::memory_order_relaxed);
  if (lane_end_ > lane_start_) {
    const std::size_t count = lane_end_ - lane_start_;
    const auto run = static_cast<run_index>(lane_first_run_ + count);
    run_count_.store(run + 1, std::memory_order_relaxed);
    frontier_.store(lane_end_, std::memory_order_relaxed);
    page_run& r = space.runs[run];
    r.page = static_cast<std::uint32_t>(lane_start_);
    r.pages = static_cast<std::uint32_t>(count);
    r.state = run_state::held;
    mark_ends(run);
    skipped_ += count;
  }
  lock_.reset();
}

}  // namespace acre::heaps
