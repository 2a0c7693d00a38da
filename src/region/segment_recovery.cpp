// What makes a segment whole again after a process died within a change, and what tells whether it
// is whole. Both look at every granule's descriptor.
#include "os/refusal.hpp"
#include "region/segment_blocks.hpp"
#include "region/segment_names.hpp"

#include <string_view>

namespace acre::region::segment {

namespace {

std::unexpected<failure> damaged(const char* why, std::uint64_t value) noexcept {
  return os::refusal(EBADMSG, "segment check", why, value);
}

constexpr std::uint64_t intent_mask = 15;

}  // namespace

// --- recovery ----------------------------------------------------------------------------------

result<settlement> blocks::recover() noexcept {
  if (auto sound = check_granules(true); !sound) return std::unexpected(sound.error());
  if (auto sound = check_journal(); !sound) return std::unexpected(sound.error());
  settlement done;
  // From the innermost on, as the operations would have ended.
  for (unsigned index = journal_depth_max; index-- > 0;) {
    if (head_->journal.records[index].block != 0) settle(head_->journal.records[index], done);
  }
  const auto names = check_names();
  if (!names) return std::unexpected(names.error());
  derive();
  head_->name_count = *names;
  // Last: until here, a recovery that dies is done anew by the next.
  for (journal_record& settled : head_->journal.records)
    commit(settled.block, 0);
  commit(head_->journal.depth, 0);
  return done;
}

void blocks::settle(const journal_record& record, settlement& done) noexcept {
  const std::uint64_t block = record.block & ~intent_mask;
  const bool is_published = record.link != 0 && word_at(record.link) == record.value;
  const bool is_taking = (record.block & intent_mask) == static_cast<std::uint64_t>(intent::take);
  const bool must_go = is_taking ? !is_published : record.link == 0 || is_published;
  if (!must_go) return;
  const place where = find(block);
  if (where.found != place::finding::live) return;
  undo_block(where);
  ++(is_taking ? done.undone : done.completed);
  done.recovered_bytes += where.size_bytes();
}

/// Frees the block in the truth alone.
void blocks::undo_block(const place& where) noexcept {
  segment::descriptor& first = descriptors_[where.granule];
  if (where.state.kind == granule_kind::large) {
    commit(first.state, 0);
  } else {
    std::uint64_t& word = first.free[where.slot / 64];
    commit(word, word | std::uint64_t{1} << (where.slot % 64));
  }
}

void blocks::derive() noexcept {
  for (class_list& list : head_->lists)
    list = {};
  head_->live_large_blocks = 0;
  head_->live_large_granules = 0;
  for (std::uint64_t word = 0; word < base::divide_up(head_->granules, 64); ++word)
    used_map_[word] = 0;
  head_->used_granules = 0;
  head_->first_free = 0;
  for (std::uint64_t granule = 0; granule < head_->granules;) {
    segment::descriptor& first = descriptors_[granule];
    const granule_state state = granule_state::of(first.state);
    if (state.kind == granule_kind::free || state.kind == granule_kind::inner) {
      first.state = 0;
      ++granule;
      continue;
    }
    mark_used(granule, state.span, true);
    if (state.kind == granule_kind::large) {
      ++head_->live_large_blocks;
      head_->live_large_granules += state.span;
    } else {
      const size_class& kind = classes[state.size_class];
      class_list& list = head_->lists[state.size_class];
      unsigned free_count = 0;
      for (const std::uint64_t word : first.free)
        free_count += static_cast<unsigned>(std::popcount(word));
      first.free_count = free_count;
      list.live += kind.slots - free_count;
      if (free_count == kind.slots) {
        release_slab(granule, kind);
      } else if (free_count > 0) {
        link_slab(granule, list);
      }
    }
    granule += state.span;
  }
}

// --- checks of the truth -----------------------------------------------------------------------

result<void> blocks::check_journal() const noexcept {
  if (head_->journal.depth >= journal_depth_max) {
    return damaged("the journal has the depth %", head_->journal.depth);
  }
  const std::uint64_t file_bytes = places_.file_bytes(head_->granules);
  for (const journal_record& record : head_->journal.records) {
    if (record.block == 0) continue;
    const std::uint64_t what = record.block & intent_mask;
    const bool is_intent = what == static_cast<std::uint64_t>(intent::take) ||
                           what == static_cast<std::uint64_t>(intent::give_back);
    if (!is_intent) return damaged("the journal has an intent that there is not, %", what);
    if (record.link % 8 != 0 || record.link > file_bytes - 8) {
      return damaged("the journal has a link to the offset %", record.link);
    }
  }
  return {};
}

result<void> blocks::check_granules(bool may_be_torn) const noexcept {
  const std::uint64_t end = head_->granules;
  for (std::uint64_t granule = 0; granule < end;) {
    const granule_state state = granule_state::of(descriptors_[granule].state);
    if (state.kind == granule_kind::free || (may_be_torn && state.kind == granule_kind::inner)) {
      ++granule;
      continue;
    }
    const bool is_first = state.kind == granule_kind::slab || state.kind == granule_kind::large;
    if (!is_first || state.span == 0 || state.span > end - granule) {
      return damaged("the state of granule % is none", granule);
    }
    if (state.kind == granule_kind::slab) {
      if (auto sound = check_slab(granule, state); !sound) return sound;
    } else {
      for (std::uint64_t inner = granule + 1; inner < granule + state.span; ++inner) {
        if (descriptors_[inner].state != 0) {
          return damaged("granule % is part of a large block and something else", inner);
        }
      }
    }
    granule += state.span;
  }
  return {};
}

result<void> blocks::check_slab(std::uint64_t granule, const granule_state& state) const noexcept {
  if (state.size_class >= class_count || state.span != classes[state.size_class].granules) {
    return damaged("the slab at granule % has no size class", granule);
  }
  const size_class& kind = classes[state.size_class];
  for (std::uint32_t distance = 1; distance < kind.granules; ++distance) {
    const granule_state expected{.kind = granule_kind::inner, .span = distance};
    if (descriptors_[granule + distance].state != expected.word()) {
      return damaged("the slab at granule % is torn", granule);
    }
  }
  const auto& free = descriptors_[granule].free;
  for (unsigned word = 0; word < free.size(); ++word) {
    if ((free[word] & ~slot_mask(kind.slots, word)) != 0) {
      return damaged("the slab at granule % has free slots beyond its end", granule);
    }
  }
  return {};
}

result<std::uint64_t> blocks::check_names() const noexcept {
  std::uint64_t count = 0;
  const std::uint64_t count_max = head_->granules * slab_slots_max;
  for (unsigned bucket = 0; bucket < bucket_count; ++bucket) {
    for (std::uint64_t at = head_->buckets[bucket]; at != 0;) {
      const place where = find(at);
      if (where.found != place::finding::live || where.size_bytes() < sizeof(name_entry)) {
        return damaged("a name is said to be at the offset %, where no block is", at);
      }
      const auto& entry = *reinterpret_cast<const name_entry*>(this->at(at));
      const std::uint64_t size = where.size_bytes();
      const bool fits = entry.name_bytes <= name_bytes_max &&
                        entry.object_shift >= sizeof(name_entry) + entry.name_bytes &&
                        entry.object_shift <= size &&
                        entry.object_bytes <= size - entry.object_shift;
      if (!fits || bucket_of(name_of(entry)) != bucket) {
        return damaged("the entry of a name at the offset % is not whole", at);
      }
      if (++count > count_max) return damaged("the names run in a circle at the offset %", at);
      at = entry.next;
    }
  }
  return count;
}

// --- checks of what is derived -----------------------------------------------------------------

result<void> blocks::check() const noexcept {
  if (auto sound = check_granules(false); !sound) return sound;
  if (auto sound = check_journal(); !sound) return sound;
  const auto names = check_names();
  if (!names) return std::unexpected(names.error());
  if (*names != head_->name_count) return damaged("there are % names, and others counted", *names);
  if (auto sound = check_derived(); !sound) return sound;
  return check_lists();
}

result<void> blocks::check_derived() const noexcept {
  std::uint64_t used = 0;
  std::uint64_t large_blocks = 0;
  std::uint64_t large_granules = 0;
  for (std::uint64_t granule = 0; granule < head_->granules;) {
    const granule_state state = granule_state::of(descriptors_[granule].state);
    const bool is_used = state.kind != granule_kind::free;
    const std::uint64_t span = is_used ? state.span : 1;
    for (std::uint64_t at = granule; at < granule + span; ++at) {
      if ((used_map_[at / 64] >> (at % 64) & 1U) != (is_used ? 1U : 0U)) {
        return damaged("the map of used granules is wrong at granule %", at);
      }
    }
    if (!is_used && granule < head_->first_free) {
      return damaged("granule % is free, and said not to be", granule);
    }
    used += is_used ? span : 0;
    if (state.kind == granule_kind::large) {
      ++large_blocks;
      large_granules += span;
    }
    granule += span;
  }
  if (used != head_->used_granules) return damaged("% granules are used, others counted", used);
  if (large_blocks != head_->live_large_blocks || large_granules != head_->live_large_granules) {
    return damaged("% large blocks are live, others counted", large_blocks);
  }
  return {};
}

result<void> blocks::check_lists() const noexcept {
  // What the lists should hold, from the slabs.
  std::array<std::uint64_t, class_count> live{};
  std::array<std::uint64_t, class_count> listed{};
  for (std::uint64_t granule = 0; granule < head_->granules; ++granule) {
    const granule_state state = granule_state::of(descriptors_[granule].state);
    if (state.kind != granule_kind::slab) continue;
    const segment::descriptor& slab = descriptors_[granule];
    unsigned free_count = 0;
    for (const std::uint64_t word : slab.free)
      free_count += static_cast<unsigned>(std::popcount(word));
    if (free_count != slab.free_count) return damaged("slab % has a wrong count", granule);
    live[state.size_class] += classes[state.size_class].slots - free_count;
    listed[state.size_class] += free_count > 0 ? 1 : 0;
  }
  for (unsigned index = 0; index < class_count; ++index) {
    if (live[index] != head_->lists[index].live) {
      return damaged("the live blocks of class % are counted wrong", index);
    }
    granule_link previous = 0;
    for (granule_link at = head_->lists[index].first; at != 0; at = descriptors_[at - 1].next) {
      if (at > head_->granules || listed[index]-- == 0) {
        return damaged("the list of class % is torn", index);
      }
      const segment::descriptor& slab = descriptors_[at - 1];
      const granule_state state = granule_state::of(slab.state);
      const bool belongs = state.kind == granule_kind::slab && state.size_class == index &&
                           slab.free_count > 0 && slab.previous == previous;
      if (!belongs) return damaged("the list of class % holds something else", index);
      previous = at;
    }
    if (listed[index] != 0) return damaged("slabs of class % are in no list", index);
  }
  return {};
}

}  // namespace acre::region::segment
