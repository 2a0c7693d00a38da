#include "region/segment_blocks.hpp"

#include <algorithm>
#include <cstring>

namespace acre::region::segment {

namespace {

constexpr granule_link link_of(std::uint64_t granule) noexcept {
  return static_cast<granule_link>(granule + 1);
}

}  // namespace

blocks::blocks(std::byte* base, const segment::geometry& places) noexcept
    : base_(base),
      head_(reinterpret_cast<segment::head*>(base)),
      used_map_(reinterpret_cast<std::uint64_t*>(base + places.used_map_offset)),
      descriptors_(reinterpret_cast<segment::descriptor*>(base + places.descriptors_offset)),
      places_(places) {}

// --- taking ------------------------------------------------------------------------------------

std::optional<unsigned> blocks::class_for(std::size_t size_bytes, std::size_t alignment) noexcept {
  if (size_bytes > class_bytes_max || alignment > class_bytes_max) return std::nullopt;
  unsigned index = class_of(std::max({size_bytes, alignment, std::size_t{1}}));
  if (alignment <= 16) return index;
  // Slabs start at multiples of 4096, so a size that is a multiple of the alignment suffices.
  while (index < class_count && classes[index].size_bytes % alignment != 0)
    ++index;
  if (index == class_count) return std::nullopt;
  return index;
}

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

void blocks::open_record(std::uint64_t block, intent what, const publication& where) noexcept {
  journal_record& opened = record();
  opened.link = where.link;
  opened.value = block + where.bias;
  commit(opened.block, block | static_cast<std::uint64_t>(what));
}

std::uint64_t blocks::take_slot(unsigned index, const publication& where) noexcept {
  class_list& list = head_->lists[index];
  const std::uint64_t granule = list.first - 1;
  segment::descriptor& slab = descriptors_[granule];
  unsigned word = 0;
  while (slab.free[word] == 0 && word < slab.free.size() - 1)
    ++word;
  const std::uint64_t free = slab.free[word];
  const unsigned slot = 64 * word + static_cast<unsigned>(std::countr_zero(free));
  const std::uint64_t block =
      offset_of_granule(granule) + std::uint64_t{slot} * classes[index].size_bytes;
  open_record(block, intent::take, where);
  commit(slab.free[word], free & (free - 1));
  if (--slab.free_count == 0) unlink_slab(granule, list);
  ++list.live;
  return block;
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

void blocks::announce_give_back(std::uint64_t block, std::uint64_t link,
                                std::uint64_t value) noexcept {
  open_record(block, intent::give_back, {.link = link, .bias = value - block});
}

void blocks::give_back(const place& where) noexcept {
  segment::descriptor& first = descriptors_[where.granule];
  if (where.state.kind == granule_kind::large) {
    --head_->live_large_blocks;
    head_->live_large_granules -= where.state.span;
    commit(first.state, 0);
    vacate_run(where.granule, where.state.span);
    return;
  }
  const size_class& kind = classes[where.state.size_class];
  class_list& list = head_->lists[where.state.size_class];
  std::uint64_t& word = first.free[where.slot / 64];
  commit(word, word | std::uint64_t{1} << (where.slot % 64));
  --list.live;
  if (first.free_count++ == 0) link_slab(where.granule, list);
  // The last slab of a class stays, or a program that takes and frees one block would make it anew
  // each time.
  const bool is_only = first.next == 0 && first.previous == 0;
  if (first.free_count == kind.slots && !is_only) {
    unlink_slab(where.granule, list);
    release_slab(where.granule, kind);
  }
}

void blocks::release_slab(std::uint64_t granule, const size_class& kind) noexcept {
  commit(descriptors_[granule].state, 0);
  for (unsigned distance = 1; distance < kind.granules; ++distance)
    descriptors_[granule + distance].state = 0;
  vacate_run(granule, kind.granules);
}

void blocks::release_empty_slabs() noexcept {
  for (unsigned index = 0; index < class_count; ++index) {
    class_list& list = head_->lists[index];
    // An empty slab that is not the only one of its list is gone already.
    if (list.first == 0) continue;
    const std::uint64_t granule = list.first - 1;
    if (descriptors_[granule].free_count != classes[index].slots) continue;
    unlink_slab(granule, list);
    release_slab(granule, classes[index]);
  }
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

// --- finding -----------------------------------------------------------------------------------

place blocks::find(std::uint64_t offset) const noexcept {
  place found;
  if (offset < places_.data_offset || offset % 16 != 0) return found;
  const std::uint64_t at_granule = (offset - places_.data_offset) / granule_bytes;
  if (at_granule >= head_->granules) return found;
  found.granule = at_granule;
  found.state = granule_state::of(descriptors_[at_granule].state);
  if (found.state.kind == granule_kind::inner) {
    if (found.state.span > at_granule) return found;
    found.granule = at_granule - found.state.span;
    found.state = granule_state::of(descriptors_[found.granule].state);
  }
  const std::uint64_t within = offset - offset_of_granule(found.granule);
  if (found.state.kind == granule_kind::large && within == 0) {
    found.found = place::finding::live;
  } else if (found.state.kind == granule_kind::slab && found.state.size_class < class_count) {
    const size_class& kind = classes[found.state.size_class];
    if (within >= kind.granules * granule_bytes) return found;
    found.slot = static_cast<unsigned>(within * kind.reciprocal >> 32U);
    if (found.slot >= kind.slots || found.slot * kind.size_bytes != within) return found;
    const std::uint64_t word = descriptors_[found.granule].free[found.slot / 64];
    const bool is_free = (word >> (found.slot % 64) & 1U) != 0;
    found.found = is_free ? place::finding::is_free : place::finding::live;
  }
  return found;
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
