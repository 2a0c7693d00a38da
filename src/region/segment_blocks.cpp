#include "region/segment_blocks.hpp"

#include <algorithm>
#include <cstring>

namespace acre::region::segment {

blocks::blocks(std::byte* base, const segment::geometry& places) noexcept
    : base_(base),
      head_(reinterpret_cast<segment::head*>(base)),
      used_map_(reinterpret_cast<std::uint64_t*>(base + places.used_map_offset)),
      descriptors_(reinterpret_cast<segment::descriptor*>(base + places.descriptors_offset)),
      places_(places) {}

// --- taking ------------------------------------------------------------------------------------

std::uint64_t blocks::granules_for(std::size_t size_bytes, std::size_t alignment) noexcept {
  if (const auto index = class_for(size_bytes, alignment)) return classes[*index].granules;
  return base::divide_up(size_bytes, granule_bytes);
}

std::uint64_t blocks::take(std::size_t size_bytes, std::size_t alignment,
                           const publication& where) noexcept {
  const auto index = class_for(size_bytes, alignment);
  if (!index) return take_large(base::divide_up(size_bytes, granule_bytes), where);
  if (head_->lists[*index].first == 0 && !add_slab(*index)) [[unlikely]]
    return 0;
  return take_slot(*index, where);
}

bool blocks::add_slab(unsigned index) noexcept {
  const size_class& kind = classes[index];
  const auto first = find_run(kind.granules);
  if (!first) return false;
  segment::descriptor& slab = descriptors_[*first];
  for (unsigned word = 0; word < slab.free.size(); ++word)
    slab.free[word] = slot_mask(kind.slots, word);
  slab.free_count = kind.slots;
  for (std::uint32_t distance = 1; distance < kind.granules; ++distance) {
    commit(descriptors_[*first + distance].state,
           granule_state{.kind = granule_kind::inner, .span = distance}.word());
  }
  occupy_run(*first, {.kind = granule_kind::slab,
                      .size_class = static_cast<std::uint8_t>(index),
                      .span = kind.granules});
  link_slab(*first, head_->lists[index]);
  return true;
}

std::uint64_t blocks::take_large(std::uint64_t granules, const publication& where) noexcept {
  const auto first = find_run(granules);
  if (!first) return 0;
  const std::uint64_t block = offset_of_granule(*first);
  open_record(block, intent::take, where);
  occupy_run(*first, {.kind = granule_kind::large, .span = static_cast<std::uint32_t>(granules)});
  ++head_->live_large_blocks;
  head_->live_large_granules += granules;
  return block;
}

// --- giving back -------------------------------------------------------------------------------

void blocks::give_back_large(const place& where) noexcept {
  --head_->live_large_blocks;
  head_->live_large_granules -= where.state.span;
  commit(descriptors_[where.granule].state, 0);
  vacate_run(where.granule, where.state.span);
}

void blocks::release_slab(std::uint64_t granule, const size_class& kind) noexcept {
  commit(descriptors_[granule].state, 0);
  for (unsigned distance = 1; distance < kind.granules; ++distance)
    descriptors_[granule + distance].state = 0;
  vacate_run(granule, kind.granules);
}

void blocks::link_slab(std::uint64_t granule, class_list& list) noexcept {
  segment::descriptor& slab = descriptors_[granule];
  slab.previous = 0;
  slab.next = list.first;
  if (list.first != 0) descriptors_[list.first - 1].previous = link_of(granule);
  list.first = link_of(granule);
}

void blocks::unlink_slab(std::uint64_t granule, class_list& list) noexcept {
  const segment::descriptor& slab = descriptors_[granule];
  if (slab.next != 0) descriptors_[slab.next - 1].previous = slab.previous;
  if (slab.previous != 0) {
    descriptors_[slab.previous - 1].next = slab.next;
  } else {
    list.first = slab.next;
  }
}

void blocks::release_empty_slabs() noexcept {
  for (unsigned index = 0; index < class_count; ++index) {
    class_list& list = head_->lists[index];
    for (granule_link at = list.first; at != 0;) {
      const std::uint64_t granule = at - 1;
      at = descriptors_[granule].next;
      if (descriptors_[granule].free_count != classes[index].slots) continue;
      unlink_slab(granule, list);
      release_slab(granule, classes[index]);
    }
  }
}

void blocks::add_granules(std::uint64_t count) noexcept {
  const std::uint64_t first = head_->granules;
  const std::uint64_t end = first + count;
  // Zeros in a good file; no check has looked there.
  std::fill(descriptors_ + first, descriptors_ + end, segment::descriptor{});
  std::fill(used_map_ + base::divide_up(first, 64), used_map_ + base::divide_up(end, 64), 0);
  commit(head_->granules, end);
}

// --- runs of granules --------------------------------------------------------------------------

std::optional<std::uint64_t> blocks::find_run(std::uint64_t granules) noexcept {
  const std::uint64_t end = head_->granules;
  // The first position from `at` on whose bit is as wanted, or `end`.
  const auto next = [&](std::uint64_t at, bool used) {
    while (at < end) {
      const std::uint64_t word = used_map_[at / 64];
      const std::uint64_t wanted = (used ? word : ~word) >> (at % 64);
      if (wanted != 0) return std::min(end, at + static_cast<unsigned>(std::countr_zero(wanted)));
      at = (at / 64 + 1) * 64;
    }
    return end;
  };
  std::uint64_t first = next(head_->first_free, false);
  head_->first_free = first;
  while (granules <= end - first) {
    const std::uint64_t behind = next(first, true);
    if (behind - first >= granules) return first;
    first = next(behind, false);
  }
  return std::nullopt;
}

void blocks::occupy_run(std::uint64_t first, const granule_state& state) noexcept {
  mark_used(first, state.span, true);
  if (first == head_->first_free) head_->first_free = first + state.span;
  commit(descriptors_[first].state, state.word());
}

void blocks::vacate_run(std::uint64_t first, std::uint64_t granules) noexcept {
  mark_used(first, granules, false);
  head_->first_free = std::min(head_->first_free, first);
}

void blocks::mark_used(std::uint64_t first, std::uint64_t granules, bool is_used) noexcept {
  head_->used_granules += is_used ? granules : std::uint64_t{0} - granules;
  const std::uint64_t end = first + granules;
  for (std::uint64_t at = first; at < end;) {
    const std::uint64_t count = std::min(end - at, 64 - at % 64);
    const std::uint64_t ones = count == 64 ? ~std::uint64_t{0} : (std::uint64_t{1} << count) - 1;
    const std::uint64_t mask = ones << (at % 64);
    if (is_used) {
      used_map_[at / 64] |= mask;
    } else {
      used_map_[at / 64] &= ~mask;
    }
    at += count;
  }
}

}  // namespace acre::region::segment
