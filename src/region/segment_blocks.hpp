#pragma once

#include <acre/result.hpp>

#include "region/segment_format.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>

/// The blocks of a segment: slabs for small ones, runs of granules for large ones.
///
/// Nothing here locks; the caller holds the segment's lock, or is its only user. Offsets are from
/// the segment's start.
namespace acre::region::segment {

/// Where a block is published, as the journal knows it; see `journal_record`.
struct publication {
  std::uint64_t link = 0;
  std::uint64_t bias = 0;  ///< the value at the link is the block's offset plus this
};

/// A block found by its offset.
struct place {
  enum class finding : std::uint8_t {
    live,
    is_free,   ///< a block's place, but free
    no_block,  ///< not the start of a block, or outside
  };
  finding found = finding::no_block;
  std::uint64_t granule = 0;  ///< where the slab or large block starts
  unsigned slot = 0;          ///< in a slab
  granule_state state{};

  [[nodiscard]] std::size_t size_bytes() const noexcept {
    return state.kind == granule_kind::slab ? classes[state.size_class].size_bytes
                                            : state.span * granule_bytes;
  }
};

/// What recovery did with the operations that a dead process had begun.
struct settlement {
  unsigned undone = 0;     ///< blocks that were taken and not published
  unsigned completed = 0;  ///< blocks that were on their way back
  std::size_t recovered_bytes = 0;
};

/// One process's view of a segment's memory.
class blocks {
 public:
  blocks() noexcept = default;
  blocks(std::byte* base, const geometry& places) noexcept;

  [[nodiscard]] segment::head& head() const noexcept { return *head_; }
  [[nodiscard]] const segment::geometry& geometry() const noexcept { return places_; }
  [[nodiscard]] std::byte* at(std::uint64_t offset) const noexcept { return base_ + offset; }
  [[nodiscard]] std::uint64_t offset_of(const void* address) const noexcept {
    return reinterpret_cast<std::uintptr_t>(address) - reinterpret_cast<std::uintptr_t>(base_);
  }
  [[nodiscard]] std::uint64_t& word_at(std::uint64_t offset) const noexcept {
    return *reinterpret_cast<std::uint64_t*>(base_ + offset);
  }
  [[nodiscard]] segment::descriptor& descriptor(std::uint64_t granule) const noexcept {
    return descriptors_[granule];
  }
  [[nodiscard]] bool is_free(std::uint64_t granule) const noexcept {
    return (used_map_[granule / 64] >> (granule % 64) & 1U) == 0;
  }
  [[nodiscard]] std::uint64_t offset_of_granule(std::uint64_t granule) const noexcept {
    return places_.data_offset + granule * granule_bytes;
  }

  /// Takes a block and leaves its journal record open: `close_record` completes the operation.
  /// Returns: its offset, or 0 when there is no room.
  [[nodiscard]] std::uint64_t take(std::size_t size_bytes, std::size_t alignment,
                                   const publication& where = {}) noexcept;

  /// Opens the record for a block that is about to be removed from `link` and given back.
  void announce_give_back(std::uint64_t block, std::uint64_t link, std::uint64_t value) noexcept;

  /// Gives a block back under an open record. Requires: `where` is live.
  void give_back(const place& where) noexcept;

  void close_record() noexcept { commit(record().block, 0); }
  [[nodiscard]] journal_record& record() const noexcept {
    return head_->journal.records[head_->journal.depth];
  }

  [[nodiscard]] place find(std::uint64_t offset) const noexcept;

  /// Adds granules that have space in the file, as free ones.
  void add_granules(std::uint64_t count) noexcept;

  /// Gives slabs without live blocks back to the granules.
  void release_empty_slabs() noexcept;

  /// The granules that a block takes when it is the only one of its slab.
  [[nodiscard]] static std::uint64_t granules_for(std::size_t size_bytes,
                                                  std::size_t alignment) noexcept;

  /// Completes or undoes what the journal holds, and computes everything derived anew.
  /// Fails: EBADMSG when the truth is not sound.
  [[nodiscard]] result<settlement> recover() noexcept;
  /// Whether the truth is sound, and the derived part agrees with it.
  [[nodiscard]] result<void> check() const noexcept;

  /// Calls `use(offset, size_bytes)` for each live block; `use` may give that block back.
  template <class Use>
  void for_each_live(Use use) const;

 private:
  [[nodiscard]] static std::optional<unsigned> class_for(std::size_t size_bytes,
                                                         std::size_t alignment) noexcept;
  [[nodiscard]] std::uint64_t take_slot(unsigned index, const publication& where) noexcept;
  [[nodiscard]] std::uint64_t take_large(std::uint64_t granules, const publication& where) noexcept;
  [[nodiscard]] bool add_slab(unsigned index) noexcept;
  [[nodiscard]] static constexpr granule_link link_of(std::uint64_t granule) noexcept {
    return static_cast<granule_link>(granule + 1);
  }
  void open_record(std::uint64_t block, intent what, const publication& where) noexcept;

  void link_slab(std::uint64_t granule, class_list& list) noexcept;
  void unlink_slab(std::uint64_t granule, class_list& list) noexcept;
  void release_slab(std::uint64_t granule, const size_class& kind) noexcept;
  void give_back_large(const place& where) noexcept;

  // Runs of granules.
  [[nodiscard]] std::optional<std::uint64_t> find_run(std::uint64_t granules) noexcept;
  void occupy_run(std::uint64_t first, const granule_state& state) noexcept;
  void vacate_run(std::uint64_t first, std::uint64_t granules) noexcept;
  void mark_used(std::uint64_t first, std::uint64_t granules, bool is_used) noexcept;

  // Recovery and checks.
  void settle(const journal_record& record, settlement& done) noexcept;
  void undo_block(const place& where) noexcept;
  [[nodiscard]] result<void> check_journal() const noexcept;
  [[nodiscard]] result<void> check_granules(bool may_be_torn) const noexcept;
  [[nodiscard]] result<void> check_slab(std::uint64_t granule,
                                        const granule_state& state) const noexcept;
  [[nodiscard]] result<std::uint64_t> check_names() const noexcept;
  [[nodiscard]] result<void> check_derived() const noexcept;
  [[nodiscard]] result<void> check_lists() const noexcept;
  void derive() noexcept;

  std::byte* base_ = nullptr;
  segment::head* head_ = nullptr;
  std::uint64_t* used_map_ = nullptr;
  segment::descriptor* descriptors_ = nullptr;
  segment::geometry places_{};
};

template <class Use>
void blocks::for_each_live(Use use) const {
  for (std::uint64_t granule = 0; granule < head_->granules;) {
    const granule_state state = granule_state::of(descriptors_[granule].state);
    if (state.kind == granule_kind::free) {
      ++granule;
      continue;
    }
    const std::uint64_t start = offset_of_granule(granule);
    if (state.kind == granule_kind::large) {
      use(start, state.span * granule_bytes);
    } else {
      const size_class& kind = classes[state.size_class];
      for (unsigned slot = 0; slot < kind.slots; ++slot) {
        // Read anew each time: giving the last block back may end the slab.
        const segment::descriptor& slab = descriptors_[granule];
        if (granule_state::of(slab.state).kind != granule_kind::slab) break;
        if ((slab.free[slot / 64] >> (slot % 64) & 1U) == 0) {
          use(start + std::uint64_t{slot} * kind.size_bytes, kind.size_bytes);
        }
      }
    }
    granule += state.span;
  }
}

// The paths of every small block, inline: the calls would cost as much as the work.

inline std::optional<unsigned> blocks::class_for(std::size_t size_bytes,
                                                 std::size_t alignment) noexcept {
  if (size_bytes > class_bytes_max || alignment > class_bytes_max) return std::nullopt;
  unsigned index = class_of(std::max({size_bytes, alignment, std::size_t{1}}));
  if (alignment <= 16) return index;
  // Slabs start at multiples of 4096, so a size that is a multiple of the alignment suffices.
  while (index < class_count && classes[index].size_bytes % alignment != 0)
    ++index;
  if (index == class_count) return std::nullopt;
  return index;
}

inline void blocks::open_record(std::uint64_t block, intent what,
                                const publication& where) noexcept {
  journal_record& opened = record();
  opened.link = where.link;
  opened.value = block + where.bias;
  commit(opened.block, block | static_cast<std::uint64_t>(what));
}

inline std::uint64_t blocks::take_slot(unsigned index, const publication& where) noexcept {
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
  if (--slab.free_count == 0) [[unlikely]]
    unlink_slab(granule, list);
  ++list.live;
  return block;
}

inline void blocks::announce_give_back(std::uint64_t block, std::uint64_t link,
                                       std::uint64_t value) noexcept {
  open_record(block, intent::give_back, {.link = link, .bias = value - block});
}

inline void blocks::give_back(const place& where) noexcept {
  if (where.state.kind == granule_kind::large) [[unlikely]]
    return give_back_large(where);
  segment::descriptor& slab = descriptors_[where.granule];
  const size_class& kind = classes[where.state.size_class];
  class_list& list = head_->lists[where.state.size_class];
  std::uint64_t& word = slab.free[where.slot / 64];
  commit(word, word | std::uint64_t{1} << (where.slot % 64));
  --list.live;
  const std::uint32_t free_count = ++slab.free_count;
  if (free_count == 1) [[unlikely]]
    link_slab(where.granule, list);
  // The last slab of a class stays, or a program that takes and frees one block would make it anew
  // each time.
  if (free_count == kind.slots && (slab.next | slab.previous) != 0) [[unlikely]] {
    unlink_slab(where.granule, list);
    release_slab(where.granule, kind);
  }
}

inline place blocks::find(std::uint64_t offset) const noexcept {
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

}  // namespace acre::region::segment
