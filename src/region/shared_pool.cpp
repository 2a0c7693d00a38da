#include <acre/region/shared_pool.hpp>

#include "base/assert.hpp"

#include <algorithm>
#include <new>
#include <utility>

namespace acre::region {

thread_local constinit shared_pool::slot_array shared_pool::slots_of_thread{};

/// Which shared pools are alive, and what a thread does with its magazines when it ends.
///
/// Lock order: the registry's lock, then a pool's.
class magazine_keeper {
 public:
  ~magazine_keeper() {
    const std::lock_guard guard(lock());
    for (std::size_t index = 0; index < shared_pool::slot_count; ++index) {
      shared_pool::slot& mine = shared_pool::slots_of_thread[index];
      shared_pool* const owner = pools()[index];
      // The pool may be gone, and its place taken by another.
      if (owner != nullptr && owner->id_ == mine.pool_id) owner->detach(mine.own);
      mine = {0, nullptr};
    }
    has_ended = true;
  }

  /// Makes sure that this thread's magazines are emptied when it ends; false when it is ending.
  [[nodiscard]] static bool watch_thread() noexcept {
    if (has_ended) return false;
    static thread_local magazine_keeper keeper;
    keeper.is_used_ = true;
    return true;
  }

  static void enter(shared_pool& made) noexcept {
    const std::lock_guard guard(lock());
    made.id_ = ++last_id();
    const auto free_place = std::ranges::find(pools(), nullptr);
    made.slot_index_ = static_cast<std::size_t>(free_place - pools().begin());
    if (free_place != pools().end()) *free_place = &made;
  }

  static void leave(const shared_pool& gone) noexcept {
    const std::lock_guard guard(lock());
    if (gone.slot_index_ < shared_pool::slot_count) pools()[gone.slot_index_] = nullptr;
  }

 private:
  // A thread may end after static objects are destroyed, so these are never destroyed.
  static std::mutex& lock() noexcept {
    static constinit std::mutex made;
    return made;
  }
  static std::array<shared_pool*, shared_pool::slot_count>& pools() noexcept {
    static constinit std::array<shared_pool*, shared_pool::slot_count> made{};
    return made;
  }
  static std::uint64_t& last_id() noexcept {
    static constinit std::uint64_t made = 0;
    return made;
  }
  static constinit thread_local bool has_ended;

  bool is_used_ = false;
};

constinit thread_local bool magazine_keeper::has_ended = false;

namespace {

/// A good part of a core's second cache; a burst of a thousand blocks of 64 bytes stays inside.
constexpr std::size_t magazine_bytes = std::size_t{64} << 10U;
constexpr std::size_t least_blocks = 8;
constexpr std::size_t most_blocks = 1024;
constexpr std::size_t first_refill = 16;

/// A thread may hold two magazines of free blocks that others lack, so a bounded pool has small
/// ones.
constexpr std::size_t share_of_bounded = 64;

}  // namespace

shared_pool::shared_pool(const pool_options& options) : id_(0), blocks_(options) {
  magazine_blocks_ = std::min(magazine_bytes / blocks_.block_bytes(), most_blocks);
  if (blocks_.most_blocks() != 0) {
    magazine_blocks_ = std::min(magazine_blocks_, blocks_.most_blocks() / share_of_bounded);
  }
  magazine_blocks_ = std::max(magazine_blocks_, least_blocks);
  magazine_keeper::enter(*this);
  // Blocks in magazines are neither poisoned nor checked, so a watched pool has none.
  if (blocks_.watched_) magazine_blocks_ = 0;
}

shared_pool::~shared_pool() {
  magazine_keeper::leave(*this);
  ACRE_ASSERT(statistics().live_blocks == 0 && "a shared pool was destroyed with live blocks");
  while (caches_ != nullptr) {
    cache* const gone = std::exchange(caches_, caches_->next);
    delete_magazine(gone->loaded);
    delete_magazine(gone->spare);
    delete gone;
  }
  shrink_depot(0);
}

void* shared_pool::allocate_slowly() {
  void* const data = try_allocate_slowly();
  if (data == nullptr) {
    const std::lock_guard guard(lock_);
    return blocks_.allocate();  // fails again and tells why, or has found a block meanwhile
  }
  return data;
}

void* shared_pool::try_allocate_slowly() noexcept {
  const slot& mine = slots_of_thread[slot_index_];
  cache* const own = mine.pool_id == id_ ? mine.own : attach();
  if (own == nullptr) {
    const std::lock_guard guard(lock_);
    return blocks_.try_allocate();
  }
  return refill(*own) ? pop() : nullptr;
}

void shared_pool::deallocate_slowly(void* data) noexcept {
  const slot& mine = slots_of_thread[slot_index_];
  cache* const own = mine.pool_id == id_ ? mine.own : attach();
  if (own == nullptr || !make_room(*own)) {
    const std::lock_guard guard(lock_);
    blocks_.deallocate(data);
    return;
  }
  deallocate(data);
}

shared_pool::magazine* shared_pool::new_magazine() const noexcept {
  void* const data =
      ::operator new(sizeof(magazine) + magazine_blocks_ * sizeof(void*), std::nothrow);
  return data != nullptr ? ::new (data) magazine{nullptr} : nullptr;
}

void shared_pool::delete_magazine(magazine* gone) noexcept {
  ::operator delete(gone);
}

/// Magazines for the calling thread; null when it can have none.
shared_pool::cache* shared_pool::attach() noexcept {
  if (slot_index_ == slot_count || magazine_blocks_ == 0) return nullptr;
  if (!magazine_keeper::watch_thread()) return nullptr;
  auto* const made = new (std::nothrow) cache;
  if (made == nullptr) return nullptr;
  made->loaded = new_magazine();
  if (made->loaded == nullptr) {
    delete made;
    return nullptr;
  }
  made->next_refill = std::min(first_refill, magazine_blocks_);
  // Another pool that had this place is gone, and its magazines with it.
  slots_of_thread[slot_index_] = {id_, made};
  const std::lock_guard guard(lock_);
  made->next = caches_;
  if (caches_ != nullptr) caches_->previous = made;
  caches_ = made;
  ++cache_count_;
  return made;
}

/// Takes the magazines of a thread that ends.
void shared_pool::detach(cache* own) noexcept {
  const std::lock_guard guard(lock_);
  give_back(own->loaded, own->count.load(std::memory_order_relaxed));
  if (own->spare != nullptr) {
    give_back(own->spare, own->spare_count.load(std::memory_order_relaxed));
  }
  (own->previous != nullptr ? own->previous->next : caches_) = own->next;
  if (own->next != nullptr) own->next->previous = own->previous;
  --cache_count_;
  delete own;
  shrink_depot(cache_count_ + 2);
}

void shared_pool::swap_magazines(cache& own) noexcept {
  std::swap(own.loaded, own.spare);
  const std::size_t count = own.count.load(std::memory_order_relaxed);
  own.count.store(own.spare_count.load(std::memory_order_relaxed), std::memory_order_relaxed);
  own.spare_count.store(count, std::memory_order_relaxed);
}

/// Gives an empty cache blocks: its spare magazine, one of the depot, or fresh ones.
bool shared_pool::refill(cache& own) noexcept {
  if (own.count.load(std::memory_order_relaxed) != 0) return true;
  if (own.spare_count.load(std::memory_order_relaxed) != 0) {
    swap_magazines(own);
    return true;
  }
  const std::lock_guard guard(lock_);
  ++exchanges_;
  if (full_ == nullptr) {
    take_fresh(own);
    return own.count.load(std::memory_order_relaxed) != 0;
  }
  own.loaded->next = std::exchange(empty_, own.loaded);
  own.loaded = std::exchange(full_, full_->next);
  --full_count_;
  own.count.store(magazine_blocks_, std::memory_order_relaxed);
  return true;
}

/// Fills the empty loaded magazine from the pool as far as it goes. The first block of the pool is
/// the first that is handed out.
///
/// Requires: the lock is held; here and below.
void shared_pool::take_fresh(cache& own) noexcept {
  void** const blocks = own.loaded->blocks();
  std::size_t count = 0;
  while (count < own.next_refill) {
    void* const data = blocks_.try_allocate();
    if (data == nullptr) break;
    blocks[count++] = data;
  }
  std::reverse(blocks, blocks + count);
  own.count.store(count, std::memory_order_relaxed);
  own.next_refill = std::min(own.next_refill * 2, magazine_blocks_);
}

/// Gives a full cache an empty magazine: its spare one, one of the depot, or a new one.
bool shared_pool::make_room(cache& own) noexcept {
  if (own.count.load(std::memory_order_relaxed) != magazine_blocks_) return true;
  if (own.spare != nullptr && own.spare_count.load(std::memory_order_relaxed) == 0) {
    swap_magazines(own);
    return true;
  }
  magazine* empty = nullptr;
  if (own.spare != nullptr) {
    const std::lock_guard guard(lock_);
    ++exchanges_;
    own.spare->next = std::exchange(full_, own.spare);
    ++full_count_;
    own.spare = nullptr;
    own.spare_count.store(0, std::memory_order_relaxed);
    shrink_depot(cache_count_ + 2);
    if (empty_ != nullptr) empty = std::exchange(empty_, empty_->next);
  }
  if (empty == nullptr) empty = new_magazine();
  if (empty == nullptr) return false;
  own.spare = std::exchange(own.loaded, empty);
  own.spare_count.store(magazine_blocks_, std::memory_order_relaxed);
  own.count.store(0, std::memory_order_relaxed);
  return true;
}

/// Puts blocks into the pool and ends their magazine.
void shared_pool::give_back(magazine* from, std::size_t count) noexcept {
  for (std::size_t left = count; left > 0; --left)
    blocks_.deallocate(from->blocks()[left - 1]);
  delete_magazine(from);
}

/// Leaves so many full magazines and no empty one.
void shared_pool::shrink_depot(std::size_t magazines_kept) noexcept {
  for (; full_count_ > magazines_kept; --full_count_)
    give_back(std::exchange(full_, full_->next), magazine_blocks_);
  while (empty_ != nullptr)
    delete_magazine(std::exchange(empty_, empty_->next));
}

std::size_t shared_pool::trim() noexcept {
  const std::lock_guard guard(lock_);
  shrink_depot(0);
  return blocks_.trim();
}

shared_pool_statistics shared_pool::statistics() const noexcept {
  const std::lock_guard guard(lock_);
  shared_pool_statistics counted{.live_blocks = 0,
                                 .cached_blocks = full_count_ * magazine_blocks_,
                                 .threads = cache_count_,
                                 .exchanges = exchanges_,
                                 .blocks = blocks_.statistics()};
  for (const cache* own = caches_; own != nullptr; own = own->next) {
    counted.cached_blocks += own->count.load(std::memory_order_relaxed) +
                             own->spare_count.load(std::memory_order_relaxed);
  }
  // While threads work the two may be seen at different times.
  const std::size_t out = counted.blocks.live_blocks;
  counted.live_blocks = out > counted.cached_blocks ? out - counted.cached_blocks : 0;
  return counted;
}

bool shared_pool::owns(const void* address) const noexcept {
  const std::lock_guard guard(lock_);
  return blocks_.owns(address);
}

bool shared_pool::check_invariants() noexcept {
  const std::lock_guard guard(lock_);
  std::size_t cached = 0;
  const auto is_sound = [&](magazine* in, std::size_t count) {
    if (count > magazine_blocks_ || (in == nullptr && count > 0)) return false;
    cached += count;
    return std::all_of(in->blocks(), in->blocks() + count,
                       [this](const void* data) { return blocks_.owns(data); });
  };
  std::size_t full = 0;
  for (magazine* in = full_; in != nullptr; in = in->next) {
    if (++full > full_count_ || !is_sound(in, magazine_blocks_)) return false;
  }
  std::size_t caches = 0;
  for (const cache* own = caches_; own != nullptr; own = own->next) {
    ++caches;
    const std::size_t spare = own->spare_count.load(std::memory_order_relaxed);
    if (!is_sound(own->loaded, own->count.load(std::memory_order_relaxed))) return false;
    if (own->spare != nullptr ? !is_sound(own->spare, spare) : spare != 0) return false;
  }
  return full == full_count_ && caches == cache_count_ &&
         cached <= blocks_.statistics().live_blocks && blocks_.check_invariants();
}

}  // namespace acre::region
