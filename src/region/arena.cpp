#include <acre/region/arena.hpp>
#include <acre/region/refused.hpp>

#include "base/bits.hpp"
#include "region/arena_chunk.hpp"
#include "region/chunks.hpp"
#include "region/misuse.hpp"
#include "region/watch.hpp"

#include <algorithm>
#include <atomic>
#include <bit>
#include <cerrno>

namespace acre::region {

namespace {

/// Ids start at 1, so that a marker made by nobody matches no arena. Counts only; needs no
/// ordering.
std::uint64_t next_arena_id() noexcept {
  static constinit std::atomic<std::uint64_t> last{0};
  return last.fetch_add(1, std::memory_order_relaxed) + 1;
}

}  // namespace

arena::arena(const arena_options& options)
    : cursor_(reinterpret_cast<std::byte*>(this)),
      next_chunk_bytes_(options.first_block_bytes),
      chunk_bytes_max_(options.block_bytes_max),
      id_(next_arena_id()),
      watched_(is_watched()),
      on_reset_(options.on_reset),
      supply_(options.from, options.budget_bytes, options.when_exhausted) {
  options.name.copy(name_, sizeof name_ - 1);
  own_block_bytes_ = own_bytes_suiting(options);
  next_chunk_bytes_ = bytes_of_first_chunk(next_chunk_bytes_, supply_.from().granularity());
  first_chunk_bytes_ = next_chunk_bytes_;
  chunk_bytes_max_ = std::max(chunk_bytes_max_, next_chunk_bytes_);
  if (!supply_.grows()) {
    if (!insert_chunk(sizeof(chunk) + 1)) throw refused(last_failure_);
    enter(first_, first_->begin());
  }
  supply_.finish_construction();
}

arena::~arena() {
  if (child_ != nullptr) misuse(name_, "destroyed while its child arena is alive");
  rewind();
  refuse_leases("destroyed while a container or owner still holds memory of it");
  drop_chunks_after(nullptr);
}

std::size_t arena::own_bytes_suiting(const arena_options& options) const noexcept {
  if (!supply_.grows()) return SIZE_MAX;
  if (options.own_block_bytes != 0) return std::max(options.own_block_bytes, least_own_block_bytes);
  return std::max({least_own_block_bytes, supply_.from().granularity(), options.first_block_bytes});
}

void* arena::allocate_slowly(std::size_t size_bytes, std::size_t alignment) {
  void* const data = try_allocate_slowly(size_bytes, alignment);
  if (data == nullptr) throw refused(last_failure_);
  return data;
}

void* arena::try_allocate_slowly(std::size_t size_bytes, std::size_t alignment) noexcept {
  if (child_ != nullptr) misuse(name_, "used while its child arena is alive");
  if (!std::has_single_bit(alignment)) misuse(name_, "asked for an alignment not a power of two");
  if (frozen_ || size_bytes > most_bytes || alignment > most_bytes) {
    last_failure_ = {ENOMEM, frozen_ ? "frozen" : "size"};
    return nullptr;
  }
  if (size_bytes >= own_block_bytes_) return allocate_own(size_bytes, alignment);
  void* const data = bump(size_bytes, alignment);
  if (data != nullptr) return data;
  if (!advance(size_bytes, alignment)) return nullptr;
  return bump(size_bytes, alignment);
}

/// The next place in the current chunk, or null when there is none.
void* arena::bump(std::size_t size_bytes, std::size_t alignment) noexcept {
  if (current_ == nullptr) return nullptr;
  std::byte* const start = aligned_cursor(alignment);
  const std::size_t taken = size_bytes + (watched_ ? watched_gap_bytes : 0);
  std::byte* const end = current_->end();
  if (start > end || taken > static_cast<std::size_t>(end - start)) return nullptr;
  cursor_ = start + taken;
  watch_allocated(start, size_bytes);
  return start;
}

/// Makes a chunk the current one that has room for the request.
bool arena::advance(std::size_t size_bytes, std::size_t alignment) noexcept {
  const std::size_t needed =
      size_bytes + sizeof(chunk) + watched_gap_bytes + std::max(alignment, alignof(chunk));
  chunk* const kept = current_ != nullptr ? current_->next : first_;
  const bool is_enough = kept != nullptr && kept->supplied.memory.size_bytes >= needed;
  if (!is_enough && !insert_chunk(needed)) return false;
  if (current_ == nullptr) {
    enter(first_, first_->begin());
    return true;
  }
  current_->used_bytes = static_cast<std::size_t>(cursor_ - current_->begin());
  used_before_ += current_->used_bytes;
  enter(current_->next, current_->next->begin());
  return true;
}

/// Puts a new chunk behind the current one, before those that are kept.
bool arena::insert_chunk(std::size_t needed_bytes) noexcept {
  const result<supplied_block> taken =
      supply_.take(needed_bytes, std::max(needed_bytes, next_chunk_bytes_), alignof(chunk));
  if (!taken) {
    last_failure_ = taken.error();
    return false;
  }
  next_chunk_bytes_ = std::min(next_chunk_bytes_ * 2, chunk_bytes_max_);
  chunk** const link = current_ != nullptr ? &current_->next : &first_;
  auto* const made = new (taken->memory.data) chunk{*link, 0, *taken};
  watch_closed(made->begin(), static_cast<std::size_t>(made->end() - made->begin()));
  *link = made;
  return true;
}

void arena::enter(chunk* entered, std::byte* cursor) noexcept {
  current_ = entered;
  cursor_ = cursor;
  open_or_close();
}

/// The fast path is open when nobody needs to know of each allocation.
void arena::open_or_close() noexcept {
  const bool is_open = current_ != nullptr && !watched_ && !frozen_ && child_ == nullptr;
  limit_ = is_open ? reinterpret_cast<std::uintptr_t>(current_->end()) : 0;
}

void arena::deallocate_slowly(void* data, std::size_t size_bytes) noexcept {
  if (size_bytes < own_block_bytes_) {
    watch_freed(data, size_bytes);
    return;
  }
  own_block* const head = own_block::of(data);
  if (head->self != data || head->size_bytes != size_bytes) {
    misuse(name_, "a large block was freed twice, or with another size than it was allocated with");
  }
  head->self = nullptr;
  if (head->id != 0) {
    end_own(head);
  } else {
    watch_freed(data, size_bytes);
  }
}

/// Tells watchers that everything from `cursor` in `from` to where the arena stands is free.
void arena::forget_from(chunk* from, std::byte* cursor) noexcept {
  if (!watched_ || current_ == nullptr) return;
  for (; from != nullptr; from = from->next) {
    std::byte* const end = from == current_ ? cursor_ : from->begin() + from->used_bytes;
    if (end > cursor) watch_freed(cursor, static_cast<std::size_t>(end - cursor));
    if (from == current_) break;
    cursor = from->next->begin();
  }
}

void arena::reset(keep what) noexcept {
  if (child_ != nullptr) misuse(name_, "reset while its child arena is alive");
  history_.record(used_bytes());
  rewind();
  refuse_leases("reset while a container or owner still holds memory of it");
  drop_chunks_after(last_kept(what));
  ++resets_;
}

/// Destroys everything and stands at the beginning again; keeps all chunks.
void arena::rewind() noexcept {
  note_peak();
  destroy_down_to(nullptr);
  marks_ = nullptr;
  keep_all_own();
  if (first_ == nullptr) return;
  forget_from(first_, first_->begin());
  used_before_ = 0;
  enter(first_, first_->begin());
}

/// After the arena's own objects are gone, which may have held some.
void arena::refuse_leases(const char* what) const noexcept {
  if (leases_ != 0) misuse(name_, what);
}

/// The last chunk that a reset keeps; null for none.
arena::chunk* arena::last_kept(const keep& what) const noexcept {
  const auto end_of = [this](auto goes_on) {
    chunk* last = nullptr;
    std::size_t kept_bytes = 0;
    for (chunk* next = first_; next != nullptr; next = next->next) {
      const std::size_t size_bytes = next->supplied.memory.size_bytes;
      if (!goes_on(kept_bytes, size_bytes)) break;
      kept_bytes += size_bytes;
      last = next;
    }
    return last;
  };
  // An arena that does not grow could never get its memory back.
  if (!supply_.grows()) return end_of([](std::size_t, std::size_t) { return true; });
  switch (what.how()) {
    case keep::policy::nothing:
      return nullptr;
    case keep::policy::up_to:
      return end_of([&](std::size_t kept_bytes, std::size_t size_bytes) {
        return kept_bytes + size_bytes <= what.limit_bytes();
      });
    case keep::policy::recent: {
      const std::size_t needed = history_.percentile_bytes(what.percent(), what.uses());
      return end_of([&](std::size_t kept_bytes, std::size_t) { return kept_bytes < needed; });
    }
    case keep::policy::all:
      break;
  }
  return end_of([](std::size_t, std::size_t) { return true; });
}

/// Requires: the arena stands at its beginning, or in or before `last`.
void arena::drop_chunks_after(chunk* last) noexcept {
  chunk** const link = last != nullptr ? &last->next : &first_;
  chunk* dropped = std::exchange(*link, nullptr);
  if (first_ == nullptr) enter(nullptr, reinterpret_cast<std::byte*>(this));
  while (dropped != nullptr) {
    chunk* const next = dropped->next;
    const supplied_block supplied = dropped->supplied;
    supply_.give_back(supplied);
    next_chunk_bytes_ = std::max(next_chunk_bytes_ / 2, first_chunk_bytes_);
    dropped = next;
  }
}

void arena::freeze() noexcept {
  frozen_ = true;
  open_or_close();
}

void arena::thaw() noexcept {
  frozen_ = false;
  open_or_close();
}

void arena::destroy_down_to(const destructor_record* kept) noexcept {
  while (destructors_ != kept) {
    destructor_record* const newest = destructors_;
    destructors_ = newest->previous;
    newest->destroy(newest);
  }
}

std::size_t arena::used_bytes() const noexcept {
  if (current_ == nullptr) return own_used_bytes_;
  return own_used_bytes_ + used_before_ + static_cast<std::size_t>(cursor_ - current_->begin());
}

void arena::note_peak() noexcept {
  used_peak_ = std::max(used_peak_, used_bytes());
}

bool arena::owns(const void* address) const noexcept {
  const auto number = reinterpret_cast<std::uintptr_t>(address);
  for (own_block* own = own_; own != nullptr; own = own->older) {
    if (number - reinterpret_cast<std::uintptr_t>(own->begin()) < own->size_bytes) return true;
  }
  return is_in_used_part(first_, current_, cursor_, address);
}

arena_statistics arena::statistics() const noexcept {
  arena_statistics counted{.used_bytes = used_bytes(),
                           .used_bytes_peak = std::max(used_peak_, used_bytes()),
                           .held_bytes = supply_.held_bytes(),
                           .held_bytes_peak = supply_.held_bytes_peak(),
                           .resets = resets_};
  for (const chunk* held = first_; held != nullptr; held = held->next)
    ++counted.blocks;
  for (const own_block* own = own_; own != nullptr; own = own->older)
    ++counted.own_blocks;
  counted.blocks += counted.own_blocks;
  for (const destructor_record* record = destructors_; record != nullptr; record = record->previous)
    ++counted.destructors;
  return counted;
}

bool arena::check_invariants() const noexcept {
  std::size_t held_bytes = 0;
  std::size_t used_before = 0;
  bool is_before_current = current_ != nullptr;
  for (chunk* held = first_; held != nullptr; held = held->next) {
    held_bytes += held->supplied.memory.size_bytes;
    if (held == current_) is_before_current = false;
    if (is_before_current) used_before += held->used_bytes;
  }
  // A current chunk that is not in the list would still be looked for.
  if (is_before_current || !check_own_blocks(held_bytes)) return false;
  if (held_bytes != supply_.held_bytes()) return false;
  if (current_ == nullptr) return limit_ == 0 && used_before_ == 0 && marks_ == nullptr;
  if (used_before != used_before_) return false;
  if (cursor_ < current_->begin() || cursor_ > current_->end()) return false;
  if (limit_ != 0 && limit_ != reinterpret_cast<std::uintptr_t>(current_->end())) return false;
  for (const mark_record* record = marks_; record != nullptr; record = record->previous) {
    if (record->id > last_mark_id_) return false;
    if (record->previous != nullptr && record->previous->id >= record->id) return false;
  }
  return true;
}

}  // namespace acre::region
