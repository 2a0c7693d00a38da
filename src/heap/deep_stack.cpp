#include "heap/deep_stack.hpp"

#include "base/bits.hpp"
#include "heap/address_space.hpp"
#include "heap/page_heap.hpp"
#include "heap/slabs.hpp"
#include "heap/stacks.hpp"

#include <algorithm>

namespace acre::heaps {

namespace {

constexpr std::size_t deep_words_max = 4096;

/// The stack begins before the first word of its memory; see body.hpp.
run_index run_of_stack(void** base) noexcept {
  return space.run_of_page[space.page_of(base + 1)];
}

std::size_t stack_words_in(run_index run) noexcept {
  return space.runs[run].pages * page_bytes / sizeof(void*);
}

}  // namespace

bool deepen(heap_body& heap, bin& b, std::size_t room_bytes) noexcept {
  const class_shape& shape = class_shapes[class_of_bin(heap, b)];
  const std::size_t block_bytes = shape.bytes;
  const std::size_t words = capacity(b);
  if (!b.busy || words < place_of(shape)) return false;
  const std::size_t wanted =
      std::min({words + words / 2, deep_words_max, deep_bytes_max / block_bytes});
  const bool deep = is_deep(heap, b);
  const std::size_t counted = deep ? words : place_of(shape);
  const std::size_t more_bytes = (wanted - std::min(wanted, counted)) * block_bytes;
  if (wanted <= words || heap.deep_bytes + more_bytes > room_bytes) return false;
  run_index run = deep ? run_of_stack(b.base) : 0;
  if (run == 0 || stack_words_in(run) < wanted) {
    const std::size_t pages = base::divide_up(wanted * sizeof(void*), page_bytes);
    const run_index fresh =
        process_pages.allocate({.pages = pages, .state = run_state::held, .home = heap.home}).run;
    if (fresh == 0) return false;
    move_to(b, reinterpret_cast<void**>(space.address_of(space.runs[fresh].page)) - 1);
    if (run != 0) process_pages.release(run);
  }
  b.end = b.base + wanted;
  heap.deep_bytes += more_bytes;
  return true;
}

void leave_deep_stack(heap_body& heap, bin& b) noexcept {
  const class_shape& shape = class_shapes[class_of_bin(heap, b)];
  heap.deep_bytes -= (capacity(b) - place_of(shape)) * shape.bytes;
  process_pages.release(run_of_stack(b.base));
  b.base = b.first - 1;
  b.top = b.base;
  set_idle_capacity(heap, b);
}

}  // namespace acre::heaps
