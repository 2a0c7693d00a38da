#include "region/segment_state.hpp"

#include <acre/os/page.hpp>

#include "os/refusal.hpp"

#include <algorithm>

namespace acre::region {

namespace {

/// At least so much more at each growth, in granules.
constexpr std::uint64_t growth_granules_min = 64;

}  // namespace

shared_segment::state::state(os::growing_file taken, const os::growing_view& mapped,
                             const segment::geometry& places, segment_use wanted) noexcept
    : file(std::move(taken)), view(mapped), blocks(mapped.file, places), use(std::move(wanted)) {
  detail::know_own_process();
  segment_internals::set_state_at(mapped.file, this);
}

shared_segment::state::~state() {
  // Fails for no mapping that exists.
  static_cast<void>(os::growing_file::unmap(view));
}

// --- the lock ----------------------------------------------------------------------------------

result<void> shared_segment::state::repair_or_refuse(pid_t dead_process) noexcept {
  auto repaired = repair(dead_process);
  // Unrepaired, so that nobody works on it again.
  if (!repaired) head().lock.unlock();
  return repaired;
}

bool shared_segment::state::is_left_torn() const noexcept {
  return head().lock.holds() != 0 || (head().unrepaired & segment::damage::lock) != 0;
}

void shared_segment::state::note_damage() noexcept {
  segment::head& head = blocks.head();
  // Kept in the segment until the program has dealt with it: this process may die, too.
  head.unrepaired |= segment::damage::lock | (head.sections > 0 ? segment::damage::section : 0U) |
                     (head.journal.depth > 0 ? segment::damage::object : 0U);
}

result<void> shared_segment::state::repair(pid_t dead_process) noexcept {
  segment::head& head = blocks.head();
  note_damage();
  segment_recovery found = what_is_left(dead_process);
  const auto settled = blocks.recover();
  if (!settled) return std::unexpected(settled.error());
  found.undone = settled->undone;
  found.completed = settled->completed;
  found.recovered_bytes = settled->recovered_bytes;
  ++head.recoveries;
  head.sections = 0;
  head.lock.mark_repaired();
  if (use.on_recovery) {
    tell(found);
  } else {
    // For the next process that has a callback.
    head.unrepaired = (head.unrepaired & ~segment::damage::lock) | segment::damage::untold;
  }
  return {};
}

segment_recovery shared_segment::state::what_is_left(pid_t dead_process) const noexcept {
  const std::uint32_t left = head().unrepaired;
  return {.dead_process = dead_process,
          .in_section = (left & segment::damage::section) != 0,
          .in_object = (left & segment::damage::object) != 0};
}

void shared_segment::state::tell(const segment_recovery& found) noexcept {
  is_telling_ = true;
  shared_segment self = segment_internals::handle(std::unique_ptr<state>(this));
  use.on_recovery(self, found);
  static_cast<void>(segment_internals::take(self).release());
  is_telling_ = false;
  head().unrepaired = 0;
}

// --- memory ------------------------------------------------------------------------------------

result<void> reserve_granules(os::growing_file& file, const segment::geometry& places,
                              std::uint64_t from, std::uint64_t count) noexcept {
  const std::uint64_t to = from + count;
  const auto descriptors = places.descriptors_offset + from * sizeof(segment::descriptor);
  const std::uint64_t bits = places.used_map_offset + from / 64 * 8;
  auto done = file.reserve(bits, places.used_map_offset + base::divide_up(to, 64) * 8 - bits);
  if (done) done = file.reserve(descriptors, count * sizeof(segment::descriptor));
  // Last, since this moves the end of the file.
  if (done) done = file.reserve(places.file_bytes(from), count * segment::granule_bytes);
  return done;
}

std::uint64_t shared_segment::state::free_granules_at_end() const noexcept {
  std::uint64_t first = head().granules;
  while (first > 0 && blocks.is_free(first - 1))
    --first;
  return head().granules - first;
}

result<void> shared_segment::state::grow(std::uint64_t granules) noexcept {
  segment::head& head = blocks.head();
  const std::uint64_t left = head.granules_limit - head.granules;
  if (left == 0) {
    return os::refusal(ENOSPC, "shared_segment", "the segment is full; its limit is % bytes",
                       head.granules_limit * segment::granule_bytes);
  }
  const std::uint64_t least = granules - free_granules_at_end();
  if (least > left) {
    return os::refusal(ENOSPC, "shared_segment",
                       "no free part is long enough; the segment's limit is % bytes",
                       head.granules_limit * segment::granule_bytes);
  }
  const std::uint64_t generous =
      std::min(left, std::max({granules, head.granules / 2, growth_granules_min}));
  auto reserved = reserve_granules(file, blocks.geometry(), head.granules, generous);
  std::uint64_t more = generous;
  if (!reserved && reserved.error().number == ENOSPC && least < generous) {
    reserved = reserve_granules(file, blocks.geometry(), head.granules, least);
    more = least;
  }
  if (!reserved) return reserved;
  blocks.add_granules(more);
  return {};
}

result<std::uint64_t> shared_segment::state::take_slowly(
    std::size_t size_bytes, std::size_t alignment, const segment::publication& where) noexcept {
  if (alignment > segment::alignment_max || (alignment & (alignment - 1)) != 0 || alignment == 0) {
    return os::refusal(EINVAL, "shared_segment",
                       "an alignment is a power of two up to 4096, and not %", alignment);
  }
  const std::uint64_t limit_bytes = head().granules_limit * segment::granule_bytes;
  if (size_bytes > limit_bytes) {
    return os::refusal(ENOSPC, "shared_segment", "the segment's limit is % bytes", limit_bytes);
  }
  std::uint64_t block = blocks.take(size_bytes, alignment, where);
  if (block != 0) [[likely]]
    return block;
  blocks.release_empty_slabs();
  block = blocks.take(size_bytes, alignment, where);
  if (block != 0) return block;
  const auto grown = grow(segment::blocks::granules_for(size_bytes, alignment));
  if (!grown) return std::unexpected(grown.error());
  return blocks.take(size_bytes, alignment, where);
}

// --- the way to the state ----------------------------------------------------------------------

segment_internals::state& segment_internals::state_at(void* base) noexcept {
  return **reinterpret_cast<state**>(static_cast<std::byte*>(base) - os::page_size());
}

void segment_internals::set_state_at(void* base, state* of) noexcept {
  *reinterpret_cast<state**>(static_cast<std::byte*>(base) - os::page_size()) = of;
}

shared_segment segment_internals::handle(std::unique_ptr<state> made) noexcept {
  return shared_segment(std::move(made));
}

std::unique_ptr<segment_internals::state> segment_internals::take(shared_segment& handle) noexcept {
  return std::move(handle.state_);
}

}  // namespace acre::region
