#include "heap/fork.hpp"

#include "heap/address_space.hpp"
#include "heap/allocate.hpp"
#include "heap/page_heap.hpp"
#include "heap/purger.hpp"
#include "heap/registry.hpp"
#include "heap/remote.hpp"
#include "os/background_thread.hpp"

#include <algorithm>

#include <pthread.h>
#include <signal.h>
#include <sys/single_threaded.h>

// glibc's lock of the list of open streams; recursive. fork takes it after all handlers and may
// wait long for it. Weak: other C libraries have none.
extern "C" {
// NOLINTBEGIN(bugprone-reserved-identifier,readability-identifier-naming): the names are glibc's.
[[gnu::weak]] void _IO_list_lock();
[[gnu::weak]] void _IO_list_unlock();
[[gnu::weak]] void _IO_list_resetlock();
// NOLINTEND(bugprone-reserved-identifier,readability-identifier-naming)
}

namespace acre::heaps {

constinit std::atomic<std::uint32_t> fork_pending{0};

namespace {

/// Parked runs by length, linked by `page_run::next`; the last list takes all that are longer.
///
/// While a fork waits for a lock of libc's, other threads may allocate and free the same sizes for
/// as long as they like: what they park is what they take next, so that the lane is not used up. A
/// head is a run below a count of changes, which keeps a pop from mistaking a list that changed and
/// changed back. Pushed with release, taken with acquire.
constexpr std::size_t parked_lists = 257;
constinit std::atomic<std::uint64_t> parked_runs[parked_lists]{};

constexpr std::uint64_t head_of(std::uint64_t before, run_index run) noexcept {
  return ((before >> 32U) + 1) << 32U | run;
}

std::atomic<std::uint64_t>& parked_list(std::size_t pages) noexcept {
  return parked_runs[std::min(pages, parked_lists) - 1];
}

/// A parked run of just that length, or 0.
run_index take_parked(std::size_t pages) noexcept {
  if (pages >= parked_lists) return 0;
  std::atomic<std::uint64_t>& list = parked_list(pages);
  std::uint64_t head = list.load(std::memory_order_acquire);
  while (static_cast<run_index>(head) != 0) {
    const auto run = static_cast<run_index>(head);
    const run_index next = std::atomic_ref(space.runs[run].next).load(std::memory_order_relaxed);
    if (list.compare_exchange_weak(head, head_of(head, next), std::memory_order_acquire,
                                   std::memory_order_acquire))
      return run;
  }
  return 0;
}

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
  for (std::size_t pages = 1; pages <= parked_lists; ++pages) {
    std::atomic<std::uint64_t>& list = parked_list(pages);
    std::uint64_t head = list.load(std::memory_order_relaxed);
    if (static_cast<run_index>(head) == 0) continue;
    while (!list.compare_exchange_weak(head, head_of(head, 0), std::memory_order_acquire,
                                       std::memory_order_relaxed)) {
    }
    for (auto run = static_cast<run_index>(head); run != 0;) {
      const run_index next = space.runs[run].next;
      process_pages.release(run);
      run = next;
    }
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
  std::atomic<std::uint64_t>& list = parked_list(space.runs[run].pages);
  std::uint64_t head = list.load(std::memory_order_relaxed);
  do {
    std::atomic_ref(space.runs[run].next)
        .store(static_cast<run_index>(head), std::memory_order_relaxed);
  } while (!list.compare_exchange_weak(head, head_of(head, run), std::memory_order_release,
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

namespace {

/// The fork of a program with one thread; written by that thread alone.
constinit bool alone = false;
constinit std::uint64_t signals_before = 0;

/// A signal handler may fork while the code that it interrupted is inside the heap: no lock that
/// this code may hold is touched. The heap's own thread is kept out by a lock that no other takes.
void before_fork_alone() noexcept {
  std::uint64_t all = ~std::uint64_t{0};
  std::uint64_t before = 0;
  os::raw_syscall(SYS_rt_sigprocmask, SIG_SETMASK, os::as_long(&all), os::as_long(&before),
                  sizeof before);
  signals_before = before;
  alone = true;
  fork_pending.store(1, std::memory_order_seq_cst);
  stop_purger();
  fork_pending.store(0, std::memory_order_seq_cst);
}

void after_fork_alone() noexcept {
  alone = false;
  std::uint64_t before = signals_before;
  os::raw_syscall(SYS_rt_sigprocmask, SIG_SETMASK, os::as_long(&before), 0, sizeof before);
}

}  // namespace

void release_all_parked() noexcept {
  release_parked();
}

void before_fork() noexcept ACRE_NO_THREAD_SAFETY_ANALYSIS {
  if (__libc_single_threaded != 0) return before_fork_alone();
  // fork takes it after this handler and may wait long for it; so the heap is closed only once it
  // is held, in glibc's own order.
  if (_IO_list_lock != nullptr && _IO_list_unlock != nullptr) _IO_list_lock();
  lock_heaps_for_fork();
  process_pages.lock_for_fork();
  fork_pending.store(1, std::memory_order_seq_cst);
  wake_heap_waiters();
  process_pages.wake_waiters();
}

void after_fork_in_parent() noexcept ACRE_NO_THREAD_SAFETY_ANALYSIS {
  if (alone) {
    let_purger_go();
    return after_fork_alone();
  }
  fork_pending.store(0, std::memory_order_seq_cst);
  process_pages.unlock_after_fork_in_parent();
  unlock_heaps_after_fork_in_parent();
  if (_IO_list_lock != nullptr && _IO_list_unlock != nullptr) _IO_list_unlock();
  release_parked();
}

void after_fork_in_child() noexcept ACRE_NO_THREAD_SAFETY_ANALYSIS {
  if (alone) {
    reset_purger_after_fork();
    own_heap_after_fork();
    process_pages.note_child_of_fork();
    return after_fork_alone();
  }
  // What other threads parked while the kernel copied the pages is not to be trusted; it stays
  // live.
  for (auto& list : parked_runs)
    list.store(0, std::memory_order_relaxed);
  parked_batches.store(nullptr, std::memory_order_relaxed);
  fork_pending.store(0, std::memory_order_seq_cst);
  process_pages.unlock_after_fork_in_child();
  unlock_heaps_after_fork_in_child();
  reset_purger_after_fork();
  if (_IO_list_resetlock != nullptr) _IO_list_resetlock();
}

namespace {

/// Early: handlers that are registered first run last before the fork, so that what others do in
/// theirs finds the heap open. Here, in a file that every user of the heap links.
[[gnu::constructor(101)]] void register_fork_handlers() noexcept {
  pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child);
}

}  // namespace

// The page heap's side.

void page_heap::lock_for_fork() noexcept ACRE_NO_THREAD_SAFETY_ANALYSIS {
  lock_.acquire();
  const std::size_t start = frontier_.load(std::memory_order_relaxed);
  lane_start_ = start;
  lane_first_run_ = run_count_.load(std::memory_order_relaxed);
  // Under an address space limit pages are mapped stepwise; then the lane is as long as the limit
  // allows.
  for (std::size_t pages = fork_lane_pages; pages >= 64 && !commit_up_to(start + pages);)
    pages /= 2;
  lane_end_ = std::max(start, std::min(start + fork_lane_pages, committed_pages()));
}

void page_heap::wake_waiters() noexcept {
  lock_.wake_all();
}

/// Pages past the frontier, taken by compare-exchange while another thread is forking.
page_grant page_heap::allocate_in_fork_lane(const page_request& request) noexcept {
  // The forking thread waits until nobody is in here: behind it the frontier moves under the lock.
  lane_users_.fetch_add(1, std::memory_order_seq_cst);
  page_grant grant;
  bool done = false;
  if (fork_pending.load(std::memory_order_seq_cst) != 0) done = take_lane(request, grant);
  lane_users_.fetch_sub(1, std::memory_order_release);
  return done ? grant : allocate_after_fork(request);
}

/// False when the lane is used up.
bool page_heap::take_lane(const page_request& request, page_grant& grant) noexcept {
  if (request.alignment_pages == 1 && request.source == page_source::any) {
    if (const run_index run = take_parked(request.pages); run != 0) {
      set_state(space.runs[run], request.state);
      grant = {.run = run, .reads_zero = false};
      return true;
    }
  }
  std::size_t start = frontier_.load(std::memory_order_relaxed);
  std::size_t first = 0;
  std::size_t end = 0;
  do {
    first = aligned_page(start, request.alignment_pages);
    end = first + request.pages;
    if (end > lane_end_) return false;
  } while (!frontier_.compare_exchange_weak(start, end, std::memory_order_relaxed));
  const auto make = [this](std::size_t page, std::size_t count, run_state state) {
    const run_index run = run_count_.fetch_add(1, std::memory_order_relaxed);
    page_run& r = space.runs[run];
    r.page = static_cast<std::uint32_t>(page);
    r.pages = static_cast<std::uint32_t>(count);
    set_state(r, state);
    // release: whoever holds the lock may look at these pages as neighbours at any time.
    std::atomic_ref(space.run_of_page[page]).store(run, std::memory_order_release);
    std::atomic_ref(space.run_of_page[page + count - 1]).store(run, std::memory_order_release);
    return run;
  };
  // What alignment skipped stays held for ever: a few pages of address space.
  if (first > start) (void)make(start, first - start, run_state::held);
  const run_index run = make(first, request.pages, request.state);
  if (request.state == run_state::large) mark_inside(run, first);
  lane_live_.fetch_add(end - start, std::memory_order_relaxed);
  grant = {.run = run, .reads_zero = true};
  return true;
}

/// The lane is used up, or the fork is over by now: wait for the lock like anyone.
page_grant page_heap::allocate_after_fork(const page_request& request) noexcept {
  lock_.acquire();
  lock_.release();
  return allocate(request);
}

void page_heap::unlock_after_fork_in_parent() noexcept ACRE_NO_THREAD_SAFETY_ANALYSIS {
  while (lane_users_.load(std::memory_order_seq_cst) != 0)
    os::background_thread::sleep_ms(0);
  live_ += lane_live_.exchange(0, std::memory_order_relaxed);
  lock_.release();
  lock_.wake_all();
}

void page_heap::unlock_after_fork_in_child() noexcept ACRE_NO_THREAD_SAFETY_ANALYSIS {
  note_child_of_fork();
  // Skip all that other threads may have written to: the lane becomes one run that is never used.
  lane_live_.store(0, std::memory_order_relaxed);
  lane_users_.store(0, std::memory_order_relaxed);
  if (lane_end_ > lane_start_) {
    const std::size_t count = lane_end_ - lane_start_;
    const auto run = static_cast<run_index>(lane_first_run_ + count);
    run_count_.store(run + 1, std::memory_order_relaxed);
    frontier_.store(lane_end_, std::memory_order_relaxed);
    page_run& r = space.runs[run];
    r.page = static_cast<std::uint32_t>(lane_start_);
    r.pages = static_cast<std::uint32_t>(count);
    set_state(r, run_state::held);
    r.owned_next = space.run_of_page[lane_start_];  // What `skipped_bytes` looks at instead.
    mark_ends(run);
    r.next = skipped_runs_;
    skipped_runs_ = run;
    skipped_ += count;
  }
  lock_.reset();
}

std::size_t page_heap::skipped_bytes(std::size_t page) const noexcept {
  for (run_index run = skipped_runs_; run != 0; run = space.runs[run].next) {
    const page_run& lane = space.runs[run];
    if (page - lane.page >= lane.pages) continue;
    const page_run& block =
        space.runs[page == lane.page ? lane.owned_next : space.run_of_page[page]];
    const bool whole = state_of(block) == run_state::large && block.page == page &&
                       block.pages <= lane.page + lane.pages - page;
    return (whole ? block.pages : 1) * page_bytes;
  }
  return 0;
}

}  // namespace acre::heaps
