#pragma once

#include <acre/export.h>
#include <acre/region/pool.hpp>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory_resource>
#include <mutex>
#include <string_view>

namespace acre::region {

/// Counts of a shared pool; exact while no other thread uses it.
struct shared_pool_statistics {
  std::size_t live_blocks = 0;
  std::size_t cached_blocks = 0;  ///< free, in magazines of threads and in the depot
  std::size_t threads = 0;        ///< that have magazines
  std::size_t exchanges = 0;      ///< times a thread took the lock
  pool_statistics blocks = {};    ///< of the pool under the magazines; cached blocks are live there
};

/// Blocks of one size for many threads.
///
/// Each thread has two magazines, arrays of at most `magazine_blocks()` free blocks, and works
/// without lock or atomic operation while they are not both empty or both full. Otherwise it
/// exchanges a whole magazine with the shared depot, under a lock (Bonwick and Adams, "Magazines
/// and Vmem", 2001). Blocks themselves are not touched, so a block that one thread freed does not
/// travel through the caches of others. A block may be freed by any thread.
///
/// What lies in magazines is bounded: two per living thread, and in the depot as many as there are
/// threads and two; a magazine holds at most 64 KiB of blocks, or a 64th of what a bounded pool may
/// have, but at least 8 blocks. When a thread ends, its magazines are emptied.
///
/// The first 64 shared pools alive at a time have magazines; any further one takes its lock for
/// each block, and so does a pool that sanitizers or checked builds watch. In a child of fork,
/// blocks in the magazines of threads that are not there are lost until the pool is destroyed; fork
/// while another thread is inside `shared_pool` may leave its lock taken.
///
/// Ownership:      owns its chunks; magazines come from `operator new`.
/// Thread-safety:  every member but the constructor, destructor and `check_invariants` may be used
///                 from any thread. A source under it is used, and an `exhaustion` callback
///                 called, under the pool's lock: it may not use the pool.
/// Fails:          `allocate` throws `refused`, a `std::bad_alloc`; `try_allocate` returns null.
class ACRE_API shared_pool final : public std::pmr::memory_resource {
 public:
  explicit shared_pool(const pool_options& options);
  shared_pool(const shared_pool&) = delete;
  shared_pool& operator=(const shared_pool&) = delete;

  /// Requires: no other thread uses the pool any more. Threads may end later.
  ~shared_pool() override;

  [[nodiscard, gnu::always_inline]] void* allocate() {
    void* const data = pop();
    return data != nullptr ? data : allocate_slowly();
  }

  /// Null instead of an exception.
  [[nodiscard, gnu::always_inline]] void* try_allocate() noexcept {
    void* const data = pop();
    return data != nullptr ? data : try_allocate_slowly();
  }

  /// Requires: `data` came from this pool, in any thread, and is not used any more.
  [[gnu::always_inline]] void deallocate(void* data) noexcept {
    const slot& mine = slots_of_thread[slot_index_];
    if (mine.pool_id == id_) [[likely]] {
      cache& own = *mine.own;
      const std::size_t count = own.count.load(std::memory_order_relaxed);
      if (count != magazine_blocks_) [[likely]] {
        own.loaded->blocks()[count] = data;
        own.count.store(count + 1, std::memory_order_relaxed);
        return;
      }
    }
    deallocate_slowly(data);
  }

  /// Throws `refused` when the request is larger or more aligned than the pool's blocks.
  [[nodiscard]] void* allocate(std::size_t size_bytes,
                               std::size_t alignment = alignof(std::max_align_t)) {
    if (size_bytes > blocks_.block_bytes() || alignment > blocks_.alignment()) {
      blocks_.refuse_request();
    }
    return allocate();
  }
  void deallocate(void* data, std::size_t, std::size_t = alignof(std::max_align_t)) noexcept {
    deallocate(data);
  }

  /// Gives the depot's blocks back to the pool, and empty chunks to the source.
  ///
  /// Returns: the bytes given back.
  std::size_t trim() noexcept;

  [[nodiscard]] std::size_t block_bytes() const noexcept { return blocks_.block_bytes(); }
  [[nodiscard]] std::size_t alignment() const noexcept { return blocks_.alignment(); }
  [[nodiscard]] std::size_t magazine_blocks() const noexcept { return magazine_blocks_; }
  [[nodiscard]] std::string_view name() const noexcept { return blocks_.name(); }
  [[nodiscard]] shared_pool_statistics statistics() const noexcept;

  /// Whether `address` lies in a block or chunk of this pool. Cost: the lock, and linear in the
  /// chunks.
  [[nodiscard]] bool owns(const void* address) const noexcept;

  /// Requires: no other thread uses the pool at the same time.
  [[nodiscard]] bool check_invariants() noexcept;

 private:
  friend class magazine_keeper;

  /// An array of free blocks; in the depot it is full or empty.
  struct magazine {
    magazine* next;  ///< in the depot

    [[nodiscard]] void** blocks() noexcept { return reinterpret_cast<void**>(this + 1); }
  };

  /// One thread's blocks. Its thread alone changes it; others read the counts for statistics.
  struct alignas(64) cache {
    std::atomic<std::size_t> count{0};  ///< of the blocks in `loaded`, from its beginning
    magazine* loaded = nullptr;
    magazine* spare = nullptr;  ///< full or empty, or null
    std::atomic<std::size_t> spare_count{0};
    std::size_t next_refill = 0;  ///< blocks; grows with use, so that short threads take few
    cache* next = nullptr;        ///< guarded by the pool's lock, as is `previous`
    cache* previous = nullptr;
  };

  struct slot {
    std::uint64_t pool_id;  ///< 0: free; ids are never used twice
    cache* own;
  };
  static constexpr std::size_t slot_count = 64;
  /// One more than there are indices: the last belongs to no pool and never matches.
  using slot_array = std::array<slot, slot_count + 1>;
  ACRE_API static thread_local constinit slot_array slots_of_thread;

  [[nodiscard, gnu::always_inline]] void* pop() noexcept {
    const slot& mine = slots_of_thread[slot_index_];
    if (mine.pool_id != id_) [[unlikely]]
      return nullptr;
    cache& own = *mine.own;
    const std::size_t count = own.count.load(std::memory_order_relaxed);
    if (count == 0) [[unlikely]]
      return nullptr;
    own.count.store(count - 1, std::memory_order_relaxed);
    return own.loaded->blocks()[count - 1];
  }

  void* do_allocate(std::size_t size_bytes, std::size_t alignment) override {
    return shared_pool::allocate(size_bytes, alignment);
  }
  void do_deallocate(void* data, std::size_t, std::size_t) override {
    shared_pool::deallocate(data);
  }
  [[nodiscard]] bool do_is_equal(const memory_resource& other) const noexcept override {
    return this == &other;
  }

  [[nodiscard]] void* allocate_slowly();
  [[nodiscard]] void* try_allocate_slowly() noexcept;
  void deallocate_slowly(void* data) noexcept;
  [[nodiscard]] cache* attach() noexcept;
  void detach(cache* own) noexcept;
  [[nodiscard]] magazine* new_magazine() const noexcept;
  static void delete_magazine(magazine* gone) noexcept;
  static void swap_magazines(cache& own) noexcept;
  [[nodiscard]] bool refill(cache& own) noexcept;
  [[nodiscard]] bool make_room(cache& own) noexcept;
  void take_fresh(cache& own) noexcept;
  void give_back(magazine* from, std::size_t count) noexcept;
  void shrink_depot(std::size_t magazines_kept) noexcept;

  std::uint64_t id_;
  std::size_t slot_index_ = slot_count;
  std::size_t magazine_blocks_ = 0;

  mutable std::mutex lock_;  ///< guards all below
  pool blocks_;
  magazine* full_ = nullptr;  ///< the depot: magazines that are full
  std::size_t full_count_ = 0;
  magazine* empty_ = nullptr;  ///< and empty ones
  cache* caches_ = nullptr;
  std::size_t cache_count_ = 0;
  std::size_t exchanges_ = 0;
};

/// A shared pool of objects of one type; construct and destroy may happen in different threads.
///
/// Requires: every object is destroyed before the pool; checked builds end the program otherwise.
template <class T>
class shared_object_pool {
 public:
  /// `block_bytes` and `alignment` of the options are set to those of `T`.
  explicit shared_object_pool(pool_options options = {})
      : pool_((options.block_bytes = sizeof(T), options.alignment = alignof(T), options)) {}

  template <class... Args>
  [[nodiscard]] T* construct(Args&&... args) {
    void* const block = pool_.allocate();
    try {
      return std::construct_at(static_cast<T*>(block), std::forward<Args>(args)...);
    } catch (...) {
      pool_.deallocate(block);
      throw;
    }
  }

  void destroy(T* object) noexcept {
    std::destroy_at(object);
    pool_.deallocate(object);
  }

  [[nodiscard]] shared_pool& blocks() noexcept { return pool_; }

 private:
  shared_pool pool_;
};

}  // namespace acre::region
