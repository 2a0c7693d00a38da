#include "heap/foreign.hpp"

#include "heap/address_space.hpp"
#include "heap/allocate.hpp"
#include "heap/deep_stack.hpp"
#include "heap/fork.hpp"
#include "heap/registry.hpp"
#include "heap/slabs.hpp"

#include <algorithm>

namespace acre::heaps {

namespace {

/// Overflows of a stack between two refills that are taken for chance. A thread that frees more
/// than it allocates comes to more, and had better send home at once what it will not need.
constexpr std::uint8_t overflows_most = 8;

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

std::size_t foreign_deep_room(const heap_body& heap) noexcept {
  constexpr std::size_t few_threads = 8;
  const std::size_t room =
      heap.pages.load(std::memory_order_relaxed) * page_bytes * 5 / 8 + deep_bytes_max;
  return room / std::max<std::size_t>(used_heaps() / few_threads, 1);
}

bool judge_foreign(heap_body& heap, bin& b) noexcept {
  constexpr std::size_t line_bytes = 64;
  const std::size_t block_bytes = class_shapes[class_of_bin(heap, b)].bytes;
  // What is freed is what was allocated, in the long run.
  const std::size_t taken = allocations(b) - b.looked_at;
  const bool mostly_foreign = b.foreign != 0 && taken * 3 <= std::size_t{b.foreign} * 4;
  if (block_bytes % line_bytes == 0) {
    b.keeps = overflows_most;
    return mostly_foreign;
  }
  if (b.foreign == 0) return false;
  constexpr std::size_t chance = 3;  // Of a few blocks fewer may be foreign, by chance.
  const bool often = taken * 3 <= (std::size_t{b.foreign} + chance) * 8;
  b.keeps = often ? overflows_most : 0;
  b.looked_at += static_cast<std::uint32_t>(taken);
  b.foreign = 0;
  return mostly_foreign;
}

void keep_in_full(heap_body& from, bin& keeper, bin& owner, void* block) noexcept {
  const std::size_t needed = recent_allocations(keeper);
  if (needed < cached(keeper) / 4 || --keeper.keeps == 0) {
    keeper.keeps = 0;
    // At most half stays, so that there is room for the thread's own blocks.
    send_foreign_of(from, keeper, std::min(needed, cached(keeper) / 2));
  } else if (from.lock.acquire_unless(fork_pending)) {
    make_room(from, keeper, filled_with::foreign);
    const bool fits = keeper.top < keeper.end;
    if (fits) *++keeper.top = block;
    from.lock.release();
    if (fits) return;
  }
  send_home(from, owner, block);
}

void send_foreign_home(heap_body& heap) noexcept {
  if (!heap.keeps_foreign) return;
  for_each_used_bin(heap, [&heap](bin& b) { send_foreign_of(heap, b, 0); });
}

}  // namespace acre::heaps
