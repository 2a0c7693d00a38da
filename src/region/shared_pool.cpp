#include <acre/region/shared_pool.hpp>

#include "base/assert.hpp"

#include <algorithm>
#include <new>
#include <utility>

namespace acre::region {

constinit shared_pool::free_block shared_pool::end_of_list{nullptr, 0};
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
      if (owner != nullptr && owner->id_ == mine.pool_id) owner->detach(mine.cache);
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

shared_pool::shared_pool(const pool_options& options)
    : id_(0), blocks_([&options] {
        pool_options suited = options;
        suited.block_bytes = std::max(suited.block_bytes, sizeof(full_list));
        return suited;
      }()) {
  // About 16 KiB per list: a good part of the second cache's share, and rare exchanges.
  constexpr std::size_t list_bytes = std::size_t{16} << 10U;
  magazine_blocks_ =
      std::clamp(list_bytes / blocks_.block_bytes(), std::size_t{8}, std::size_t{256});
  magazine_keeper::enter(*this);
  // Blocks in magazines are neither poisoned nor checked, so a watched pool has none.
  if (blocks_.watched_) magazine_blocks_ = 0;
}

shared_pool::~shared_pool() {
  magazine_keeper::leave(*this);
  ACRE_ASSERT(statistics().live_blocks == 0 && "a shared pool was destroyed with live blocks");
  while (magazines_ != nullptr)
    delete std::exchange(magazines_, magazines_->next);
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
  slot& mine = slots_of_thread[slot_index_];
  magazine* const cache = mine.pool_id == id_ ? mine.cache : attach();
  if (cache == nullptr) {
    const std::lock_guard guard(lock_);
    return blocks_.try_allocate();
  }
  if (cache->first == &end_of_list && !refill(*cache)) return nullptr;
  return pop();
}

void shared_pool::deallocate_slowly(void* data) noexcept {
  slot& mine = slots_of_thread[slot_index_];
  magazine* const cache = mine.pool_id == id_ ? mine.cache : attach();
  if (cache == nullptr) {
    const std::lock_guard guard(lock_);
    blocks_.deallocate(data);
    return;
  }
  if (cache->first->count == magazine_blocks_) {
    if (cache->spare != nullptr) store(cache->spare);
    cache->spare = std::exchange(cache->first, &end_of_list);
    cache->spare_count.store(magazine_blocks_, std::memory_order_relaxed);
    cache->count.store(0, std::memory_order_relaxed);
  }
  deallocate(data);
}

/// A magazine for the calling thread; null when it can have none.
shared_pool::magazine* shared_pool::attach() noexcept {
  if (slot_index_ == slot_count || magazine_blocks_ == 0) return nullptr;
  if (!magazine_keeper::watch_thread()) return nullptr;
  auto* const made = new (std::nothrow) magazine;
  if (made == nullptr) return nullptr;
  // Another pool that had this place is gone, and its magazine with it.
  slots_of_thread[slot_index_] = {id_, made};
  const std::lock_guard guard(lock_);
  made->next = magazines_;
  if (magazines_ != nullptr) magazines_->previous = made;
  magazines_ = made;
  ++magazine_count_;
  return made;
}

/// Takes the magazine of a thread that ends.
void shared_pool::detach(magazine* cache) noexcept {
  const std::lock_guard guard(lock_);
  empty_list(cache->first);
  if (cache->spare != nullptr) empty_list(cache->spare);
  (cache->previous != nullptr ? cache->previous->next : magazines_) = cache->next;
  if (cache->next != nullptr) cache->next->previous = cache->previous;
  --magazine_count_;
  delete cache;
  empty_depot(magazine_count_ + 4);
}

/// Gives an empty magazine a list: its spare one, one of the depot, or fresh blocks.
bool shared_pool::refill(magazine& cache) noexcept {
  if (cache.spare != nullptr) {
    cache.first = std::exchange(cache.spare, nullptr);
    cache.spare_count.store(0, std::memory_order_relaxed);
    cache.count.store(magazine_blocks_, std::memory_order_relaxed);
    return true;
  }
  const std::lock_guard guard(lock_);
  ++exchanges_;
  if (depot_ != nullptr) {
    full_list* const taken = std::exchange(depot_, depot_->next_list);
    --depot_lists_;
    cache.first = ::new (static_cast<void*>(taken)) free_block{taken->next, magazine_blocks_};
    cache.count.store(magazine_blocks_, std::memory_order_relaxed);
    return true;
  }
  std::size_t count = 0;
  for (; count < magazine_blocks_; ++count) {
    void* const data = blocks_.try_allocate();
    if (data == nullptr) break;
    cache.first = ::new (data) free_block{cache.first, count + 1};
  }
  cache.count.store(count, std::memory_order_relaxed);
  return count > 0;
}

/// Puts a full list into the depot.
void shared_pool::store(free_block* list) noexcept {
  const std::lock_guard guard(lock_);
  ++exchanges_;
  depot_ = ::new (static_cast<void*>(list)) full_list{list->next, depot_};
  ++depot_lists_;
  empty_depot(magazine_count_ + 4);
}

/// Requires: the lock is held; here and below.
void shared_pool::empty_depot(std::size_t lists_kept) noexcept {
  while (depot_lists_ > lists_kept) {
    full_list* const taken = std::exchange(depot_, depot_->next_list);
    --depot_lists_;
    empty_list(::new (static_cast<void*>(taken)) free_block{taken->next, magazine_blocks_});
  }
}

void shared_pool::empty_list(free_block* list) noexcept {
  while (list != &end_of_list) {
    free_block* const next = list->next;
    blocks_.deallocate(list);
    list = next;
  }
}

std::size_t shared_pool::trim() noexcept {
  const std::lock_guard guard(lock_);
  empty_depot(0);
  return blocks_.trim();
}

shared_pool_statistics shared_pool::statistics() const noexcept {
  const std::lock_guard guard(lock_);
  shared_pool_statistics counted{.live_blocks = 0,
                                 .cached_blocks = depot_lists_ * magazine_blocks_,
                                 .magazines = magazine_count_,
                                 .exchanges = exchanges_,
                                 .blocks = blocks_.statistics()};
  for (const magazine* cache = magazines_; cache != nullptr; cache = cache->next) {
    counted.cached_blocks += cache->count.load(std::memory_order_relaxed) +
                             cache->spare_count.load(std::memory_order_relaxed);
  }
  // While threads work the two may be seen at different times.
  const std::size_t out = counted.blocks.live_blocks;
  counted.live_blocks = out > counted.cached_blocks ? out - counted.cached_blocks : 0;
  return counted;
}

bool shared_pool::check_invariants() noexcept {
  const std::lock_guard guard(lock_);
  const auto length = [](const free_block* list) {
    std::size_t count = 0;
    for (; list != nullptr && list != &end_of_list; list = list->next)
      ++count;
    return count;
  };
  std::size_t lists = 0;
  for (full_list* list = depot_; list != nullptr; list = list->next_list) {
    // The first block's link is at the same place in both of its types.
    if (1 + length(list->next) != magazine_blocks_) return false;
    ++lists;
  }
  std::size_t magazines = 0;
  for (const magazine* cache = magazines_; cache != nullptr; cache = cache->next) {
    ++magazines;
    if (length(cache->first) != cache->count.load(std::memory_order_relaxed)) return false;
    if (length(cache->spare) != cache->spare_count.load(std::memory_order_relaxed)) return false;
  }
  return lists == depot_lists_ && magazines == magazine_count_ && blocks_.check_invariants();
}

}  // namespace acre::region
