#include "heap/idle.hpp"

#include "base/assert.hpp"
#include "base/sanitizer.hpp"
#include "heap/address_space.hpp"
#include "heap/body.hpp"
#include "heap/deep_stack.hpp"
#include "heap/page_heap.hpp"
#include "heap/past_counts.hpp"
#include "heap/registry.hpp"
#include "heap/remote.hpp"
#include "heap/slabs.hpp"
#include "heap/stacks.hpp"
#include "os/memory.hpp"
#include "os/waiting_thread.hpp"

#include <algorithm>
#include <atomic>
#include <cstddef>

namespace acre::heaps {

constinit os::lock past_lock;
constinit past_count past_counts[class_count]{};

namespace {

#if ACRE_TSAN
/// The proof stands on the kernel's word about another thread, which ThreadSanitizer cannot follow.
constexpr bool provable = false;
#else
constexpr bool provable = true;
#endif

static_assert(offsetof(heap_body, lock) == 0, "a heap's lock is known by its address");

/// The kernel refused once; it is not asked again.
constinit std::atomic<bool> refused{false};

enum class patience : std::uint8_t {
  one_interval,  ///< take what was not used since the last search
  none,          ///< take whatever waits
};

/// One pass over all heaps.
struct search {
  os::lock* gate = nullptr;  ///< closed while inside a heap; may be null
  std::int32_t process = os::process_id();
  bool fenced = false;
  idle_outcome outcome{};
};

bool is_heap_lock(std::uintptr_t word) noexcept {
  return word % body_bytes == 0 && space.contains(reinterpret_cast<const void*>(word));
}

/// Whether a signal handler's frame may lie in the stack's used part. Reads it through the kernel:
/// a thread that is not what it seems to be may unmap it meanwhile.
bool may_be_in_handler(std::uintptr_t stack, std::uintptr_t end) noexcept {
  constexpr std::size_t chunk_words = 512;
  constexpr std::size_t overlap_bytes = (os::signal_frame_words - 1) * sizeof(std::uint64_t);
  std::uint64_t words[chunk_words];
  while (stack < end) {
    const std::size_t wanted = std::min(sizeof words, end - stack);
    if (os::copy_memory(stack, words, wanted) != wanted) return true;
    if (os::may_hold_signal_frame(words, wanted / sizeof words[0])) return true;
    if (wanted < sizeof words) break;
    stack += wanted - overlap_bytes;
  }
  return false;
}

/// An address above all frames of the stack that the owner runs on, if that is a usual one. The C
/// library puts a thread's thread-local storage above the thread's stack; for a stack that is
/// mapped by itself somewhere below, all up to that address holds the whole of it, too.
std::uintptr_t end_of_stack(const heap_owner& owner) noexcept {
  return owner.thread == owner.process ? first_stack_end()
                                       : reinterpret_cast<std::uintptr_t>(owner.current);
}

/// Step 3 of the proof; see idle.hpp.
bool is_outside(const heap_owner& owner) noexcept {
  constexpr std::size_t stack_bytes_max = 65536;
  os::waiting_place place;
  if (os::look_at_thread(owner.thread, place) != os::thread_look::waits) return false;
  if (is_heap_lock(place.word) || process_pages.is_lock(place.word)) return false;
  const std::uintptr_t end = end_of_stack(owner);
  if (place.stack % sizeof(std::uint64_t) != 0 || place.stack >= end) return false;
  return end - place.stack <= stack_bytes_max && !may_be_in_handler(place.stack, end);
}

/// Clears the bins that hold nothing, so that their pages can go. False when the past counts are in
/// use.
bool clear_bins(heap_body& heap) noexcept ACRE_REQUIRES(heap.lock) {
  if (!past_lock.try_acquire()) return false;
  for_each_used_bin(heap, [&heap](bin& b) ACRE_NO_THREAD_SAFETY_ANALYSIS {
    const unsigned size_class = class_of_bin(heap, b);
    if (cached(b) > 0) return;  // Blocks of a heap that was in use just now.
    set_idle_capacity(heap, b);
    if (heap.slabs[size_class].pages != 0) return;
    past_count& past = past_counts[size_class];
    past.allocations += b.granted - static_cast<std::uint64_t>(std::max(b.grant, 0));
    past.seen_bytes += b.seen_bytes;
    past.seen_count += b.seen_count;
    b = bin{};
    std::atomic<std::uint64_t>& used = heap.used_bins[size_class / 64];
    used.store(used.load(std::memory_order_relaxed) & ~(std::uint64_t{1} << (size_class % 64)),
               std::memory_order_relaxed);
  });
  past_lock.release();
  return true;
}

/// Gives the pages of the heap's own memory back that hold no more than zeros and empty stacks.
void give_body_back(heap_body& heap) noexcept ACRE_REQUIRES(heap.lock) {
  constexpr std::size_t count = body_bytes / page_bytes;
  auto* const start = reinterpret_cast<std::byte*>(&heap);
  bool kept[count + 1] = {true};
  kept[count] = true;
  const auto keep = [&](const void* first, std::size_t size_bytes) {
    const auto at = static_cast<std::size_t>(static_cast<const std::byte*>(first) - start);
    for (std::size_t page = at / page_bytes; page <= (at + size_bytes - 1) / page_bytes; ++page)
      kept[page] = true;
  };
  for_each_used_bin(heap, [&](bin& b) {
    keep(&b, sizeof b);
    // What could not go home is still there.
    if (cached(b) > 0 && !is_deep(heap, b)) keep(b.base + 1, cached(b) * sizeof(void*));
  });
  for (const remote_batch& batch : heap.batches)
    if (batch.count > 0) keep(&batch, sizeof batch);
  for (std::size_t first = 0, page = 0; page <= count; ++page) {
    if (!kept[page]) continue;
    if (page > first) (void)os::purge(start + first * page_bytes, (page - first) * page_bytes);
    first = page + 1;
  }
}

void empty(heap_body& heap, search& now) noexcept ACRE_REQUIRES(heap.lock) {
  const std::size_t before = heap.pages.load(std::memory_order_relaxed);
  flush_all(heap);
  try_send_all_batches(heap);
  if (clear_bins(heap)) give_body_back(heap);
  note_emptied(heap);
  now.outcome.freed_pages += before - heap.pages.load(std::memory_order_relaxed);
}

void take(heap_body& heap, search& now) noexcept ACRE_REQUIRES(heap.lock) {
  os::waiting_place place;
  switch (os::look_at_thread(heap.owner.thread, place)) {
    case os::thread_look::waits:
      std::atomic_ref(*heap.owner.current).store(no_bins, std::memory_order_relaxed);
      heap.owner.taken = true;
      ++now.outcome.taken;
      return;
    case os::thread_look::gone:
      // It ended past the C library, and `current` with it.
      forget_owner(heap);
      return;
    case os::thread_look::busy:
      return;
    case os::thread_look::refused:
      refused.store(true, std::memory_order_relaxed);
      return;
  }
}

bool fence(search& now) noexcept {
  if (!now.fenced) now.fenced = os::fence_all_threads();
  if (!now.fenced) refused.store(true, std::memory_order_relaxed);
  return now.fenced;
}

/// Whether the heap has an owner in this process that can be looked at. A child of vfork shares its
/// parent's memory and is another process; so is one of a fork that the C library does not know of.
bool has_owner(const heap_body& heap, const search& now) noexcept {
  return heap.owner.current != nullptr && heap.owner.process == now.process;
}

void empty_if_taken(heap_body& heap, search& now) noexcept ACRE_REQUIRES(heap.lock) {
  if (heap.owner.taken && !heap.owner.emptied && fence(now) && is_outside(heap.owner))
    empty(heap, now);
}

void take_if_idle(heap_body& heap, search& now, patience how) noexcept ACRE_REQUIRES(heap.lock) {
  if (heap.owner.taken) return;
  const bool unused = heap.owner.visits == heap.visits;
  heap.owner.visits = heap.visits;
  if (!unused) ++now.outcome.used;
  if (unused || how == patience::none) take(heap, now);
}

/// Calls `step` for each heap with an owner, whose lock is free.
template <class Step>
void for_each_owned(search& now, Step step) noexcept ACRE_NO_THREAD_SAFETY_ANALYSIS {
  for (heap_body* heap = newest_heap(); heap != nullptr; heap = heap->next_all) {
    if (refused.load(std::memory_order_relaxed)) return;
    if (now.gate != nullptr) now.gate->acquire();
    if (heap->lock.try_acquire()) {
      if (has_owner(*heap, now)) step(*heap);
      heap->lock.release();
    }
    if (now.gate != nullptr) now.gate->release();
  }
}

bool may_search() noexcept {
  return provable && !refused.load(std::memory_order_relaxed) && used_heaps() != 0 &&
         os::may_look_at_threads();
}

}  // namespace

idle_outcome search_idle_heaps(os::lock& gate) noexcept {
  if (!may_search()) return {};
  search now{.gate = &gate};
  for_each_owned(now, [&now](heap_body& heap) ACRE_NO_THREAD_SAFETY_ANALYSIS {
    empty_if_taken(heap, now);
    take_if_idle(heap, now, patience::one_interval);
  });
  return now.outcome;
}

void empty_waiting_heaps() noexcept {
  if (!may_search()) return;
  search now;
  for_each_owned(now, [&now](heap_body& heap) ACRE_NO_THREAD_SAFETY_ANALYSIS {
    take_if_idle(heap, now, patience::none);
  });
  for_each_owned(
      now, [&now](heap_body& heap) ACRE_NO_THREAD_SAFETY_ANALYSIS { empty_if_taken(heap, now); });
}

}  // namespace acre::heaps
