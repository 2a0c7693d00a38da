#include "heap/owner.hpp"

#include "heap/address_space.hpp"
#include "heap/body.hpp"
#include "heap/wide_block.hpp"

namespace acre::heaps {

owner_facts owner_of(const void* address) noexcept {
  if (!space.contains(address)) return {};
  const std::size_t page = space.page_of(address);
  const bin* const owner = space.owner[page];
  const page_run& slab = space.runs[space.run_of_page[page]];
  if (owner != nullptr && !is_large_marker(owner) && state_of(slab) == run_state::slab) {
    const class_shape& shape = class_shapes[slab.size_class];
    std::byte* const start = space.address_of(slab.page);
    auto index =
        static_cast<std::size_t>(static_cast<const std::byte*>(address) - start) / shape.bytes;
    if (index >= slab.block_count) return {.kind = owner_kind::unused};
    const bool free = (slab.free_bits[index / 64] >> (index % 64) & 1U) != 0;
    std::size_t slots = 1;
    if (!free && may_hold_wide(slab)) {
      while (index > 0 && is_further_slot(slab, index))
        --index;
      slots = slots_of_block(slab, index);
    }
    return {.kind = free ? owner_kind::small_free : owner_kind::small_live,
            .block = start + index * shape.bytes,
            .block_bytes = slots * shape.bytes};
  }
  // The first page of a large block, or one inside: its record is at most a landmark back.
  for (std::size_t back = 0; back <= landmark_pages && back <= page; ++back) {
    const page_run& run = space.runs[space.run_of_page[page - back]];
    if (state_of(run) == run_state::none || run.page > page || page - run.page >= run.pages)
      continue;
    if (state_of(run) != run_state::large) break;
    return {.kind = owner_kind::large,
            .block = space.address_of(run.page),
            .block_bytes = std::size_t{run.pages} * page_bytes};
  }
  return {.kind = owner_kind::unused};
}

}  // namespace acre::heaps
