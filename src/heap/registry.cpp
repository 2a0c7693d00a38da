#include "heap/registry.hpp"

#include "base/sanitizer.hpp"
#include "heap/address_space.hpp"
#include "heap/deep_stack.hpp"
#include "heap/foreign.hpp"
#include "heap/fork.hpp"
#include "heap/page_heap.hpp"
#include "heap/past_counts.hpp"
#include "heap/purger.hpp"
#include "heap/remote.hpp"
#include "heap/slabs.hpp"
#include "heap/stacks.hpp"
#include "os/waiting_thread.hpp"

#include <algorithm>
#include <new>

#include <pthread.h>
#include <sys/auxv.h>

#if ACRE_TSAN
extern "C" void AnnotateBenignRaceSized(const char*, int, const volatile void*, std::size_t,
                                        const char*);
#endif

namespace acre::heaps {

constinit thread_local bin* current __attribute__((tls_model("initial-exec"))) = no_bins;
constinit bin no_bins[class_count] = {};

namespace {

/// The calling thread's heap, or null. Written by the thread alone; the heap leads back to its
/// `current`.
constinit thread_local heap_body* own __attribute__((tls_model("initial-exec"))) = nullptr;

/// The thread has left its heap for ever: its key destructors are being called.
constinit thread_local bool ending __attribute__((tls_model("initial-exec"))) = false;

/// Every heap, linked by `next_all`; grows under registry_lock. Read with acquire.
constinit std::atomic<heap_body*> all_heaps{nullptr};
constinit std::atomic<std::size_t> heaps_in_use{0};
/// Written once under registry_lock, before any heap has an owner.
constinit std::uintptr_t stack_end = 0;

os::lock registry_lock;  // guards all below and the heaps' fields that say so
heap_body* idle_heaps ACRE_GUARDED_BY(registry_lock) = nullptr;
heap_body* spare_objects ACRE_GUARDED_BY(registry_lock) = nullptr;
thread_counts threads ACRE_GUARDED_BY(registry_lock);
std::uint8_t next_home ACRE_GUARDED_BY(registry_lock) = 0;
std::size_t retired_count ACRE_GUARDED_BY(registry_lock) = 0;
std::size_t left_bytes ACRE_GUARDED_BY(registry_lock) = 0;  ///< of all heaps: see leave_filled
bool key_made ACRE_GUARDED_BY(registry_lock) = false;
pthread_key_t exit_key;

/// Written once under registry_lock; acquire and release pair so that the body is seen whole.
constinit std::atomic<heap_body*> common{nullptr};

/// What idle heaps may hold for threads to come: half of what is worth a purging thread.
constexpr std::size_t left_bytes_max = std::size_t{1} << 20;

/// The first round of key destructors goes by, since most of what they free is freed there. The
/// heap is left in the second, so that a thread that first allocates in an early round leaves, too:
/// there may be only PTHREAD_DESTRUCTOR_ITERATIONS (4) of them.
#if ACRE_TSAN
constexpr std::uintptr_t last_round = 1;  // It ends its own thread state in one of the later ones.
#else
constexpr std::uintptr_t last_round = 2;
#endif

/// From now on others may take the heap for idle; see idle.hpp. Only a thread whose end is noticed
/// is recorded, so that what is recorded is there.
void record_owner(heap_body& heap) noexcept {
  const std::int32_t process = os::process_id();
  const std::int32_t thread = os::thread_id();
  if (!heap.lock.acquire_unless(fork_pending)) return;
  heap.owner = {.current = &current, .process = process, .thread = thread};
  count_left_empty(heap, 0);
  heap.lock.release();
  heaps_in_use.fetch_add(1, std::memory_order_relaxed);
}

/// The thread's heap was taken for idle. Null when a fork is pending.
bin* take_back(heap_body& heap) noexcept {
  if (!heap.lock.acquire_unless(fork_pending)) return nullptr;
  if (heap.owner.emptied) heaps_in_use.fetch_add(1, std::memory_order_relaxed);
  heap.owner.taken = false;
  heap.owner.emptied = false;
  current = heap.bins;
  heap.lock.release();
  return heap.bins;
}

/// What emptying a bin would free: what it caches, or the slabs that no live block can keep. One
/// cached block may keep a whole slab.
std::size_t left_in(const heap_body& heap, const bin& b) noexcept ACRE_REQUIRES(heap.lock) {
  const unsigned size_class = class_of_bin(heap, b);
  const class_shape& shape = class_shapes[size_class];
  const class_slabs& slabs = heap.slabs[size_class];
  const std::size_t slots = slabs.pages * shape.first_slab.blocks / shape.first_slab.pages;
  const std::size_t live = slots - std::min(slots, cached(b) + slabs.free_slots);
  const std::size_t kept = std::min<std::size_t>(slabs.pages, live * shape.first_slab.pages);
  return std::max(cached(b) * shape.bytes, (slabs.pages - kept) * page_bytes);
}

/// Whether the thread that ends was short: that it took at most eight times as many blocks as its
/// caches hold. To empty these, and to fill them again for the next thread, is then a good part of
/// what it costs.
bool was_short(heap_body& heap) noexcept {
  std::size_t taken = 0;
  std::size_t held = 0;
  for_each_used_bin(heap, [&](const bin& b) {
    taken += allocations(b) - b.looked_at;
    held += cached(b);
  });
  return taken <= held * 8;
}

/// Leaves in the caches what the thread itself used of them, for one like it; returns what emptying
/// them and giving the spare runs back would free.
std::size_t drop_surplus(heap_body& heap) noexcept {
  const os::hold guard(heap.lock);
  std::size_t bytes = 0;
  for_each_used_bin(heap, [&](bin& b) ACRE_NO_THREAD_SAFETY_ANALYSIS {
    const std::size_t taken = allocations(b) - b.looked_at;
    if (cached(b) > taken) flush_oldest(heap, b, cached(b) - taken);
    bytes += left_in(heap, b);
    const class_shape& shape = class_shapes[class_of_bin(heap, b)];
    if (is_deep(heap, b)) {
      if (cached(b) == 0) leave_deep_stack(heap, b);
    } else if (taken <= shape.cache_first && cached(b) <= idle_capacity(shape)) {
      set_idle_capacity(heap, b);
    }
  });
  return bytes + heap.spare_pages * page_bytes;
}

/// Leaves a short thread's caches to the next thread, unless idle heaps would then hold too much.
[[nodiscard]] bool leave_filled(heap_body& heap) noexcept {
  if (!was_short(heap)) return false;
  const std::size_t bytes = drop_surplus(heap);
  const os::hold guard(registry_lock);
  if (left_bytes + bytes > left_bytes_max) return false;
  left_bytes += bytes;
  heap.left_bytes = bytes;
  return true;
}

/// Whether no block waits in the heap's caches for a lock.
[[nodiscard]] bool is_emptied(heap_body& heap) noexcept {
  std::size_t waiting = 0;
  for_each_used_bin(heap, [&waiting](const bin& b) { waiting += cached(b); });
  for (const remote_batch& batch : heap.batches)
    waiting += batch.count;
  return waiting == 0;
}

void forget_left(heap_body& heap) noexcept ACRE_REQUIRES(registry_lock) {
  left_bytes -= heap.left_bytes;
  heap.left_bytes = 0;
}

void detach_thread() noexcept {
  heap_body& heap = *own;
  ending = true;
  {
    // Waits until nobody empties the heap as an idle one, and nobody will again.
    const os::hold guard(heap.lock);
    forget_owner(heap);
  }
  current = no_bins;
  own = nullptr;
  if (!leave_filled(heap)) {
    send_foreign_home(heap);
    heap.lock.acquire();
    flush_all(heap);
    heap.lock.release();
  }
  send_all_batches(heap);
  // The next thread counts anew.
  for_each_used_bin(heap, [](bin& b) {
    b.looked_at = allocations(b);
    b.foreign = 0;
  });
  {
    const os::hold guard(registry_lock);
    heap.idle = true;
    heap.next_idle = idle_heaps;
    idle_heaps = &heap;
    --threads.now;
  }
  // Nobody may come by here again.
  purge_later();
}

/// Key destructors may allocate and free, and more may be called after this one: wait for the next
/// round. (The value counts the rounds.)
void thread_exits(void* value) noexcept {
  const auto round = reinterpret_cast<std::uintptr_t>(value);
  if (round < last_round)
    pthread_setspecific(exit_key, reinterpret_cast<void*>(round + 1));
  else if (own != nullptr)
    detach_thread();
}

heap_body* new_body(body_kind kind) noexcept ACRE_REQUIRES(registry_lock) {
  constexpr std::size_t count = body_bytes / page_bytes;
  const page_grant grant = process_pages.allocate({.pages = count,
                                                   .alignment_pages = count,
                                                   .state = run_state::held,
                                                   .source = page_source::clean_only});
  if (grant.run == 0) return nullptr;
  // Only what is not zero is written, so that one page is touched.
  auto* const heap =
      std::launder(reinterpret_cast<heap_body*>(space.address_of(space.runs[grant.run].page)));
  heap->kind = kind;
  if (kind == body_kind::thread) heap->home = next_home++ % home_count;
  heap->next_all = all_heaps.load(std::memory_order_relaxed);
  all_heaps.store(heap, std::memory_order_release);
  return heap;
}

#if ACRE_TSAN
/// Threads without a heap all count `no_bins` down, below zero: whatever a race stores there, the
/// result of the subtraction is negative, and the slow path is taken. Told before the first threads
/// start, which may come here at once.
[[gnu::constructor]] void declare_benign_race() noexcept {
  AnnotateBenignRaceSized(__FILE__, __LINE__, no_bins, sizeof no_bins, "always negative");
}
#endif

heap_body* make_common() noexcept ACRE_REQUIRES(registry_lock) {
  heap_body* heap = common.load(std::memory_order_relaxed);
  if (heap != nullptr) return heap;
  if (!process_pages.ready()) return nullptr;
  stack_end = ::getauxval(AT_RANDOM);
  heap = new_body(body_kind::common);
  if (heap != nullptr) common.store(heap, std::memory_order_release);
  return heap;
}

}  // namespace

void forget_owner(heap_body& heap) noexcept {
  if (heap.owner.current != nullptr && !heap.owner.emptied)
    heaps_in_use.fetch_sub(1, std::memory_order_relaxed);
  heap.owner = {};
}

bin* attach_thread() noexcept {
  if (own != nullptr) return take_back(*own);
  if (ending || !registry_lock.acquire_unless(fork_pending)) return nullptr;
  heap_body* heap = nullptr;
  if (make_common() != nullptr) {
    if (!key_made) key_made = pthread_key_create(&exit_key, thread_exits) == 0;
    heap = idle_heaps;
    if (heap != nullptr) {
      idle_heaps = heap->next_idle;
      heap->idle = false;
      forget_left(*heap);
    } else {
      heap = new_body(body_kind::thread);
    }
  }
  const bool watch_exit = key_made;
  if (heap != nullptr) {
    ++threads.now;
    threads.peak = std::max(threads.peak, threads.now);
  }
  registry_lock.release();
  if (heap == nullptr) return nullptr;
  own = heap;
  current = heap->bins;
  // Outside the lock: for a high key this allocates.
  if (watch_exit && pthread_setspecific(exit_key, reinterpret_cast<void*>(std::uintptr_t{1})) == 0)
    record_owner(*heap);
  return heap->bins;
}

heap_body* own_heap() noexcept {
  if (own == nullptr) return nullptr;
  return current_bins() != no_bins || take_back(*own) != nullptr ? own : nullptr;
}

heap_body* own_heap_to_lock() noexcept {
  return own;
}

bool never_had_heap() noexcept {
  return own == nullptr && !ending;
}

std::uint8_t own_home() noexcept {
  return own != nullptr ? own->home : 0;
}

std::size_t used_heaps() noexcept {
  return heaps_in_use.load(std::memory_order_relaxed);
}

std::uintptr_t first_stack_end() noexcept {
  return stack_end;
}

heap_body* newest_heap() noexcept {
  return all_heaps.load(std::memory_order_acquire);
}

void note_emptied(heap_body& heap) noexcept {
  heap.owner.emptied = true;
  heaps_in_use.fetch_sub(1, std::memory_order_relaxed);
}

heap_body* common_heap() noexcept {
  heap_body* const heap = common.load(std::memory_order_acquire);
  if (heap != nullptr) return heap;
  const os::hold guard(registry_lock);
  return make_common();
}

heap_body* new_object_heap() noexcept {
  const os::hold guard(registry_lock);
  if (make_common() == nullptr) return nullptr;
  heap_body* heap = spare_objects;
  if (heap == nullptr) return new_body(body_kind::object);
  spare_objects = heap->next_idle;
  heap->retired = false;
  return heap;
}

void retire_object_heap(heap_body& heap) noexcept {
  const os::hold guard(registry_lock);
  for_each_used_bin(heap, [](bin& b) ACRE_NO_THREAD_SAFETY_ANALYSIS {
    retired_count += b.granted - static_cast<std::uint64_t>(std::max(b.grant, 0));
    b = bin{};
  });
  retired_count += heap.large_allocations.exchange(0, std::memory_order_relaxed);
  for (std::atomic<std::uint64_t>& bits : heap.used_bins)
    bits.store(0, std::memory_order_relaxed);
  heap.limit_pages = 0;
  heap.name[0] = '\0';
  heap.retired = true;
  heap.next_idle = spare_objects;
  spare_objects = &heap;
}

void for_each_heap(void (*visit)(heap_body&, void*), void* context) noexcept {
  const os::hold guard(registry_lock);
  for (heap_body* heap = newest_heap(); heap != nullptr; heap = heap->next_all)
    visit(*heap, context);
}

bool try_each_heap(void (*visit)(heap_body&, void*), void* context) noexcept {
  if (!registry_lock.try_acquire()) return false;
  for (heap_body* heap = newest_heap(); heap != nullptr; heap = heap->next_all)
    visit(*heap, context);
  registry_lock.release();
  return true;
}

void empty_left_heaps() noexcept {
  if (!registry_lock.try_acquire()) return;
  for (heap_body* heap = idle_heaps; heap != nullptr && left_bytes != 0; heap = heap->next_idle) {
    if (heap->left_bytes == 0 || !heap->lock.try_acquire()) continue;
    flush_all(*heap);
    try_send_all_batches(*heap);
    const bool emptied = is_emptied(*heap);
    heap->lock.release();
    if (emptied) forget_left(*heap);
  }
  registry_lock.release();
}

thread_counts count_threads() noexcept {
  const os::hold guard(registry_lock);
  return threads;
}

std::size_t retired_allocations() noexcept {
  const os::hold guard(registry_lock);
  return retired_count;
}

void lock_heaps_for_fork() noexcept ACRE_NO_THREAD_SAFETY_ANALYSIS {
  registry_lock.acquire();
  for (heap_body* heap = newest_heap(); heap != nullptr; heap = heap->next_all)
    heap->lock.acquire();
}

void wake_heap_waiters() noexcept ACRE_NO_THREAD_SAFETY_ANALYSIS {
  for (heap_body* heap = newest_heap(); heap != nullptr; heap = heap->next_all)
    heap->lock.wake_all();
  registry_lock.wake_all();
}

void unlock_heaps_after_fork_in_parent() noexcept ACRE_NO_THREAD_SAFETY_ANALYSIS {
  for (heap_body* heap = newest_heap(); heap != nullptr; heap = heap->next_all)
    heap->lock.release();
  registry_lock.release();
}

void own_heap_after_fork() noexcept ACRE_NO_THREAD_SAFETY_ANALYSIS {
  if (own == nullptr || own->owner.current == nullptr) return;
  own->owner.process = os::process_id();
  own->owner.thread = os::thread_id();
}

void unlock_heaps_after_fork_in_child() noexcept ACRE_NO_THREAD_SAFETY_ANALYSIS {
  heap_body* const mine = own;
  past_lock.reset();
  for (heap_body* heap = newest_heap(); heap != nullptr; heap = heap->next_all) {
    heap->lock.reset();
    if (heap->kind != body_kind::thread || heap->idle || heap == mine) continue;
    forget_owner(*heap);
    // The stacks may be half-written, or half set up: set them up anew, empty. The slabs are whole.
    for (bin& b : heap->bins) {
      const unsigned c = class_of_bin(*heap, b);
      const bool noted = is_used_bin(*heap, c);
      if (!noted && b.base == nullptr && b.top == nullptr && b.end == nullptr) continue;
      b.granted -= static_cast<std::uint64_t>(std::max(b.grant, 0));
      b.grant = 0;
      prepare_bin(*heap, b);
    }
    for (remote_batch& batch : heap->batches) {
      batch.count = 0;
      batch.filled = 0;
      batch.target = nullptr;
    }
    heap->deep_bytes = 0;
    heap->large_bytes = 0;
    heap->idle = true;
    heap->next_idle = idle_heaps;
    idle_heaps = heap;
  }
  threads.now = mine != nullptr ? 1 : 0;
  registry_lock.reset();
  own_heap_after_fork();
}

}  // namespace acre::heaps
