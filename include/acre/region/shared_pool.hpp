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
  std::size_t magazines = 0;      ///< threads that have one
  std::size_t exchanges = 0;      ///< times a thread took the lock
  pool_statistics blocks = {};    ///< of the pool under the magazines; cached blocks are live there
};

/// Blocks of one size for many threads.
///
/// Each thread has a magazine, two lists of at most `magazine_blocks()` free blocks, and works
/// without lock or atomic operation while one of them is neither empty nor full. Otherwise it
/// exchanges a whole list with the shared depot, under a lock (Bonwick and Adams, "Magazines and
/// Vmem", 2001). A block may be freed by any thread.
///
/// What lies in magazines is bounded: two lists per living thread, and in the depot as many as
/// there are threads and four. When a thread ends, its magazine is emptied into the pool.
///
/// The first 64 shared pools alive at a time have magazines; any further one takes its lock for
/// each block, and so does a pool that sanitizers or checked builds watch. In a child of fork,
/// blocks in the magazines of threads that are not there are lost until the pool is destroyed; fork
/// while another thread is inside `shared_pool` may leave its lock taken.
///
/// Ownership:      owns its chunks; the heads of magazines come from `operator new`.
/// Thread-safety:  every member but the constructor, destructor and `check_invariants` may be
/// called
///                 from any thread. A source under it is used under the pool's lock.
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
      magazine& cache = *mine.cache;
      const std::size_t count = cache.first->count + 1;
      if (count <= magazine_blocks_) [[likely]] {
        cache.first = ::new (data) free_block{cache.first, count};
        cache.count.store(count, std::memory_order_relaxed);
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

  [[nodiscard]] std::size_t magazine_blocks() const noexcept { return magazine_blocks_; }
  [[nodiscard]] std::string_view name() const noexcept { return blocks_.name(); }
  [[nodiscard]] shared_pool_statistics statistics() const noexcept;

  /// Requires: no other thread uses the pool at the same time.
  [[nodiscard]] bool check_invariants() noexcept;

 private:
  friend class magazine_keeper;

  struct free_block {
    free_block* next;
    std::size_t count;  ///< of the list from here to its end
  };
  /// Where every list ends; nobody writes to it, so threads may share it.
  ACRE_API static free_block end_of_list;
  /// The first block of a list in the depot.
  struct full_list {
    free_block* next;
    full_list* next_list;
  };

  /// One thread's blocks. Its thread alone changes it; others read the counts for statistics.
  struct alignas(64) magazine {
    free_block* first = &end_of_list;
    std::atomic<std::size_t> count{0};
    free_block* spare = nullptr;  ///< a full list, or null
    std::atomic<std::size_t> spare_count{0};
    magazine* next = nullptr;  ///< guarded by the pool's lock, as is `previous`
    magazine* previous = nullptr;
  };

  struct slot {
    std::uint64_t pool_id;  ///< 0: free; ids are never used twice
    magazine* cache;
  };
  static constexpr std::size_t slot_count = 64;
  /// One more than there are indices: the last belongs to no pool and never matches.
  using slot_array = std::array<slot, slot_count + 1>;
  ACRE_API static thread_local constinit slot_array slots_of_thread;

  [[nodiscard, gnu::always_inline]] void* pop() noexcept {
    const slot& mine = slots_of_thread[slot_index_];
    if (mine.pool_id != id_) [[unlikely]]
      return nullptr;
    magazine& cache = *mine.cache;
    free_block* const taken = cache.first;
    if (taken == &end_of_list) [[unlikely]]
      return nullptr;
    cache.first = taken->next;
    // Stored for statistics alone and never loaded here: no call waits for the one before.
    cache.count.store(taken->count - 1, std::memory_order_relaxed);
    return taken;
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
  [[nodiscard]] magazine* attach() noexcept;
  void detach(magazine* cache) noexcept;
  [[nodiscard]] bool refill(magazine& cache) noexcept;
  void store(free_block* list) noexcept;
  void empty_list(free_block* list) noexcept;
  void empty_depot(std::size_t lists_kept) noexcept;

  std::uint64_t id_;
  std::size_t slot_index_ = slot_count;
  std::size_t magazine_blocks_ = 0;

  mutable std::mutex lock_;  ///< guards all below
  pool blocks_;
  full_list* depot_ = nullptr;
  std::size_t depot_lists_ = 0;
  magazine* magazines_ = nullptr;
  std::size_t magazine_count_ = 0;
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
