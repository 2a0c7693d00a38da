#include <acre/region/pool.hpp>
#include <acre/region/refused.hpp>

#include "base/bits.hpp"
#include "region/misuse.hpp"
#include "region/pool_chunk.hpp"
#include "region/watch.hpp"

#include <algorithm>
#include <bit>
#include <cerrno>
#include <new>

namespace acre::region {

namespace {

/// Linked at once: enough to make the call for it cheap, few enough to stay in the first cache.
constexpr std::size_t carved_bytes = 4096;

/// The last word of a watched block's unit tells its state.
constexpr std::uint64_t live_word = 0x6c69'7665'6c69'7665;
constexpr std::uint64_t free_word = 0x6672'6565'6672'6565;

std::size_t bit_words(std::size_t blocks) noexcept {
  return base::divide_up(blocks, 64);
}

std::uint64_t* state_of(void* data, std::size_t unit_bytes) noexcept {
  return reinterpret_cast<std::uint64_t*>(static_cast<std::byte*>(data) + unit_bytes) - 1;
}

}  // namespace

pool::pool(const pool_options& options)
    : block_bytes_(options.block_bytes),
      alignment_(std::max(options.alignment, alignof(free_block))),
      empty_chunks_kept_(options.empty_chunks_kept),
      watched_(options.watch == watching::automatic && is_watched()),
      supply_(options.from, options.budget_bytes, options.when_exhausted) {
  options.name.copy(name_, sizeof name_ - 1);
  if (block_bytes_ == 0) misuse(name_, "a pool was made for blocks of 0 bytes");
  if (!std::has_single_bit(options.alignment)) {
    misuse(name_, "a pool was made with an alignment that is not a power of two");
  }
  shape(options.chunk_bytes);
  if (!supply_.grows() && !add_chunk()) throw refused(last_failure_);
  supply_.finish_construction();
}

pool::~pool() {
  if (leases_ != 0) misuse(name_, "destroyed while a container or owner still holds memory of it");
  while (chunks_ != nullptr)
    give_back(chunks_);
}

/// Computes the places of blocks in a chunk.
void pool::shape(std::size_t asked_chunk_bytes) noexcept {
  // A pool of any size can be asked for; sizes beyond this are refused later, by the source.
  constexpr std::size_t most_bytes = std::size_t{1} << 60U;
  const std::size_t gap = watched_ ? watched_gap_bytes : 0;
  const std::size_t block_bytes = std::min(block_bytes_, most_bytes);
  unit_bytes_ = base::align_up(std::max(block_bytes, sizeof(free_block)) + gap, alignment_);
  const std::size_t granularity = supply_.from().granularity();
  if (asked_chunk_bytes == 0) {
    const std::size_t suitable =
        granularity < 4096 ? std::size_t{64} << 10U : std::max(granularity, std::size_t{1} << 20U);
    asked_chunk_bytes = std::max(suitable, std::min(unit_bytes_, most_bytes / 16) * 8);
  }
  chunk_bytes_ = std::bit_ceil(std::min(asked_chunk_bytes, most_bytes));
  for (;; chunk_bytes_ *= 2) {
    const std::size_t most_blocks = chunk_bytes_ / unit_bytes_;
    const std::size_t head_bytes = sizeof(chunk) + bit_words(most_blocks) * sizeof(std::uint64_t);
    first_block_offset_ = base::align_up(head_bytes, alignment_);
    if (first_block_offset_ + unit_bytes_ > chunk_bytes_) continue;
    blocks_per_chunk_ = (chunk_bytes_ - first_block_offset_) / unit_bytes_;
    return;
  }
}

std::size_t pool::most_blocks() const noexcept {
  if (!supply_.grows()) return blocks_per_chunk_;
  return supply_.budget_bytes() / chunk_bytes_ * blocks_per_chunk_;
}

void* pool::allocate_slowly() {
  void* const data = try_allocate_slowly();
  if (data == nullptr) throw refused(last_failure_);
  return data;
}

void* pool::try_allocate_slowly() noexcept {
  if (list() == 0 && lists_aside_ == 0) {
    if (fresh_blocks_ == 0 && !add_chunk()) return nullptr;
    carve();
  }
  void* const taken = block_of(pop());
  return watched_ ? hand_out_watched(taken) : taken;
}

/// Takes the first block off the list; from a list that was set aside when there is no other.
///
/// Requires: there is a free block.
pool::counted_link pool::pop() noexcept {
  counted_link& first = list();
  if (first == 0) {
    free_block* const restored = set_aside_;
    set_aside_ = read(restored).next_list;
    --lists_aside_;
    first = whole_list(restored);
    set_bound();
  }
  const counted_link taken = first;
  first = read(block_of(taken)).rest;
  return taken;
}

/// Links some of the newest chunk's fresh blocks, the lowest address first.
void pool::carve() noexcept {
  const std::size_t count = std::clamp(carved_bytes / unit_bytes_, std::size_t{1}, fresh_blocks_);
  const std::size_t first = blocks_per_chunk_ - fresh_blocks_;
  for (std::size_t left = count; left > 0; --left) {
    void* const data = block_at(chunks_, first + left - 1);
    link(data);
  }
  fresh_blocks_ -= count;
  set_trim_bound(trim_below_);
}

/// Pushes a block on the free list; a watched one is open at the call and closed afterwards.
void pool::link(void* data) noexcept {
  counted_link& first = list();
  if (length_of(first) == most_linked) {
    write(block_of(first), {read(block_of(first)).rest, set_aside_});
    set_aside_ = block_of(first);
    ++lists_aside_;
    first = 0;
    set_bound();
  }
  if (watched_) {
    watch_opened(data, unit_bytes_);
    watch_freed(data, unit_bytes_ - sizeof(std::uint64_t));
    watch_opened(data, unit_bytes_);
    *state_of(data, unit_bytes_) = free_word;
    watch_closed(data, unit_bytes_);
  }
  write(data, {first, nullptr});
  first = link_to(data, first);
}

pool::free_block pool::read(const free_block* block) const noexcept {
  auto* const opened = const_cast<free_block*>(block);
  if (watched_) watch_opened(opened, sizeof *block);
  const free_block contents = *block;
  if (watched_) watch_closed(opened, sizeof *block);
  return contents;
}

void pool::write(void* data, const free_block& contents) const noexcept {
  if (watched_) watch_opened(data, sizeof contents);
  ::new (data) free_block(contents);
  if (watched_) watch_closed(data, sizeof contents);
}

/// Calls `visit(block)` for every block of the lists, the newest first; it may change the block.
template <class Visit>
void pool::for_each_free(Visit visit) const {
  const auto walk = [&](counted_link list) {
    while (list != 0) {
      free_block* const block = block_of(list);
      list = read(block).rest;
      visit(block);
    }
  };
  walk(list());
  for (free_block* first = set_aside_; first != nullptr;) {
    free_block* const next_list = read(first).next_list;
    walk(whole_list(first));
    first = next_list;
  }
}

void* pool::hand_out_watched(void* taken) noexcept {
  watch_opened(taken, unit_bytes_);
  if (*state_of(taken, unit_bytes_) != free_word) {
    misuse(name_, "a free block was written to: a use after free, or an overflow before it");
  }
  *state_of(taken, unit_bytes_) = live_word;
  watch_closed(taken, unit_bytes_);
  watch_allocated(taken, block_bytes_);
  return taken;
}

void pool::take_back_watched(void* data) noexcept {
  if (!owns(data)) misuse(name_, "a block was freed that is not of this pool");
  chunk* const in = chunk_of(data);
  if (index_in(in, data) >= carved_blocks(in) || block_at(in, index_in(in, data)) != data) {
    misuse(name_, "an address was freed that is not the start of a block");
  }
  std::uint64_t* const state = state_of(data, unit_bytes_);
  watch_opened(state, sizeof *state);
  if (*state == free_word) misuse(name_, "a block was freed twice");
  if (*state != live_word) misuse(name_, "a block was written beyond its end");
  link(data);
}

void pool::deallocate_slowly(void* data) noexcept {
  if (watched_) {
    take_back_watched(data);
  } else {
    link(data);
  }
  if (live_count() < trim_below_) sweep();
}

std::size_t pool::free_count() const noexcept {
  return lists_aside_ * most_linked + length_of(list());
}

std::size_t pool::carved_count() const noexcept {
  return chunk_count_ * blocks_per_chunk_ - fresh_blocks_;
}

void pool::refuse_request() const {
  throw refused({ENOMEM, "the pool's block size or alignment"});
}

bool pool::add_chunk() noexcept {
  const result<supplied_block> taken = supply_.take(chunk_bytes_, chunk_bytes_, chunk_bytes_);
  if (!taken) {
    last_failure_ = taken.error();
    return false;
  }
  if (reinterpret_cast<std::uintptr_t>(taken->memory.data) + chunk_bytes_ > address_mask) {
    supply_.give_back(*taken);
    last_failure_ = {ENOMEM, "pool: addresses of more than 48 bits"};
    return false;
  }
  chunks_ = ::new (taken->memory.data) chunk{chunks_, nullptr, *taken, 0};
  if (chunks_->next != nullptr) chunks_->next->previous = chunks_;
  ++chunk_count_;
  fresh_blocks_ = blocks_per_chunk_;
  if (watched_) {
    watch_closed(taken->memory.data + first_block_offset_, chunk_bytes_ - first_block_offset_);
  }
  set_trim_bound(chunk_count_ * blocks_per_chunk_ / 2);
  return true;
}

/// Says at how few live blocks to look for empty chunks again: half of what there are. All free
/// blocks are visited then, so as many frees have paid for it.
void pool::set_trim_bound(std::size_t live_blocks) noexcept {
  const bool can_be_empty = supply_.grows() && chunk_count_ > empty_chunks_kept_ + 1;
  trim_below_ = can_be_empty ? live_blocks : 0;
  set_bound();
}

/// Computes at which length of the list `deallocate` must do more than push.
void pool::set_bound() noexcept {
  // Of the blocks ever linked, the live ones are below the bound when the free ones are above this.
  const std::size_t free_blocks = carved_count() - std::min(trim_below_, carved_count());
  const std::size_t aside = lists_aside_ * most_linked;
  const std::size_t listed = free_blocks - std::min(aside, free_blocks);
  const std::size_t length = trim_below_ == 0 ? most_linked : std::min(listed, most_linked);
  bound_ = watched_ ? 0 : counted_link{length} << address_bits;
}

std::size_t pool::trim() noexcept {
  if (!supply_.grows()) return 0;
  return sweep();
}

/// Counts the free blocks of each chunk, and gives back those that have no other.
std::size_t pool::sweep() noexcept {
  for (chunk* in = chunks_; in != nullptr; in = in->next)
    in->free_blocks = in == chunks_ ? fresh_blocks_ : 0;
  for_each_free([this](free_block* block) { ++chunk_of(block)->free_blocks; });
  std::size_t kept = 0;
  for (chunk* in = chunks_; in != nullptr; in = in->next) {
    // One that stays is made to look used, so that what follows has one question to ask.
    if (in->free_blocks == blocks_per_chunk_ && kept++ < empty_chunks_kept_) in->free_blocks = 0;
  }
  keep_blocks_of_used_chunks();
  std::size_t given_back = 0;
  for (chunk* in = chunks_; in != nullptr;) {
    chunk* const next = in->next;
    if (in->free_blocks == blocks_per_chunk_) {
      give_back(in);
      given_back += chunk_bytes_;
    }
    in = next;
  }
  set_trim_bound(live_count() / 2);
  return given_back;
}

/// Makes the list anew without the blocks of chunks that are all free. Its order is turned around
/// twice, so that the newest block is the first again, and the counts are right.
void pool::keep_blocks_of_used_chunks() noexcept {
  free_block* turned = nullptr;
  for_each_free([&](free_block* block) {
    if (chunk_of(block)->free_blocks == blocks_per_chunk_) return;
    write(block, {0, turned});
    turned = block;
  });
  forget_lists();
  while (turned != nullptr) {
    free_block* const next = read(turned).next_list;
    link(turned);
    turned = next;
  }
}

void pool::forget_lists() noexcept {
  list() = 0;
  set_aside_ = nullptr;
  lists_aside_ = 0;
}

void pool::give_back(chunk* emptied) noexcept {
  if (emptied == chunks_) fresh_blocks_ = 0;
  unlink(emptied);
  const supplied_block supplied = emptied->supplied;
  supply_.give_back(supplied);
}

void pool::unlink(chunk* gone) noexcept {
  (gone->previous != nullptr ? gone->previous->next : chunks_) = gone->next;
  if (gone->next != nullptr) gone->next->previous = gone->previous;
  --chunk_count_;
}

void pool::release() noexcept {
  if (leases_ != 0) misuse(name_, "released while a container or owner still holds memory of it");
  forget_lists();
  const std::size_t kept = supply_.grows() ? std::min<std::size_t>(empty_chunks_kept_, 1) : 1;
  while (chunk_count_ > kept)
    give_back(chunks_);
  if (chunks_ != nullptr) {
    fresh_blocks_ = blocks_per_chunk_;
    if (watched_) watch_freed(block_at(chunks_, 0), chunk_bytes_ - first_block_offset_);
  }
  set_trim_bound(0);
}

bool pool::owns(const void* address) const noexcept {
  for (const chunk* in = chunks_; in != nullptr; in = in->next) {
    const auto start = reinterpret_cast<std::uintptr_t>(in) + first_block_offset_;
    const auto number = reinterpret_cast<std::uintptr_t>(address);
    if (number >= start && number - start < blocks_per_chunk_ * unit_bytes_) return true;
  }
  return false;
}

pool::chunk* pool::chunk_of(const void* data) const noexcept {
  const auto number = reinterpret_cast<std::uintptr_t>(data);
  return reinterpret_cast<chunk*>(base::align_down(number, chunk_bytes_));
}

pool::chunk* pool::next_chunk(chunk* after) noexcept {
  return after->next;
}

std::size_t pool::carved_blocks(const chunk* in) const noexcept {
  return in == chunks_ ? blocks_per_chunk_ - fresh_blocks_ : blocks_per_chunk_;
}

void* pool::block_at(chunk* in, std::size_t index) const noexcept {
  return reinterpret_cast<std::byte*>(in) + first_block_offset_ + index * unit_bytes_;
}

std::size_t pool::index_in(const chunk* in, const void* data) const noexcept {
  const auto* const first = reinterpret_cast<const std::byte*>(in) + first_block_offset_;
  return static_cast<std::size_t>(static_cast<const std::byte*>(data) - first) / unit_bytes_;
}

bool pool::is_marked(const chunk* in, std::size_t index) const noexcept {
  return (in->bits()[index / 64] >> (index % 64) & 1U) != 0;
}

void pool::mark_free_blocks() noexcept {
  for (chunk* in = chunks_; in != nullptr; in = in->next)
    std::fill_n(in->bits(), bit_words(blocks_per_chunk_), 0);
  for_each_free([this](free_block* block) {
    chunk* const in = chunk_of(block);
    const std::size_t index = index_in(in, block);
    in->bits()[index / 64] |= std::uint64_t{1} << (index % 64);
  });
}

pool_statistics pool::statistics() const noexcept {
  const std::size_t blocks = chunk_count_ * blocks_per_chunk_;
  return {.live_blocks = live_count(),
          .free_blocks = blocks - live_count(),
          .held_bytes = supply_.held_bytes(),
          .held_bytes_peak = supply_.held_bytes_peak(),
          .chunks = chunk_count_};
}

bool pool::check_invariants() noexcept {
  std::size_t chunks = 0;
  for (chunk* in = chunks_; in != nullptr; in = in->next) {
    ++chunks;
    if (chunk_of(in) != in || chunk_of(block_at(in, blocks_per_chunk_ - 1)) != in) return false;
    if (in->next != nullptr && in->next->previous != in) return false;
  }
  if (chunks != chunk_count_ || supply_.held_bytes() < chunks * chunk_bytes_) return false;
  // Walking a list is safe only while every link stays inside the pool.
  if (!is_sound(list())) return false;
  std::size_t lists = 0;
  for (free_block* first = set_aside_; first != nullptr; first = read(first).next_list) {
    if (!owns(first) || ++lists > lists_aside_) return false;
    if (!is_sound(whole_list(first))) return false;
  }
  std::size_t live = 0;
  for_each_live([&live](void*) { ++live; });
  return lists == lists_aside_ && live == live_count() &&
         live + free_count() + fresh_blocks_ == chunks * blocks_per_chunk_;
}

/// Whether a list consists of blocks of this pool, as many as it tells.
bool pool::is_sound(counted_link list) const noexcept {
  while (list != 0) {
    const free_block* const block = block_of(list);
    if (!owns(block) || block_at(chunk_of(block), index_in(chunk_of(block), block)) != block) {
      return false;
    }
    const counted_link rest = read(block).rest;
    if (length_of(rest) + 1 != length_of(list)) return false;
    list = rest;
  }
  return true;
}

}  // namespace acre::region
