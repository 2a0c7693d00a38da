#include <acre/region/refused.hpp>
#include <acre/region/shared_segment.hpp>

#include "os/refusal.hpp"
#include "region/misuse.hpp"
#include "region/segment_state.hpp"

#include <algorithm>
#include <cstring>
#include <new>
#include <vector>

namespace acre::region {

namespace {

using segment::geometry;

/// What an opener reads before it maps anything.
struct head_start {
  std::array<char, 8> magic;
  std::uint32_t format;
  std::uint32_t version;
  std::uint64_t layout_hash;
  std::uint64_t granules_limit;
  std::uint64_t granules;
  std::uint64_t ready;
};
static_assert(offsetof(segment::head, ready) == offsetof(head_start, ready));

result<head_start> read_start(const os::growing_file& file) noexcept {
  head_start start{};
  const auto got = file.read(std::as_writable_bytes(std::span(&start, 1)));
  if (!got) return std::unexpected(got.error());
  if (*got < sizeof start || start.magic != segment::magic) {
    return os::refusal(EBADMSG, "segment head", "this is no segment");
  }
  return start;
}

result<geometry> check_start(const head_start& start, const os::segment_layout& layout) noexcept {
  if (start.format != segment::format) {
    return os::refusal(EPROTONOSUPPORT, "segment head",
                       "the segment has the format %; this library knows 1", start.format);
  }
  const bool is_sane = start.granules > 0 && start.granules <= start.granules_limit &&
                       start.granules_limit <= segment::granules_max;
  if (!is_sane) {
    return os::refusal(EBADMSG, "segment head", "the sizes are none: limit of % pieces",
                       start.granules_limit);
  }
  if (start.version != layout.version) {
    return os::refusal(EPROTONOSUPPORT, "segment head", "the segment has version %", start.version);
  }
  if (start.layout_hash != layout.layout_hash) {
    return os::refusal(EPROTOTYPE, "segment head", "the segment's layout has the hash %",
                       start.layout_hash);
  }
  return geometry::of(start.granules_limit);
}

/// Fails: EBADMSG when the file is shorter than the head says.
result<geometry> check_file(const os::growing_file& file, const segment_use& use) noexcept {
  const auto size_first = file.size_bytes();
  if (!size_first) return std::unexpected(size_first.error());
  const auto start = read_start(file);
  if (!start) return std::unexpected(start.error());
  const auto places = check_start(*start, use.layout);
  if (!places) return places;
  // Asked after the head was read: the file grows first.
  const auto size = file.size_bytes();
  if (!size) return std::unexpected(size.error());
  if (*size < places->file_bytes(start->granules)) {
    return os::refusal(EBADMSG, "segment head", "the file is shorter than the % bytes it says",
                       places->file_bytes(start->granules));
  }
  return places;
}

/// Becomes a user of the file.
/// Returns: whether it is the only one.
result<bool> join(os::growing_file& file) noexcept {
  while (true) {
    const auto alone = file.try_use_alone();
    if (!alone || *alone) return alone;
    if (auto joined = file.use_with_others(); !joined) return std::unexpected(joined.error());
    const auto start = read_start(file);
    if (!start) return std::unexpected(start.error());
    if (start->ready == static_cast<std::uint64_t>(segment::readiness::ready)) return false;
    // Who was alone died before the segment was ready, and it is for the next to make it so.
    if (auto left = file.stop_using(); !left) return std::unexpected(left.error());
  }
}

/// Makes the lock new, which nobody else can have, and whole what the last users left.
result<void> make_ready(segment_internals::state& own) {
  segment::head& head = own.head();
  segment::commit(head.ready, static_cast<std::uint64_t>(segment::readiness::being_made));
  const bool is_torn = own.is_left_torn();
  const pid_t dead_process = head.lock.owner_process();
  // Before the old lock is forgotten: this process may die, too.
  if (is_torn) own.note_damage();
  std::atomic_signal_fence(std::memory_order_seq_cst);
  new (&head.lock) robust_mutex;
  if (is_torn) {
    if (const auto locked = head.lock.lock(); !locked) return std::unexpected(locked.error());
    if (auto repaired = own.repair_or_refuse(dead_process); !repaired) return repaired;
    own.leave();
  } else if (auto settled = own.blocks.recover(); !settled) {
    return std::unexpected(settled.error());
  }
  head.sections = 0;
  segment::commit(head.ready, static_cast<std::uint64_t>(segment::readiness::ready));
  return own.file.use_with_others();
}

result<std::unique_ptr<segment_internals::state>> attach(os::growing_file file, segment_use use) {
  if (const auto checked = check_file(file, use); !checked) {
    return std::unexpected(checked.error());
  }
  const auto alone = join(file);
  if (!alone) return std::unexpected(alone.error());
  // Once more: nothing that this process relies on may have been read before it was a user.
  const auto places = check_file(file, use);
  if (!places) return std::unexpected(places.error());
  const auto view = file.map(places->file_bytes_limit, use.address);
  if (!view) return std::unexpected(view.error());
  auto made =
      std::make_unique<segment_internals::state>(std::move(file), *view, *places, std::move(use));
  if (*alone) {
    if (auto ready = make_ready(*made); !ready) return std::unexpected(ready.error());
  }
  if (made->is_to_be_told()) {
    if (auto entered = made->enter(); !entered) return std::unexpected(entered.error());
    made->leave();
  }
  return made;
}

result<geometry> plan(const segment_extent& extent) noexcept {
  const std::size_t limit = std::max(extent.limit_bytes, extent.size_bytes);
  constexpr std::uint64_t bytes_max = segment::granules_max * segment::granule_bytes;
  const bool is_sane = extent.size_bytes > 0 && limit <= bytes_max &&
                       (extent.limit_bytes == 0 || extent.limit_bytes >= extent.size_bytes);
  if (!is_sane) {
    return os::refusal(EINVAL, "shared_segment",
                       "a segment has from 1 byte to its limit, which is at most % bytes",
                       bytes_max);
  }
  return geometry::of(base::divide_up(limit, segment::granule_bytes));
}

/// Makes a segment of an empty file that nobody else knows.
result<std::unique_ptr<segment_internals::state>> format(os::growing_file file,
                                                         const segment_extent& extent,
                                                         segment_use use) {
  const auto places = plan(extent);
  if (!places) return std::unexpected(places.error());
  const std::uint64_t granules = base::divide_up(extent.size_bytes, segment::granule_bytes);
  auto reserved = file.reserve(0, sizeof(segment::head));
  if (reserved) reserved = reserve_granules(file, *places, 0, granules);
  if (!reserved) return std::unexpected(reserved.error());
  const auto view = file.map(places->file_bytes_limit, use.address);
  if (!view) return std::unexpected(view.error());
  auto made =
      std::make_unique<segment_internals::state>(std::move(file), *view, *places, std::move(use));
  segment::head& head = made->head();
  head.format = segment::format;
  head.version = made->use.layout.version;
  head.layout_hash = made->use.layout.layout_hash;
  head.granules_limit = places->granules_limit;
  head.granules = granules;
  new (&head.lock) robust_mutex;
  head.ready = static_cast<std::uint64_t>(segment::readiness::ready);
  if (auto joined = made->file.use_with_others(); !joined) return std::unexpected(joined.error());
  head.magic = segment::magic;
  return made;
}

result<void> check_place(const segment_place& place) noexcept {
  if (place.path().empty()) {
    return os::refusal(EINVAL, "shared_segment",
                       "a name is a slash and up to 255 characters without one");
  }
  if (place.path().contains('\0')) {
    return os::refusal(EINVAL, "shared_segment", "a name or path has no byte 0 within");
  }
  return {};
}

std::string directory_of(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return path.substr(0, std::max<std::size_t>(slash, 1));
}

result<shared_segment> as_segment(result<std::unique_ptr<segment_internals::state>> made) {
  if (!made) return std::unexpected(made.error());
  return segment_internals::handle(std::move(*made));
}

}  // namespace

// --- making and opening ------------------------------------------------------------------------

result<shared_segment> shared_segment::create(const segment_place& place,
                                              const segment_extent& extent, segment_use use) {
  if (auto checked = check_place(place); !checked) return std::unexpected(checked.error());
  if (const auto planned = plan(extent); !planned) return std::unexpected(planned.error());
  auto file = os::growing_file::unnamed_in(directory_of(place.path()).c_str(), extent.permissions);
  if (!file) return std::unexpected(file.error());
  auto made = format(std::move(*file), extent, std::move(use));
  if (!made) return std::unexpected(made.error());
  if (auto named = (*made)->file.publish(place.path().c_str()); !named) {
    return std::unexpected(named.error());
  }
  return segment_internals::handle(std::move(*made));
}

result<shared_segment> shared_segment::open(const segment_place& place, segment_use use) {
  if (auto checked = check_place(place); !checked) return std::unexpected(checked.error());
  auto file = os::growing_file::open(place.path().c_str());
  if (!file) return std::unexpected(file.error());
  return as_segment(attach(std::move(*file), std::move(use)));
}

result<shared_segment> shared_segment::open_or_create(const segment_place& place,
                                                      const segment_extent& extent,
                                                      segment_use use) {
  while (true) {
    auto opened = open(place, use);
    if (opened || opened.error().number != ENOENT) return opened;
    auto made = create(place, extent, use);
    if (made) return made;
    // Somebody else may have been faster, and others may have removed it since.
    if (made.error().number == EEXIST) continue;
    // Or been faster and taken the room that is missing here.
    opened = open(place, use);
    return opened ? std::move(opened) : std::move(made);
  }
}

result<shared_segment> shared_segment::unnamed(const char* label, const segment_extent& extent,
                                               segment_use use) {
  auto file = os::growing_file::in_memory(label);
  if (!file) return std::unexpected(file.error());
  return as_segment(format(std::move(*file), extent, std::move(use)));
}

result<shared_segment> shared_segment::of_descriptor(int descriptor, segment_use use) {
  auto file = os::growing_file::of_descriptor(descriptor);
  if (!file) return std::unexpected(file.error());
  return as_segment(attach(std::move(*file), std::move(use)));
}

result<void> shared_segment::remove(const segment_place& place) {
  if (auto checked = check_place(place); !checked) return checked;
  return os::remove_file(place.path().c_str());
}

shared_segment::shared_segment(std::unique_ptr<state> made) noexcept : state_(std::move(made)) {}
shared_segment::shared_segment(shared_segment&&) noexcept = default;
shared_segment& shared_segment::operator=(shared_segment&&) noexcept = default;
shared_segment::~shared_segment() = default;

// --- memory ------------------------------------------------------------------------------------

result<void*> segment_internals::allocate(state& from, std::size_t size_bytes,
                                          std::size_t alignment) noexcept {
  const segment_hold held(from);
  if (!held) return held.refused();
  const auto block = from.take(size_bytes, alignment, {});
  if (!block) return std::unexpected(block.error());
  from.blocks.close_record();
  return from.blocks.at(*block);
}

void* segment_internals::allocate_or_throw(state& from, std::size_t size_bytes,
                                           std::size_t alignment) {
  const auto data = allocate(from, size_bytes, alignment);
  if (!data) [[unlikely]]
    throw refused(data.error());
  return *data;
}

void segment_internals::deallocate(state& from, void* data) noexcept {
  if (data == nullptr) return;
  segment::place where;
  {
    const segment_hold held(from);
    if (!held) misuse("shared segment", held.refused().error().why);
    const std::uint64_t block = from.blocks.offset_of(data);
    where = from.blocks.find(block);
    if (where.found == segment::place::finding::live) [[likely]] {
      from.give_back(where, block);
      return;
    }
  }
  // Without the lock: others go on.
  const bool is_free = where.found == segment::place::finding::is_free;
  misuse("shared segment", is_free ? "a block was deallocated twice"
                                   : "what was deallocated is no block of the segment");
}

result<void*> shared_segment::try_allocate(std::size_t size_bytes, std::size_t alignment) noexcept {
  return segment_internals::allocate(*state_, size_bytes, alignment);
}

void* shared_segment::allocate(std::size_t size_bytes, std::size_t alignment) {
  return segment_internals::allocate_or_throw(*state_, size_bytes, alignment);
}

void shared_segment::deallocate(void* data) noexcept {
  segment_internals::deallocate(*state_, data);
}

void* detail::allocate_in_segment(void* base, std::size_t size_bytes, std::size_t alignment) {
  return segment_internals::allocate_or_throw(segment_internals::state_at(base), size_bytes,
                                              alignment);
}

void detail::deallocate_in_segment(void* base, void* data) noexcept {
  segment_internals::deallocate(segment_internals::state_at(base), data);
}

// --- the lock ----------------------------------------------------------------------------------

shared_segment::hold::hold(const shared_segment& segment) noexcept
    : state_(*segment.state_), outcome_(state_.enter()) {}

shared_segment::hold::~hold() {
  if (outcome_) state_.leave();
}

result<shared_segment::section> shared_segment::lock() noexcept {
  if (auto entered = state_->enter(); !entered) return std::unexpected(entered.error());
  ++state_->head().sections;
  return section(*state_);
}

void shared_segment::end_section(state& of) noexcept {
  --of.head().sections;
  of.leave();
}

// --- about the segment -------------------------------------------------------------------------

result<segment_statistics> shared_segment::statistics() const noexcept {
  const segment_hold held(*state_);
  if (!held) return held.refused();
  const segment::head& head = state_->head();
  segment_statistics now;
  for (unsigned index = 0; index < segment::class_count; ++index) {
    now.live_blocks += head.lists[index].live;
    now.live_bytes += head.lists[index].live * segment::classes[index].size_bytes;
  }
  now.live_blocks += head.live_large_blocks;
  now.live_bytes += head.live_large_granules * segment::granule_bytes;
  now.names = head.name_count;
  now.used_bytes = head.used_granules * segment::granule_bytes;
  now.size_bytes = head.granules * segment::granule_bytes;
  now.limit_bytes = head.granules_limit * segment::granule_bytes;
  now.file_bytes = state_->blocks.geometry().file_bytes(head.granules);
  now.recoveries = head.recoveries;
  return now;
}

result<void> shared_segment::check_invariants() const noexcept {
  const segment_hold held(*state_);
  if (!held) return held.refused();
  return state_->blocks.check();
}

bool shared_segment::owns(const void* address) const noexcept {
  const segment::geometry& places = state_->blocks.geometry();
  const std::uint64_t offset = state_->blocks.offset_of(address);
  return offset >= places.data_offset && offset < places.file_bytes_limit;
}

void* shared_segment::base() const noexcept {
  return state_->view.file;
}

int shared_segment::descriptor() const noexcept {
  return state_->file.descriptor();
}

}  // namespace acre::region
