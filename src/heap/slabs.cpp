#include "heap/slabs.hpp"

#include "base/assert.hpp"
#include "heap/address_space.hpp"
#include "heap/misuse.hpp"
#include "heap/page_heap.hpp"
#include "heap/usage.hpp"

#include <algorithm>
#include <bit>

namespace acre::heaps {

namespace {

constexpr std::int64_t usage_step_bytes = 32768;

void note_used(heap_body& heap, std::int64_t bytes) noexcept {
  heap.used_delta += bytes;
  if (heap.used_delta < usage_step_bytes && heap.used_delta > -usage_step_bytes) return;
  used.add(heap.used_delta);
  heap.used_delta = 0;
}

void list_slab(bin& b, run_index run) noexcept {
  page_run& slab = space.runs[run];
  slab.previous = 0;
  slab.next = b.partial;
  if (slab.next != 0) space.runs[slab.next].previous = run;
  b.partial = run;
  slab.listed = true;
}

void unlist_slab(bin& b, run_index run) noexcept {
  page_run& slab = space.runs[run];
  if (slab.next != 0) space.runs[slab.next].previous = slab.previous;
  if (slab.previous != 0)
    space.runs[slab.previous].next = slab.next;
  else
    b.partial = slab.next;
  slab.listed = false;
}

run_index new_slab(heap_body& heap, bin& b) noexcept {
  const unsigned size_class = class_of_bin(heap, b);
  const class_shape& shape = class_shapes[size_class];
  const std::size_t held = heap.pages.load(std::memory_order_relaxed) + shape.slab_pages;
  if (heap.limit_pages != 0 && held > heap.limit_pages) return 0;
  const page_grant grant =
      pages.allocate({.pages = shape.slab_pages, .state = run_state::slab});
  if (grant.run == 0) return 0;
  heap.pages.fetch_add(shape.slab_pages, std::memory_order_relaxed);
  page_run& slab = space.runs[grant.run];
  slab.size_class = static_cast<std::uint8_t>(size_class);
  slab.free_count = shape.slab_blocks;
  for (unsigned word = 0; word < 4; ++word) {
    const int left = static_cast<int>(shape.slab_blocks) - static_cast<int>(word) * 64;
    slab.free_bits[word] = left <= 0    ? 0
                           : left >= 64 ? ~std::uint64_t{0}
                                        : (std::uint64_t{1} << static_cast<unsigned>(left)) - 1;
  }
  for (std::size_t page = slab.page; page < std::size_t{slab.page} + slab.pages; ++page) {
    space.owner[page] = &b;
    space.run_of_page[page] = grant.run;
  }
  if (heap.kind == body_kind::object) own_run(heap, grant.run);
  list_slab(b, grant.run);
  return grant.run;
}

void drop_slab(heap_body& heap, bin& b, run_index run) noexcept {
  page_run& slab = space.runs[run];
  unlist_slab(b, run);
  for (std::size_t page = slab.page; page < std::size_t{slab.page} + slab.pages; ++page)
    space.owner[page] = nullptr;
  if (heap.kind == body_kind::object) disown_run(heap, run);
  heap.pages.fetch_sub(slab.pages, std::memory_order_relaxed);
  pages.release(run);
}

/// A slab that became empty goes back, unless it is the last with free slots of its class: a program
/// that frees and allocates one block would take and give it each time.
void slab_is_empty(heap_body& heap, bin& b, run_index run) noexcept {
  constexpr unsigned kept_pages_max = 4;
  const page_run& slab = space.runs[run];
  const bool last = slab.next == 0 && slab.previous == 0;
  if (last && slab.pages <= kept_pages_max) return;
  drop_slab(heap, b, run);
}

}  // namespace

void prepare_bin(heap_body& heap, bin& b) noexcept {
  const unsigned size_class = class_of_bin(heap, b);
  const class_shape& shape = class_shapes[size_class];
  heap.used_bins[size_class / 64] |= std::uint64_t{1} << (size_class % 64);
  b.block_bytes = shape.bytes;
  b.base = b.first - 1;
  b.top = b.base;
  b.end = b.base + shape.cache_first;
  b.low = static_cast<std::uint8_t>(std::max(shape.cache_first / 2, 1));
}

std::size_t take_from_slabs(heap_body& heap, bin& b, std::size_t count) noexcept {
  const std::uint32_t bytes = b.block_bytes;
  void** slot = b.top + count;
  std::size_t missing = count;
  while (missing > 0) {
    const run_index run = b.partial != 0 ? b.partial : new_slab(heap, b);
    if (run == 0) break;
    page_run& slab = space.runs[run];
    std::byte* const start = space.address_of(slab.page);
    std::size_t taken = 0;
    for (unsigned word = 0; word < 4 && taken < missing; ++word) {
      std::uint64_t bits = slab.free_bits[word];
      while (bits != 0 && taken < missing) {
        const auto index = word * 64 + static_cast<unsigned>(std::countr_zero(bits));
        bits &= bits - 1;
        *slot-- = start + std::size_t{index} * bytes;
        ++taken;
      }
      slab.free_bits[word] = bits;
    }
    slab.free_count = static_cast<std::uint16_t>(slab.free_count - taken);
    if (slab.free_count == 0) unlist_slab(b, run);
    missing -= taken;
  }
  // Close the gap that out of memory left below the blocks.
  if (missing > 0) std::copy(b.top + 1 + missing, b.top + 1 + count, b.top + 1);
  b.top += count - missing;
  note_used(heap, static_cast<std::int64_t>((count - missing) * bytes));
  return count - missing;
}

void give_to_slab(heap_body& heap, void* block) noexcept {
  const std::size_t page = space.page_of(block);
  const run_index run = space.run_of_page[page];
  page_run& slab = space.runs[run];
  const class_shape& shape = class_shapes[slab.size_class];
  const auto offset = static_cast<std::uint32_t>(static_cast<std::byte*>(block) -
                                                 space.address_of(slab.page));
  const auto index =
      static_cast<std::uint32_t>((std::uint64_t{offset} * shape.reciprocal) >> 32U);
  const std::uint64_t bit = std::uint64_t{1} << (index % 64);
  if (index * shape.bytes != offset || index >= shape.slab_blocks) [[unlikely]]
    return report_misuse(misuse::interior, block);
  if ((slab.free_bits[index / 64] & bit) != 0) [[unlikely]]
    return report_misuse(misuse::double_free, block);
  slab.free_bits[index / 64] |= bit;
  note_used(heap, -static_cast<std::int64_t>(shape.bytes));
  const std::uint16_t free_count = ++slab.free_count;
  bin& b = heap.bins[slab.size_class];
  if (free_count == shape.partial_at && !slab.listed) list_slab(b, run);
  if (free_count == shape.slab_blocks) slab_is_empty(heap, b, run);
}

void flush_oldest(heap_body& heap, bin& b, std::size_t count) noexcept {
  ACRE_ASSERT(count <= cached(b));
  for (std::size_t i = 1; i <= count; ++i) give_to_slab(heap, b.base[i]);
  std::copy(b.base + 1 + count, b.top + 1, b.base + 1);
  b.top -= count;
  // A grant never exceeds what the stack holds.
  const auto left = static_cast<std::int32_t>(cached(b));
  if (b.grant > left) {
    b.granted -= static_cast<std::uint64_t>(b.grant - left);
    b.grant = left;
  }
}

void flush_all(heap_body& heap) noexcept {
  for_each_used_bin(heap, [&heap](bin& b) { flush_oldest(heap, b, cached(b)); });
  drop_empty_slabs(heap);
}

void drop_empty_slabs(heap_body& heap) noexcept {
  for_each_used_bin(heap, [&heap](bin& b) {
    for (run_index run = b.partial; run != 0;) {
      const run_index next = space.runs[run].next;
      if (space.runs[run].free_count == class_shapes[space.runs[run].size_class].slab_blocks)
        drop_slab(heap, b, run);
      run = next;
    }
  });
}

void own_run(heap_body& heap, run_index run) noexcept {
  page_run& r = space.runs[run];
  r.owned_previous = 0;
  r.owned_next = heap.owned;
  if (r.owned_next != 0) space.runs[r.owned_next].owned_previous = run;
  heap.owned = run;
}

void disown_run(heap_body& heap, run_index run) noexcept {
  const page_run& r = space.runs[run];
  if (r.owned_next != 0) space.runs[r.owned_next].owned_previous = r.owned_previous;
  if (r.owned_previous != 0)
    space.runs[r.owned_previous].owned_next = r.owned_next;
  else
    heap.owned = r.owned_next;
}

}  // namespace acre::heaps
