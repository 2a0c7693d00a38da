#include "heap/foreign.hpp"

#include "heap/address_space.hpp"
#include "heap/allocate.hpp"
#include "heap/fork.hpp"
#include "heap/page_heap.hpp"
#include "heap/registry.hpp"
#include "heap/slabs.hpp"

#include <algorithm>

namespace acre::heaps {

namespace {

constexpr std::size_t deep_words_max = 4096;
constexpr std::size_t deep_bytes_max = 262144;

/// What the deep stacks of a heap may hold: half of its own pages and as much as one of them.
std::size_t deep_room_bytes(const heap_body& heap) noexcept {
  return heap.pages.load(std::memory_order_relaxed) * page_bytes / 2 + deep_bytes_max;
}

/// The stack begins before the first word of its memory; see body.hpp.
run_index run_of_stack(void** base) noexcept {
  return space.run_of_page[space.page_of(base + 1)];
}

std::size_t stack_words_in(run_index run) noexcept {
  return space.runs[run].pages * page_bytes / sizeof(void*);
}

/// Moves the bin to a stack of half as much room again. False when it has the most it may.
bool deepen(heap_body& heap, bin& b) noexcept ACRE_REQUIRES(heap.lock) {
  const std::size_t block_bytes = class_shapes[class_of_bin(heap, b)].bytes;
  const auto words = static_cast<std::size_t>(b.end - b.base);
  const std::size_t wanted =
      std::min({words + words / 2, deep_words_max, deep_bytes_max / block_bytes});
  const std::size_t more_bytes = (wanted - std::min(wanted, words)) * block_bytes;
  if (more_bytes == 0 || heap.deep_bytes + more_bytes > deep_room_bytes(heap)) return false;
  run_index run = is_deep(heap, b) ? run_of_stack(b.base) : 0;
  if (run == 0 || stack_words_in(run) < wanted) {
    const std::size_t pages = (wanted * sizeof(void*) + page_bytes - 1) / page_bytes;
    const run_index fresh = process_pages.allocate({.pages = pages, .state = run_state::held}).run;
    if (fresh == 0) return false;
    void** const base = reinterpret_cast<void**>(space.address_of(space.runs[fresh].page)) - 1;
    const std::size_t count = cached(b);
    std::copy(b.base + 1, b.top + 1, base + 1);
    b.base = base;
    b.top = base + count;
    if (run != 0) process_pages.release(run);
  }
  b.end = b.base + wanted;
  heap.deep_bytes += more_bytes;
  return true;
}

/// Sends foreign blocks home, all but those among the newest `stay` of the stack. Requires: the
/// caller is the owner and holds no lock.
void send_foreign_of(heap_body& heap, bin& b, std::size_t stay) noexcept {
  void** const end = b.top - std::min(stay, cached(b));
  void** kept = b.base;
  for (void** slot = b.base + 1; slot <= end; ++slot) {
    bin* const owner = space.owner[space.page_of(*slot)];
    if (is_foreign(heap, b, owner))
      send_home(heap, *owner, *slot);
    else
      *++kept = *slot;
  }
  b.top = std::copy(end + 1, b.top + 1, kept + 1) - 1;
  limit_grant(b);
}

/// Allocations since `looked_at`, at most twice what the stack holds: what was allocated long ago
/// is no sign of need.
std::size_t recent_allocations(bin& b) noexcept {
  const std::size_t taken = allocations(b) - b.looked_at;
  const std::size_t most = cached(b) * 2;
  if (taken <= most) return taken;
  b.foreign = static_cast<std::uint32_t>(std::size_t{b.foreign} * most / taken);
  b.looked_at += static_cast<std::uint32_t>(taken - most);
  return most;
}

}  // namespace

void judge_foreign(heap_body& heap, bin& b) noexcept {
  constexpr std::size_t line_bytes = 64;
  const std::size_t block_bytes = class_shapes[class_of_bin(heap, b)].bytes;
  if (block_bytes % line_bytes == 0) {
    b.keeps = true;
    return;
  }
  if (b.foreign == 0) return;
  // What is freed is what was allocated, in the long run: at least three quarters of it foreign.
  const std::size_t taken = allocations(b) - b.looked_at;
  b.keeps = taken * 3 <= std::size_t{b.foreign} * 4;
  b.looked_at += static_cast<std::uint32_t>(taken);
  b.foreign = 0;
}

bool keep_in_full(heap_body& from, bin& keeper, void* block) noexcept {
  const std::size_t needed = recent_allocations(keeper);
  if (needed < cached(keeper) - cached(keeper) / 4) {
    keeper.keeps = false;
    send_foreign_of(from, keeper, needed);
    return false;
  }
  if (!from.lock.acquire_unless(fork_pending)) return false;
  if (!keeper.busy || !deepen(from, keeper)) make_room(from, keeper);
  const bool fits = keeper.top < keeper.end;
  if (fits) *++keeper.top = block;
  from.lock.release();
  return fits;
}

void send_foreign_home(heap_body& heap) noexcept {
  if (!heap.keeps_foreign) return;
  for_each_used_bin(heap, [&heap](bin& b) { send_foreign_of(heap, b, 0); });
}

void leave_deep_stack(heap_body& heap, bin& b) noexcept {
  const class_shape& shape = class_shapes[class_of_bin(heap, b)];
  heap.deep_bytes -= (static_cast<std::size_t>(b.end - b.base) - shape.cache_most) * shape.bytes;
  process_pages.release(run_of_stack(b.base));
  b.base = b.first - 1;
  b.top = b.base;
  set_idle_capacity(b, shape);
}

}  // namespace acre::heaps
