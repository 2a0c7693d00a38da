#include <acre/region/refused.hpp>
#include <acre/region/stack.hpp>

#include "base/bits.hpp"
#include "region/chunks.hpp"
#include "region/misuse.hpp"
#include "region/watch.hpp"

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstdint>
#include <new>
#include <utility>

namespace acre::region {

namespace {

constexpr std::size_t chunk_bytes_max = std::size_t{64} << 20U;

}  // namespace

/// The head of each block of memory that a stack holds.
struct alignas(std::max_align_t) stack_resource::chunk {
  chunk* next;
  chunk* previous;
  std::size_t used_bytes;  ///< meant for chunks before the current one
  supplied_block supplied;

  [[nodiscard]] std::byte* begin() noexcept { return reinterpret_cast<std::byte*>(this + 1); }
  [[nodiscard]] std::byte* end() noexcept {
    return supplied.memory.data + supplied.memory.size_bytes;
  }
};

/// Lies right before each block of the program.
struct stack_resource::head {
  head* previous;
  std::byte* cursor_before;
  bool is_freed;

  [[nodiscard]] void* data() noexcept { return this + 1; }
  [[nodiscard]] static head* of(void* data) noexcept { return static_cast<head*>(data) - 1; }
};

stack_resource::stack_resource(const stack_options& options)
    : next_chunk_bytes_(options.first_block_bytes),
      when_out_of_order_(options.when_out_of_order),
      watched_(is_watched()),
      supply_(options.from, options.budget_bytes, options.when_exhausted) {
  options.name.copy(name_, sizeof name_ - 1);
  next_chunk_bytes_ = bytes_of_first_chunk(next_chunk_bytes_, supply_.from().granularity());
  if (!supply_.grows() && !grow(1, 1)) throw refused(last_failure_);
  supply_.finish_construction();
}

stack_resource::~stack_resource() {
  if (scopes_ != 0) misuse(name_, "destroyed while a scope is open");
  release();
  if (first_ != nullptr) supply_.give_back(supplied_block(first_->supplied));
}

void* stack_resource::allocate(std::size_t size_bytes, std::size_t alignment) {
  void* const data = try_allocate(size_bytes, alignment);
  if (data == nullptr) throw refused(last_failure_);
  return data;
}

void* stack_resource::try_allocate(std::size_t size_bytes, std::size_t alignment) noexcept {
  if (!std::has_single_bit(alignment)) misuse(name_, "asked for an alignment not a power of two");
  if (size_bytes > most_bytes || alignment > most_bytes) {
    last_failure_ = {ENOMEM, "size"};
    return nullptr;
  }
  void* const data = push(size_bytes, alignment);
  if (data != nullptr) return data;
  if (!grow(size_bytes, alignment)) return nullptr;
  return push(size_bytes, alignment);
}

/// A block in the current chunk, or null when it does not fit.
void* stack_resource::push(std::size_t size_bytes, std::size_t alignment) noexcept {
  if (current_ == nullptr) return nullptr;
  const auto number = reinterpret_cast<std::uintptr_t>(cursor_);
  const std::size_t boundary = std::max(alignment, alignof(head));
  const std::size_t before = base::align_up(number + sizeof(head), boundary) - number;
  const std::size_t taken = before + size_bytes + (watched_ ? watched_gap_bytes : 0);
  if (taken > static_cast<std::size_t>(current_->end() - cursor_)) return nullptr;
  std::byte* const data = cursor_ + before;
  watch_opened(cursor_, before);
  newest_ = ::new (data - sizeof(head)) head{newest_, cursor_, false};
  cursor_ += taken;
  watch_allocated(data, size_bytes);
  ++live_blocks_;
  used_peak_ =
      std::max(used_peak_, used_before_ + static_cast<std::size_t>(cursor_ - current_->begin()));
  return data;
}

/// Makes a chunk the current one that has room for the request.
bool stack_resource::grow(std::size_t size_bytes, std::size_t alignment) noexcept {
  const std::size_t needed = sizeof(chunk) + sizeof(head) + size_bytes + watched_gap_bytes +
                             std::max(alignment, alignof(chunk));
  chunk* next = current_ != nullptr ? current_->next : first_;
  if (next == nullptr || next->supplied.memory.size_bytes < needed) {
    const result<supplied_block> taken =
        supply_.take(needed, std::max(needed, next_chunk_bytes_), alignof(chunk));
    if (!taken) {
      last_failure_ = taken.error();
      return false;
    }
    // The one that was too small would never be reached again.
    if (next != nullptr) drop_above(current_);
    next_chunk_bytes_ = std::min(next_chunk_bytes_ * 2, chunk_bytes_max);
    next = ::new (taken->memory.data) chunk{nullptr, current_, 0, *taken};
    watch_closed(next->begin(), static_cast<std::size_t>(next->end() - next->begin()));
    (current_ != nullptr ? current_->next : first_) = next;
  }
  if (current_ != nullptr) {
    current_->used_bytes = static_cast<std::size_t>(cursor_ - current_->begin());
    used_before_ += current_->used_bytes;
  }
  current_ = next;
  cursor_ = current_->begin();
  return true;
}

void stack_resource::deallocate(void* data, std::size_t, std::size_t) noexcept {
  if (is_newest(data)) {
    pop();
    while (newest_ != nullptr && newest_->is_freed) {
      --deferred_blocks_;
      pop();
    }
    return;
  }
  // The head's last byte: a block of size 0 may begin where the memory ends.
  if (!owns(static_cast<std::byte*>(data) - 1)) {
    misuse(name_, "a block was freed that is not of this stack, or is free already");
  }
  if (when_out_of_order_ == out_of_order::error) {
    misuse(name_, "a block was freed out of order: a newer one is still in use");
  }
  head* const freed = head::of(data);
  if (freed->is_freed) misuse(name_, "a block was freed twice");
  freed->is_freed = true;
  ++deferred_blocks_;
}

bool stack_resource::is_newest(const void* data) const noexcept {
  return newest_ != nullptr && newest_->data() == data;
}

/// Takes the newest block back, and leaves its chunk when that is empty.
void stack_resource::pop() noexcept {
  head* const gone = newest_;
  newest_ = gone->previous;
  --live_blocks_;
  std::byte* const start = gone->cursor_before;
  watch_freed(start, static_cast<std::size_t>(cursor_ - start));
  cursor_ = start;
  if (cursor_ != current_->begin() || current_->previous == nullptr) return;
  // One empty chunk is kept, so that a block at the border does not take and give each time.
  drop_above(current_);
  current_ = current_->previous;
  cursor_ = current_->begin() + current_->used_bytes;
  used_before_ -= current_->used_bytes;
}

void stack_resource::drop_above(chunk* kept) noexcept {
  chunk*& link = kept != nullptr ? kept->next : first_;
  chunk* const dropped = std::exchange(link, nullptr);
  if (dropped == nullptr) return;
  const supplied_block supplied = dropped->supplied;
  supply_.give_back(supplied);
}

void stack_resource::release() noexcept {
  if (scopes_ != 0) misuse(name_, "released while a scope is open");
  while (newest_ != nullptr)
    pop();
  deferred_blocks_ = 0;
  if (current_ != nullptr) drop_above(current_);
}

void stack_resource::end_scope(head* newest, std::size_t depth) noexcept {
  if (depth != scopes_) misuse(name_, "a scope ended before one that began later");
  --scopes_;
  while (newest_ != newest) {
    if (newest_ == nullptr) {
      misuse(name_, "a scope ended after a block was freed that is older than it");
    }
    if (newest_->is_freed) --deferred_blocks_;
    pop();
  }
}

bool stack_resource::owns(const void* address) const noexcept {
  return is_in_used_part(first_, current_, cursor_, address);
}

stack_statistics stack_resource::statistics() const noexcept {
  const std::size_t in_current =
      current_ != nullptr ? static_cast<std::size_t>(cursor_ - current_->begin()) : 0;
  return {.live_blocks = live_blocks_ - deferred_blocks_,
          .used_bytes = used_before_ + in_current,
          .used_bytes_peak = used_peak_,
          .deferred_blocks = deferred_blocks_,
          .held_bytes = supply_.held_bytes()};
}

bool stack_resource::check_invariants() const noexcept {
  std::size_t held_bytes = 0;
  for (chunk* in = first_; in != nullptr; in = in->next) {
    held_bytes += in->supplied.memory.size_bytes;
    if (in->next != nullptr && in->next->previous != in) return false;
  }
  if (held_bytes != supply_.held_bytes()) return false;
  std::size_t blocks = 0;
  std::size_t deferred = 0;
  for (const head* block = newest_; block != nullptr; block = block->previous) {
    ++blocks;
    if (block->is_freed) ++deferred;
  }
  if (newest_ != nullptr && newest_->is_freed) return false;
  return blocks == live_blocks_ && deferred == deferred_blocks_;
}

}  // namespace acre::region
