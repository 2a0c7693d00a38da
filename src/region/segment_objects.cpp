// Objects that exist exactly when a word in the segment says so: the head of a chain of names, or a
// link of the program's.
#include <acre/region/shared_segment.hpp>

#include "os/refusal.hpp"
#include "region/segment_names.hpp"
#include "region/segment_state.hpp"

#include <algorithm>
#include <cstring>
#include <vector>

namespace acre::region {

namespace {

using segment::commit;
using segment::name_entry;
using segment::place;
using state = segment_internals::state;

/// Records that an operation and a replacement within it need.
constexpr std::uint64_t records_needed = 2;

result<void> check_depth(const state& in) noexcept {
  if (in.head().journal.depth + records_needed <= segment::journal_depth_max) return {};
  return os::refusal(ELOOP, "shared_segment", "constructors nest more than % deep",
                     segment::journal_depth_max - records_needed + 1);
}

result<void> check_name(std::string_view name) noexcept {
  if (name.empty()) return os::refusal(EINVAL, "shared_segment", "a name has at least 1 byte");
  if (name.size() <= segment::name_bytes_max) return {};
  return os::refusal(ENAMETOOLONG, "shared_segment", "a name has up to 255 bytes, and not %",
                     name.size());
}

name_entry& entry_at(const state& in, std::uint64_t offset) noexcept {
  return *reinterpret_cast<name_entry*>(in.blocks.at(offset));
}

/// The word that leads to the entry of the name, or the one that ends its chain with 0.
std::uint64_t& find_link(const state& in, std::string_view name) noexcept {
  std::uint64_t* link = &in.head().buckets[segment::bucket_of(name)];
  while (*link != 0 && segment::name_of(entry_at(in, *link)) != name)
    link = &entry_at(in, *link).next;
  return *link;
}

result<void> check_type(const name_entry& entry, const detail::segment_type& type) noexcept {
  const bool is_same = entry.type_hash == type.hash && entry.object_bytes == type.size_bytes &&
                       entry.object_alignment == type.alignment;
  if (is_same) return {};
  return os::refusal(EPROTOTYPE, "shared_segment",
                     "the name belongs to an object of another type, of % bytes",
                     entry.object_bytes);
}

/// Lets a constructor or destructor run, which may use the segment: an operation's own record stays
/// below those of the operations within.
void descend(state& in) noexcept {
  commit(in.head().journal.depth, in.head().journal.depth + 1);
}
void ascend(state& in) noexcept {
  commit(in.head().journal.depth, in.head().journal.depth - 1);
}

/// Stores `value` at the link, which removes the block, ends the object in it and frees the block.
/// Requires: that the block is live.
void remove_block(state& in, const place& where, std::uint64_t block, std::uint64_t& link,
                  std::uint64_t value, void* object, void (*end)(void*)) {
  in.blocks.announce_give_back(block, in.blocks.offset_of(&link), value);
  commit(link, value);
  // From here on the block goes whatever the destructor does to the link.
  commit(in.blocks.record().link, 0);
  descend(in);
  end(object);
  ascend(in);
  in.blocks.give_back(where);
  in.blocks.close_record();
}

/// Whether an eight-byte word is where blocks are.
bool is_in_blocks(const state& in, const void* word) noexcept {
  const std::uint64_t offset = in.blocks.offset_of(word);
  const segment::geometry& places = in.blocks.geometry();
  return offset % 8 == 0 && offset >= places.data_offset &&
         offset <= places.file_bytes(in.head().granules) - 8;
}

std::uint64_t distance(const void* from, const void* to) noexcept {
  return reinterpret_cast<std::uintptr_t>(to) - reinterpret_cast<std::uintptr_t>(from);
}

/// What an `offset_ptr` at the place holds to mean the target.
std::uint64_t link_value(const void* at, const void* target) noexcept {
  return target == nullptr ? 1 : distance(at, target);
}

std::uint64_t& as_word(std::int64_t& link) noexcept {
  return reinterpret_cast<std::uint64_t&>(link);
}

/// The block that a link leads to.
/// Fails: EINVAL when there is none, or the link is not in the segment.
result<place> target_of(const state& in, const std::int64_t& link) noexcept {
  if (!is_in_blocks(in, &link)) {
    return os::refusal(EINVAL, "shared_segment", "the link is not in the segment");
  }
  const auto* const target =
      reinterpret_cast<const std::byte*>(&link) + static_cast<std::ptrdiff_t>(link);
  const place where = in.blocks.find(in.blocks.offset_of(target));
  if (link == 1 || where.found != place::finding::live) {
    return os::refusal(EINVAL, "shared_segment", "the link does not lead to a live block");
  }
  return where;
}

}  // namespace

// --- named objects -----------------------------------------------------------------------------

result<void*> shared_segment::begin_named(std::string_view name, const detail::segment_type& type) {
  if (auto checked = check_name(name); !checked) return std::unexpected(checked.error());
  if (auto entered = state_->enter(); !entered) return std::unexpected(entered.error());
  const auto refuse = [&](const failure& why) -> std::unexpected<failure> {
    state_->leave();
    return std::unexpected(why);
  };
  if (auto checked = check_depth(*state_); !checked) return refuse(checked.error());
  if (find_link(*state_, name) != 0) {
    return refuse({.number = EEXIST, .call = "shared_segment", .why = "the name is taken"});
  }
  const std::size_t alignment = std::max(type.alignment, alignof(name_entry));
  const std::size_t shift = base::align_up(sizeof(name_entry) + name.size(), alignment);
  const std::uint64_t bucket =
      state_->blocks.offset_of(&state_->head().buckets[segment::bucket_of(name)]);
  const auto block = state_->take(shift + type.size_bytes, alignment, {.link = bucket});
  if (!block) return refuse(block.error());
  name_entry& entry = entry_at(*state_, *block);
  entry = {.next = 0,
           .type_hash = type.hash,
           .object_bytes = type.size_bytes,
           .object_alignment = static_cast<std::uint32_t>(type.alignment),
           .object_shift = static_cast<std::uint32_t>(shift),
           .name_bytes = static_cast<std::uint32_t>(name.size()),
           .unused = 0};
  std::memcpy(&entry + 1, name.data(), name.size());
  descend(*state_);
  return state_->blocks.at(*block + shift);
}

void shared_segment::publish_named(void*) noexcept {
  ascend(*state_);
  const segment::journal_record& record = state_->blocks.record();
  std::uint64_t& bucket = state_->blocks.word_at(record.link);
  // What the constructor itself has named may have come in between.
  entry_at(*state_, record.value).next = bucket;
  commit(bucket, record.value);
  ++state_->head().name_count;
  state_->blocks.close_record();
  state_->leave();
}

result<void*> shared_segment::find_named(std::string_view name,
                                         const detail::segment_type& type) const {
  const segment_hold held(*state_);
  if (!held) return held.refused();
  const std::uint64_t at = find_link(*state_, name);
  if (at == 0) return os::refusal(ENOENT, "shared_segment", "no object has the name");
  const name_entry& entry = entry_at(*state_, at);
  if (auto checked = check_type(entry, type); !checked) return std::unexpected(checked.error());
  return state_->blocks.at(at + entry.object_shift);
}

result<void> shared_segment::destroy_named(std::string_view name, const detail::segment_type& type,
                                           destructor end) {
  const segment_hold held(*state_);
  if (!held) return held.refused();
  std::uint64_t& link = find_link(*state_, name);
  const std::uint64_t block = link;
  if (block == 0) return os::refusal(ENOENT, "shared_segment", "no object has the name");
  const name_entry& entry = entry_at(*state_, block);
  if (auto checked = check_type(entry, type); !checked) return checked;
  if (auto checked = check_depth(*state_); !checked) return checked;
  --state_->head().name_count;
  remove_block(*state_, state_->blocks.find(block), block, link, entry.next,
               state_->blocks.at(block + entry.object_shift), end);
  return {};
}

result<void> shared_segment::for_each_name(
    const std::function<void(std::string_view, std::size_t)>& use) const {
  const segment_hold held(*state_);
  if (!held) return held.refused();
  for (std::uint64_t at : state_->head().buckets) {
    for (; at != 0; at = entry_at(*state_, at).next) {
      const name_entry& entry = entry_at(*state_, at);
      use(segment::name_of(entry), entry.object_bytes);
    }
  }
  return {};
}

// --- linked objects ----------------------------------------------------------------------------

result<void*> shared_segment::begin_linked(std::int64_t& link, const detail::segment_type& type) {
  if (auto entered = state_->enter(); !entered) return std::unexpected(entered.error());
  const auto refuse = [&](const failure& why) -> std::unexpected<failure> {
    state_->leave();
    return std::unexpected(why);
  };
  if (!is_in_blocks(*state_, &link)) {
    return refuse(
        {.number = EINVAL, .call = "shared_segment", .why = "the link is not in the segment"});
  }
  if (auto checked = check_depth(*state_); !checked) return refuse(checked.error());
  const std::uint64_t at = state_->blocks.offset_of(&link);
  const auto block = state_->take(type.size_bytes, type.alignment, {.link = at, .bias = 0 - at});
  if (!block) return refuse(block.error());
  // Recovery could not tell whether the object was published.
  if (as_word(link) == state_->blocks.record().value) {
    state_->blocks.give_back(state_->blocks.find(*block));
    state_->blocks.close_record();
    return refuse({.number = EINVAL,
                   .call = "shared_segment",
                   .why = "the link leads to memory that was free"});
  }
  descend(*state_);
  return state_->blocks.at(*block);
}

void shared_segment::publish_linked(std::int64_t& link, void* object) noexcept {
  ascend(*state_);
  commit(as_word(link), link_value(&link, object));
  state_->blocks.close_record();
  state_->leave();
}

result<void> shared_segment::replace_linked(std::int64_t& link, void* object, destructor end) {
  if (link == 1) {
    publish_linked(link, object);
    return {};
  }
  const auto where = target_of(*state_, link);
  if (!where) {
    end(object);
    abandon(object);
    return std::unexpected(where.error());
  }
  // The new object's record lies below; the store of the link completes it and begins the old one's
  // removal.
  const std::uint64_t old = state_->blocks.offset_of(&link) + as_word(link);
  remove_block(*state_, *where, old, as_word(link), link_value(&link, object),
               state_->blocks.at(old), end);
  ascend(*state_);
  state_->blocks.close_record();
  state_->leave();
  return {};
}

result<void> shared_segment::destroy_linked(std::int64_t& link, const void* next, destructor end) {
  const segment_hold held(*state_);
  if (!held) return held.refused();
  const auto where = target_of(*state_, link);
  if (!where) return std::unexpected(where.error());
  if (auto checked = check_depth(*state_); !checked) return checked;
  const std::uint64_t block = state_->blocks.offset_of(&link) + as_word(link);
  if (state_->blocks.offset_of(next) - block < where->size_bytes()) {
    return os::refusal(EINVAL, "shared_segment", "the next object is in the one to be destroyed");
  }
  remove_block(*state_, *where, block, as_word(link), link_value(&link, next),
               state_->blocks.at(block), end);
  return {};
}

void shared_segment::abandon(void*) noexcept {
  ascend(*state_);
  const std::uint64_t block = state_->blocks.record().block & ~std::uint64_t{15};
  const place where = state_->blocks.find(block);
  state_->blocks.give_back(where);
  state_->blocks.close_record();
  state_->leave();
}

// --- blocks without an owner -------------------------------------------------------------------

result<std::size_t> shared_segment::sweep(
    const std::function<bool(const void*, std::size_t)>& is_wanted) {
  const segment_hold held(*state_);
  if (!held) return held.refused();
  std::vector<std::uint64_t> named;
  for (std::uint64_t at : state_->head().buckets) {
    for (; at != 0; at = entry_at(*state_, at).next)
      named.push_back(at);
  }
  std::ranges::sort(named);
  std::size_t freed_bytes = 0;
  state_->blocks.for_each_live([&](std::uint64_t block, std::size_t size_bytes) {
    if (std::ranges::binary_search(named, block)) return;
    if (is_wanted(state_->blocks.at(block), size_bytes)) return;
    state_->give_back(state_->blocks.find(block), block);
    freed_bytes += size_bytes;
  });
  return freed_bytes;
}

}  // namespace acre::region
