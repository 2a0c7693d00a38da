#include "heap/stacks.hpp"

#include "base/assert.hpp"
#include "heap/deep_stack.hpp"
#include "heap/registry.hpp"
#include "heap/slabs.hpp"

#include <algorithm>

namespace acre::heaps {

namespace {

/// What the stack holds beyond what a busy class of blocks above `large_cached_bytes` may.
[[nodiscard]] std::size_t surplus_bytes(const bin& b, const class_shape& shape) noexcept {
  return (std::max<std::size_t>(capacity(b), shape.cache_most) - shape.cache_most) * shape.bytes;
}

/// What the widened stacks of medium blocks may hold in all beyond what busy classes may, and those
/// of blocks above `large_cached_bytes` again: a 16th of the heap; or its part of the 2 MiB that
/// the heaps of a program with few threads share.
[[nodiscard]] std::size_t widened_room(const heap_body& heap) noexcept {
  constexpr std::size_t least = std::size_t{1} << 17U;
  constexpr std::size_t all_heaps = std::size_t{1} << 21U;
  constexpr std::size_t part = 16;
  const std::size_t held = heap.pages.load(std::memory_order_relaxed) * page_bytes;
  return std::max({least, all_heaps / std::max<std::size_t>(used_heaps(), 1), held / part});
}

/// What the stacks of medium blocks may hold beyond what busy classes may, but for deep ones.
[[nodiscard]] std::size_t widened_bytes(heap_body& heap) noexcept {
  std::size_t bytes = 0;
  for_each_used_bin(
      heap,
      [&](const bin& b) {
        const class_shape& shape = class_shapes[class_of_bin(heap, b)];
        if (shape.bytes <= large_cached_bytes && !is_deep(heap, b))
          bytes += surplus_bytes(b, shape);
      },
      small_class_count);
  return bytes;
}

/// What the stack may hold when it is let hold half as many again.
[[nodiscard]] std::size_t wider(const bin& b, std::size_t most) noexcept {
  const std::size_t blocks = capacity(b);
  return std::min(blocks + (blocks + 1) / 2, most);
}

/// Moves the stack to its larger place in the heap's body.
void move_stack(heap_body& heap, bin& b) noexcept {
  const unsigned size_class = class_of_bin(heap, b);
  std::size_t first_word = 0;
  for (unsigned c = 0; c < size_class; ++c)
    first_word += stack_words_of(class_shapes[c]);
  const std::size_t blocks = capacity(b);
  move_to(b, heap.stacks + first_word - 1);
  b.end = b.base + blocks;
}

}  // namespace

void prepare_bin(heap_body& heap, bin& b) noexcept {
  const unsigned size_class = class_of_bin(heap, b);
  std::atomic<std::uint64_t>& noted = heap.used_bins[size_class / 64];
  noted.store(noted.load(std::memory_order_relaxed) | std::uint64_t{1} << (size_class % 64),
              std::memory_order_relaxed);
  b.base = b.first - 1;
  b.top = b.base;
  b.end = b.base;
  set_idle_capacity(heap, b);
}

void set_idle_capacity(heap_body& heap, bin& b) noexcept {
  const class_shape& shape = class_shapes[class_of_bin(heap, b)];
  b.busy = false;
  b.pressure = 0;
  if (shape.bytes <= large_cached_bytes) {
    ACRE_ASSERT(cached(b) <= idle_capacity(shape));
    b.end = b.base + idle_capacity(shape);
    b.low = static_cast<std::uint8_t>(shape.cache_first / 2 - 1);
    return;
  }
  set_large_capacity(heap, b, idle_capacity(shape));
  b.low = 1;  // One block, and each allocation looks in: see `press`.
}

void set_large_capacity(heap_body& heap, bin& b, std::size_t blocks) noexcept {
  ACRE_ASSERT(cached(b) <= blocks);
  const class_shape& shape = class_shapes[class_of_bin(heap, b)];
  const std::size_t before = surplus_bytes(b, shape);
  b.end = b.base + blocks;
  b.low = 0;
  // Not written where nothing changes: a bin is set up without the lock.
  if (const std::size_t now = surplus_bytes(b, shape); now != before)
    heap.large_bytes += now - before;
}

void make_place(heap_body& heap, bin& b, std::size_t blocks) noexcept {
  if (blocks > std::size(b.first) && b.base == b.first - 1) move_stack(heap, b);
}

bool widen(heap_body& heap, bin& b) noexcept {
  const unsigned size_class = class_of_bin(heap, b);
  const class_shape& shape = class_shapes[size_class];
  const std::size_t blocks = capacity(b);
  const std::size_t most = place_of(shape);
  if (!b.busy || blocks >= most || is_deep(heap, b)) return false;
  const std::size_t wanted = wider(b, most);
  if (wanted > shape.cache_most) {
    const std::size_t more = wanted - std::max<std::size_t>(blocks, shape.cache_most);
    const std::size_t others = heap.deep_bytes + widened_bytes(heap);
    if (others + more * shape.bytes > widened_room(heap)) return false;
  }
  make_place(heap, b, wanted);
  heap.slabs[size_class].swing_blocks = static_cast<std::uint16_t>(wanted);
  b.end = b.base + wanted;
  return true;
}

bool widen_large(heap_body& heap, bin& b) noexcept {
  if (!b.busy || heap.kind != body_kind::thread) return false;
  const class_shape& shape = class_shapes[class_of_bin(heap, b)];
  const std::size_t wanted = wider(b, shape.swing_most);
  const std::size_t more_bytes = (wanted - capacity(b)) * shape.bytes;
  if (more_bytes == 0 || heap.large_bytes + more_bytes > widened_room(heap)) return false;
  make_place(heap, b, wanted);
  set_large_capacity(heap, b, wanted);
  return true;
}

void flush_large(heap_body& heap) noexcept {
  constexpr unsigned first_large = class_of(large_cached_bytes) + 1;
  // The heap has become smaller, or has more others beside it.
  const bool too_much = heap.large_bytes > widened_room(heap);
  for_each_used_bin(
      heap,
      [&heap, too_much](bin& b) ACRE_NO_THREAD_SAFETY_ANALYSIS {
        const class_shape& shape = class_shapes[class_of_bin(heap, b)];
        if (surplus_bytes(b, shape) == 0) return;
        const bool is_wide = cached(b) > shape.cache_most;
        if (is_wide) flush_oldest(heap, b, cached(b));
        if ((too_much || !is_wide) && cached(b) <= shape.cache_most)
          set_large_capacity(heap, b, shape.cache_most);
      },
      first_large);
}

}  // namespace acre::heaps
