#include <acre/region/arena.hpp>

#include "base/bits.hpp"
#include "region/arena_chunk.hpp"
#include "region/watch.hpp"

#include <algorithm>
#include <utility>

namespace acre::region {

namespace {

/// What is freed stays in the arena, for the next request, up to this or this share of what it
/// holds: small enough to matter to nobody, and the same buffer again and again costs no system
/// call.
constexpr std::size_t kept_bytes_least = std::size_t{1} << 20U;
constexpr std::size_t kept_share = 16;

}  // namespace

/// A block for one large request: a kept one of about its size, one of the source, any kept one, or
/// a part of the current chunk.
void* arena::allocate_own(std::size_t size_bytes, std::size_t alignment) noexcept {
  const std::size_t needed =
      size_bytes + sizeof(own_block) + watched_gap_bytes + std::max(alignment, alignof(own_block));
  // An arena that stands at its very beginning has only kept chunks.
  const bool is_unused = current_ != nullptr && current_ == first_ && cursor_ == first_->begin();
  if (is_unused) enter(nullptr, reinterpret_cast<std::byte*>(this));
  const std::size_t close = needed + std::max(needed, supply_.from().granularity());
  const supplied_block kept = take_kept(needed, close);
  if (kept.memory.data != nullptr) return place_own(kept, size_bytes, alignment);
  const result<supplied_block> fresh = supply_.take(needed, needed, alignof(own_block));
  if (fresh) return place_own(*fresh, size_bytes, alignment);
  last_failure_ = fresh.error();
  const supplied_block any = take_kept(needed, SIZE_MAX);
  if (any.memory.data != nullptr) return place_own(any, size_bytes, alignment);
  return bump_own(size_bytes, alignment);
}

/// Takes the first kept chunk of a size in these bounds off the list; an empty block when there is
/// none.
supplied_block arena::take_kept(std::size_t needed_bytes, std::size_t most_bytes) noexcept {
  for (chunk** link = current_ != nullptr ? &current_->next : &first_; *link != nullptr;
       link = &(*link)->next) {
    const supplied_block supplied = (*link)->supplied;
    if (supplied.memory.size_bytes < needed_bytes || supplied.memory.size_bytes > most_bytes) {
      continue;
    }
    *link = (*link)->next;
    return supplied;
  }
  return {};
}

void* arena::place_own(const supplied_block& supplied, std::size_t size_bytes,
                       std::size_t alignment) noexcept {
  const block& memory = supplied.memory;
  const auto first = reinterpret_cast<std::uintptr_t>(memory.data) + sizeof(own_block);
  auto* const data =
      reinterpret_cast<std::byte*>(base::align_up(first, std::max(alignment, alignof(own_block))));
  watch_opened(memory.data, static_cast<std::size_t>(data - memory.data));
  auto* const made = ::new (static_cast<void*>(data - sizeof(own_block)))
      own_block{own_, nullptr, ++last_own_id_, size_bytes, supplied, data};
  if (own_ != nullptr) own_->newer = made;
  own_ = made;
  own_used_bytes_ += size_bytes;
  watch_closed(data, static_cast<std::size_t>(memory.data + memory.size_bytes - data));
  watch_allocated(data, size_bytes);
  return data;
}

void* arena::bump_own(std::size_t size_bytes, std::size_t alignment) noexcept {
  const std::size_t padded = std::max(alignment, alignof(own_block));
  const std::size_t head_bytes = base::align_up(sizeof(own_block), padded);
  void* const start = bump(head_bytes + size_bytes, padded);
  if (start == nullptr) return nullptr;
  std::byte* const data = static_cast<std::byte*>(start) + head_bytes;
  ::new (static_cast<void*>(data - sizeof(own_block)))
      own_block{nullptr, nullptr, 0, size_bytes, {}, data};
  return data;
}

/// Unlinks a block; its memory is then the caller's.
supplied_block arena::remove_own(own_block* gone) noexcept {
  (gone->newer != nullptr ? gone->newer->older : own_) = gone->older;
  if (gone->older != nullptr) gone->older->newer = gone->newer;
  own_used_bytes_ -= gone->size_bytes;
  return gone->supplied;
}

/// Keeps the memory of a block as a chunk while little is kept; otherwise gives it back.
void arena::end_own(own_block* gone) noexcept {
  note_peak();
  const supplied_block supplied = remove_own(gone);
  const std::size_t kept = kept_bytes() + supplied.memory.size_bytes;
  if (kept <= std::max(kept_bytes_least, supply_.held_bytes() / kept_share)) {
    keep_chunk(current_ != nullptr ? &current_->next : &first_, supplied);
  } else {
    supply_.give_back(supplied);
  }
}

void arena::end_own_after(std::uint64_t id) noexcept {
  while (own_ != nullptr && own_->id > id)
    end_own(own_);
  last_own_id_ = id;
}

/// Makes all blocks chunks, behind the others, so that a reset keeps or drops them like these.
void arena::keep_all_own() noexcept {
  chunk** link = &first_;
  while (*link != nullptr)
    link = &(*link)->next;
  while (own_ != nullptr)
    keep_chunk(link, remove_own(own_));
  last_own_id_ = 0;
}

void arena::keep_chunk(chunk** link, const supplied_block& supplied) noexcept {
  watch_opened(supplied.memory.data, supplied.memory.size_bytes);
  auto* const made = ::new (supplied.memory.data) chunk{*link, 0, supplied};
  watch_freed(made->begin(), static_cast<std::size_t>(made->end() - made->begin()));
  *link = made;
}

/// In chunks behind the current one.
std::size_t arena::kept_bytes() const noexcept {
  std::size_t kept = 0;
  for (const chunk* in = current_ != nullptr ? current_->next : first_; in != nullptr;
       in = in->next)
    kept += in->supplied.memory.size_bytes;
  return kept;
}

bool arena::check_own_blocks(std::size_t& held_bytes) const noexcept {
  std::size_t used_bytes = 0;
  std::uint64_t last_id = last_own_id_ + 1;
  for (own_block* own = own_; own != nullptr; own = own->older) {
    if (own->self != own->begin() || own->id == 0 || own->id >= last_id) return false;
    if (own->older != nullptr && own->older->newer != own) return false;
    const block& memory = own->supplied.memory;
    if (own->begin() + own->size_bytes > memory.data + memory.size_bytes) return false;
    last_id = own->id;
    used_bytes += own->size_bytes;
    held_bytes += memory.size_bytes;
  }
  return used_bytes == own_used_bytes_;
}

}  // namespace acre::region
