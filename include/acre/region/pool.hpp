#pragma once

#include <acre/export.h>
#include <acre/region/supply.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <memory_resource>
#include <string_view>
#include <utility>

namespace acre::region {

/// Whether a pool listens to sanitizers, Valgrind and checked builds.
enum class watching : unsigned char {
  automatic,  ///< when there is one; blocks are then poisoned when free, and checked when they
              ///< return
  off         ///< never, for instance to measure
};

/// What a pool is made with.
struct pool_options {
  source* from = nullptr;       ///< null: `default_source()`; outlives the pool
  std::string_view name = {};   ///< shown in messages; the first 31 bytes are kept
  std::size_t block_bytes = 0;  ///< size of every block; above 0
  std::size_t alignment = alignof(std::max_align_t);  ///< of every block; any power of two
  /// Taken at once, at an address that is a multiple of it; rounded up to a power of two. 0: suits
  /// the source. A pool over a small buffer states it, and aligns the buffer.
  std::size_t chunk_bytes = 0;
  std::size_t budget_bytes = 0;  ///< most it may hold of its source; 0: no limit
  exhaustion when_exhausted = exhaustion::grow();
  std::size_t empty_chunks_kept = 1;  ///< more than these go back to the source
  watching watch = watching::automatic;
};

/// Counts of one pool.
struct pool_statistics {
  std::size_t live_blocks = 0;
  std::size_t free_blocks = 0;  ///< in the chunks held
  std::size_t held_bytes = 0;
  std::size_t held_bytes_peak = 0;
  std::size_t chunks = 0;
};

/// Blocks of one size, given and taken back in any order in constant time.
///
/// Free blocks form a list that lies in the blocks themselves, the newest first: its memory is in
/// the cache. Each link carries how many blocks follow it in the bits that addresses do not use, so
/// that counting takes no memory access. When half of the pool is free, chunks without a live block
/// go back to the source, at amortized constant cost.
///
/// It is a `std::pmr::memory_resource` for requests up to its block size and alignment, so node
/// containers can live in it.
///
/// Ownership:      owns its chunks; objects in them are not destroyed (see `object_pool`).
/// Thread-safety:  one thread at a time; see `shared_pool`.
/// Fails:          `allocate` throws `refused`, a `std::bad_alloc`; `try_allocate` returns null.
/// Cost:           5 instructions and a branch to take, 6 and a branch to give back: as many memory
///                 accesses as a bare list. Two words in a free block, which is at least 16 bytes.
class ACRE_API pool final : public std::pmr::memory_resource {
  struct chunk;

 public:
  /// A block size of 0 or an alignment that is not a power of two ends the program. Throws
  /// `refused` when `when_exhausted` is `fail` and the first chunk is refused.
  explicit pool(const pool_options& options);
  pool(const pool&) = delete;
  pool& operator=(const pool&) = delete;
  ~pool() override;

  [[nodiscard, gnu::always_inline]] void* allocate() {
    const counted_link first = free_;
    if (first != 0) [[likely]] {
      free_ = block_of(first)->rest;
      return block_of(first);
    }
    return allocate_slowly();
  }

  /// Null instead of an exception.
  [[nodiscard, gnu::always_inline]] void* try_allocate() noexcept {
    const counted_link first = free_;
    if (first != 0) [[likely]] {
      free_ = block_of(first)->rest;
      return block_of(first);
    }
    return try_allocate_slowly();
  }

  /// Requires: `data` came from this pool and is not used any more.
  [[gnu::always_inline]] void deallocate(void* data) noexcept {
    // One comparison for three questions: whether the list is as long as its count can tell,
    // whether to look for empty chunks, and whether anybody watches; then the bound is 0.
    const counted_link first = free_;
    if (first >= bound_) [[unlikely]] {
      deallocate_slowly(data);
      return;
    }
    static_cast<free_block*>(data)->rest = first;
    free_ = link_to(data, first);
  }

  /// Throws `refused` when the request is larger or more aligned than the pool's blocks.
  [[nodiscard]] void* allocate(std::size_t size_bytes,
                               std::size_t alignment = alignof(std::max_align_t)) {
    if (size_bytes > block_bytes_ || alignment > alignment_) refuse_request();
    return allocate();
  }
  void deallocate(void* data, std::size_t, std::size_t = alignof(std::max_align_t)) noexcept {
    deallocate(data);
  }

  /// Gives all chunks without a live block back, but `empty_chunks_kept`.
  ///
  /// Returns: the bytes given back. Cost: linear in the free blocks.
  std::size_t trim() noexcept;

  /// Takes every block back at once; runs no destructors.
  void release() noexcept;

  /// Whether `address` lies in a block or chunk of this pool. Cost: linear in the chunks.
  [[nodiscard]] bool owns(const void* address) const noexcept;

  /// Called by containers and owners in checked builds; see `are_leases_checked`.
  void change_leases(std::ptrdiff_t by) noexcept { leases_ += by; }

  [[nodiscard]] std::size_t block_bytes() const noexcept { return block_bytes_; }
  [[nodiscard]] std::size_t alignment() const noexcept { return alignment_; }
  [[nodiscard]] std::string_view name() const noexcept { return name_; }
  [[nodiscard]] std::size_t budget_bytes() const noexcept { return supply_.budget_bytes(); }
  void set_budget_bytes(std::size_t size_bytes) noexcept { supply_.set_budget_bytes(size_bytes); }
  [[nodiscard]] pool_statistics statistics() const noexcept;

  /// Cost: linear in the blocks. Requires: no other thread looks at the same time.
  [[nodiscard]] bool check_invariants() noexcept;

  /// Calls `visit(block)` for every live block, in no order. `visit` may not use the pool.
  template <class Visit>
  void for_each_live(Visit visit) {
    mark_free_blocks();
    for (chunk* in = first_chunk(); in != nullptr; in = next_chunk(in)) {
      for (std::size_t index = 0; index < carved_blocks(in); ++index) {
        if (!is_marked(in, index)) visit(block_at(in, index));
      }
    }
  }

 private:
  friend class shared_pool;

  /// The address of a list's first block, and above it how many blocks the list has; 0: none.
  using counted_link = std::uint64_t;
  static constexpr unsigned address_bits = 48;  ///< of a user's address; `add_chunk` checks it
  static constexpr counted_link address_mask = (counted_link{1} << address_bits) - 1;
  static constexpr std::size_t most_linked = 65'535;  ///< blocks of one list

  struct free_block {
    counted_link rest;      ///< of the list
    free_block* next_list;  ///< meant in the first block of a list that was set aside
  };

  [[nodiscard]] static free_block* block_of(counted_link first) noexcept {
    return reinterpret_cast<free_block*>(first & address_mask);
  }
  [[nodiscard]] static std::size_t length_of(counted_link first) noexcept {
    return first >> address_bits;
  }
  /// To `data`, in front of the list `rest`. Adding 1 to the mask carries into the count.
  [[nodiscard]] static counted_link link_to(const void* data, counted_link rest) noexcept {
    return (rest | address_mask) + 1 + reinterpret_cast<std::uintptr_t>(data);
  }
  /// The list that was set aside with `first` as its first block.
  [[nodiscard]] static counted_link whole_list(const void* first) noexcept {
    return counted_link{most_linked} << address_bits | reinterpret_cast<std::uintptr_t>(first);
  }

  void* do_allocate(std::size_t size_bytes, std::size_t alignment) override {
    return pool::allocate(size_bytes, alignment);
  }
  void do_deallocate(void* data, std::size_t, std::size_t) override { pool::deallocate(data); }
  [[nodiscard]] bool do_is_equal(const memory_resource& other) const noexcept override {
    return this == &other;
  }

  [[nodiscard]] void* allocate_slowly();
  [[nodiscard]] void* try_allocate_slowly() noexcept;
  void deallocate_slowly(void* data) noexcept;
  [[noreturn]] void refuse_request() const;

  /// That a pool without growth or within its budget can have; 0: no limit is known.
  [[nodiscard]] std::size_t most_blocks() const noexcept;

  void shape(std::size_t asked_chunk_bytes) noexcept;
  [[nodiscard]] bool add_chunk() noexcept;
  void carve() noexcept;
  void give_back(chunk* emptied) noexcept;
  void unlink(chunk* gone) noexcept;
  std::size_t sweep() noexcept;
  void keep_blocks_of_used_chunks() noexcept;
  void forget_lists() noexcept;
  [[nodiscard]] counted_link pop() noexcept;
  [[nodiscard]] bool is_sound(counted_link list) const noexcept;
  template <class Visit>
  void for_each_free(Visit visit) const;
  void set_trim_bound(std::size_t live_blocks) noexcept;
  void set_bound() noexcept;
  [[nodiscard]] std::size_t free_count() const noexcept;
  [[nodiscard]] std::size_t carved_count() const noexcept;
  [[nodiscard]] std::size_t live_count() const noexcept { return carved_count() - free_count(); }

  [[nodiscard]] void* hand_out_watched(void* taken) noexcept;
  void take_back_watched(void* data) noexcept;
  [[nodiscard]] free_block read(const free_block* block) const noexcept;
  void write(void* data, const free_block& contents) const noexcept;
  [[nodiscard]] counted_link& list() noexcept { return watched_ ? watched_free_ : free_; }
  [[nodiscard]] counted_link list() const noexcept { return watched_ ? watched_free_ : free_; }
  void link(void* data) noexcept;

  void mark_free_blocks() noexcept;
  [[nodiscard]] chunk* chunk_of(const void* data) const noexcept;
  [[nodiscard]] chunk* first_chunk() const noexcept { return chunks_; }
  [[nodiscard]] static chunk* next_chunk(chunk* after) noexcept;
  [[nodiscard]] std::size_t carved_blocks(const chunk* in) const noexcept;
  [[nodiscard]] bool is_marked(const chunk* in, std::size_t index) const noexcept;
  [[nodiscard]] void* block_at(chunk* in, std::size_t index) const noexcept;
  [[nodiscard]] std::size_t index_in(const chunk* in, const void* data) const noexcept;

  counted_link free_ = 0;            ///< empty while the pool is watched: the fast path is shut
  counted_link bound_ = 0;           ///< from here on the list is too long; see set_bound
  counted_link watched_free_ = 0;    ///< the list while the pool is watched
  free_block* set_aside_ = nullptr;  ///< lists of `most_linked` blocks
  std::size_t lists_aside_ = 0;
  chunk* chunks_ = nullptr;  ///< the newest first; only that one may have uncarved blocks
  std::size_t chunk_count_ = 0;
  std::size_t fresh_blocks_ = 0;  ///< of the newest chunk, at its end, never linked yet
  std::size_t trim_below_ = 0;    ///< live blocks; the same bound, seen from the other side

  // The shape, fixed at construction.
  std::size_t block_bytes_;
  std::size_t alignment_;
  std::size_t unit_bytes_ = 0;          ///< from one block to the next
  std::size_t first_block_offset_ = 0;  ///< from the chunk's start
  std::size_t blocks_per_chunk_ = 0;
  std::size_t chunk_bytes_ = 0;  ///< a power of two, and the alignment of chunks
  std::size_t empty_chunks_kept_;

  std::ptrdiff_t leases_ = 0;
  failure last_failure_ = {};
  bool watched_;
  char name_[32] = {};
  block_supply supply_;
};

/// A pool of objects of one type, constructed and destroyed in any order in constant time.
///
/// Ownership:      objects that are still there at the end are destroyed.
/// Thread-safety:  one thread at a time.
template <class T>
class object_pool {
 public:
  /// `block_bytes` and `alignment` of the options are set to those of `T`.
  explicit object_pool(const pool_options& options = {}) : pool_(for_objects(options)) {}
  explicit object_pool(source& from) : object_pool(pool_options{.from = &from}) {}
  object_pool(const object_pool&) = delete;
  object_pool& operator=(const object_pool&) = delete;
  ~object_pool() { destroy_all(); }

  /// Fails: throws `refused` or what the constructor throws; nothing is allocated then.
  template <class... Args>
  [[nodiscard]] T* construct(Args&&... args) {
    void* const block = pool_.allocate();
    if constexpr (std::is_nothrow_constructible_v<T, Args...>) {
      return std::construct_at(static_cast<T*>(block), std::forward<Args>(args)...);
    } else {
      try {
        return std::construct_at(static_cast<T*>(block), std::forward<Args>(args)...);
      } catch (...) {
        pool_.deallocate(block);
        throw;
      }
    }
  }

  /// Requires: `object` came from `construct` of this pool.
  void destroy(T* object) noexcept {
    std::destroy_at(object);
    pool_.deallocate(object);
  }

  /// Destroys every object, in no order, and takes their memory back.
  ///
  /// Requires: no destructor of `T` destroys other objects of this pool.
  void destroy_all() noexcept {
    if constexpr (!std::is_trivially_destructible_v<T>) {
      pool_.for_each_live([](void* block) { std::destroy_at(static_cast<T*>(block)); });
    }
    pool_.release();
  }

  /// The blocks under the objects: for `trim`, `owns` and so on, or as a memory resource.
  [[nodiscard]] pool& blocks() noexcept { return pool_; }
  [[nodiscard]] std::size_t size() const noexcept { return pool_.statistics().live_blocks; }
  [[nodiscard]] pool_statistics statistics() const noexcept { return pool_.statistics(); }

 private:
  [[nodiscard]] static pool_options for_objects(pool_options options) noexcept {
    options.block_bytes = sizeof(T);
    options.alignment = alignof(T);
    return options;
  }

  pool pool_;
};

}  // namespace acre::region
