#pragma once

#include <acre/export.h>
#include <acre/region/keep.hpp>
#include <acre/region/supply.hpp>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <memory_resource>
#include <new>
#include <span>
#include <string_view>
#include <type_traits>
#include <utility>

namespace acre::region {

/// What an arena is made with.
struct arena_options {
  source* from = nullptr;             ///< null: `default_source()`; outlives the arena
  std::string_view name = {};         ///< shown in messages; the first 31 bytes are kept
  std::size_t first_block_bytes = 0;  ///< 0: suits the source; each further block is twice as large
  std::size_t block_bytes_max = std::size_t{64} << 20U;
  /// Requests of at least so much get a block of the source of their own, which `deallocate` gives
  /// back. 0: the most of 128 KiB, the source's granularity and `first_block_bytes`; other values
  /// are raised to 128 KiB. An arena that does not grow has no such blocks.
  std::size_t own_block_bytes = 0;
  std::size_t budget_bytes = 0;  ///< most it may hold of its source; 0: no limit
  exhaustion when_exhausted = exhaustion::grow();
  keep on_reset = keep::all();
};

/// Counts of one arena. Bytes used include padding for alignment.
struct arena_statistics {
  std::size_t used_bytes = 0;
  std::size_t used_bytes_peak = 0;  ///< over all uses, as seen at resets, rollbacks and here
  std::size_t held_bytes = 0;       ///< taken from source and upstream
  std::size_t held_bytes_peak = 0;
  std::size_t blocks = 0;
  std::size_t own_blocks = 0;   ///< of these, those of one large request
  std::size_t destructors = 0;  ///< objects whose destructor will be run
  std::size_t resets = 0;
};

/// Bump allocation: memory is handed out in order and comes back all at once.
///
///     block      block                 block (kept)
///     ┌────────┐ ┌───────┬──────────┐  ┌──────────┐
///     │ used   │→│ used  │ free     │→ │ free     │
///     └────────┘ └───────┴──────────┘  └──────────┘
///                        ↑ cursor   ↑ limit
///
/// `allocate` is inline: align, compare, add. Everything else (a further block, a frozen arena, a
/// sanitizer that watches) sits behind the same comparison, because then the limit is 0.
///
/// Large requests get blocks of their own, so that the arrays which a growing vector leaves behind
/// go back at once. Otherwise `deallocate` does nothing.
///
/// It is a `std::pmr::memory_resource`.
///
/// Ownership:      owns its blocks and the objects from `make`; their destructors run at `reset`,
///                 `rollback` and destruction, the newest first.
/// Thread-safety:  one thread at a time.
/// Fails:          `allocate` throws `refused`, a `std::bad_alloc`; `try_allocate` returns null.
/// Cost:           4 instructions and a branch when the size is known at compile time.
class ACRE_API arena final : public std::pmr::memory_resource {
  struct destructor_record;
  struct mark_record;
  struct chunk;
  struct own_block;

 public:
  /// No smaller request gets a block of its own; known at compile time, so that the inline paths
  /// need not look.
  static constexpr std::size_t least_own_block_bytes = std::size_t{128} << 10U;

  /// Throws `std::bad_alloc` when `when_exhausted` is `fail` and the first block is refused.
  explicit arena(const arena_options& options = {});
  explicit arena(source& from) : arena(arena_options{.from = &from}) {}
  arena(const arena&) = delete;
  arena& operator=(const arena&) = delete;
  ~arena() override;

  /// Memory for `size_bytes`, never null; a size of 0 gives an address that may be given again.
  ///
  /// Requires: `alignment` is a power of two.
  [[nodiscard, gnu::always_inline]] void* allocate(
      std::size_t size_bytes, std::size_t alignment = alignof(std::max_align_t)) {
    std::byte* const start = aligned_cursor(alignment);
    if (fits(start, size_bytes)) [[likely]] {
      cursor_ = start + size_bytes;
      return start;
    }
    return allocate_slowly(size_bytes, alignment);
  }

  /// Null instead of an exception.
  [[nodiscard, gnu::always_inline]] void* try_allocate(
      std::size_t size_bytes, std::size_t alignment = alignof(std::max_align_t)) noexcept {
    std::byte* const start = aligned_cursor(alignment);
    if (fits(start, size_bytes)) [[likely]] {
      cursor_ = start + size_bytes;
      return start;
    }
    return try_allocate_slowly(size_bytes, alignment);
  }

  /// Gives a block of its own back; of others, lets sanitizers know that the program is done.
  ///
  /// Requires: the size that was allocated. A large one that is wrong ends the program.
  [[gnu::always_inline]] void deallocate(void* data, std::size_t size_bytes,
                                         std::size_t = alignof(std::max_align_t)) noexcept {
    if (watched_ || size_bytes >= least_own_block_bytes) [[unlikely]]
      deallocate_slowly(data, size_bytes);
  }

  /// A new object in the arena. A `T` that takes an allocator, such as a `std::pmr` container, is
  /// given this arena.
  ///
  /// Fails:  throws `std::bad_alloc` or what the constructor throws; the memory is then lost until
  ///         the next reset.
  template <class T, class... Args>
  T* make(Args&&... args) {
    if constexpr (std::is_trivially_destructible_v<T>) {
      return construct<T>(allocate(sizeof(T), alignof(T)), std::forward<Args>(args)...);
    } else {
      auto* const held =
          static_cast<held_object<T>*>(allocate(sizeof(held_object<T>), alignof(held_object<T>)));
      T* const made = construct<T>(&held->storage, std::forward<Args>(args)...);
      remember(new (&held->record) destructor_record{held_object<T>::destroy, nullptr});
      return made;
    }
  }

  /// `count` value-initialized objects side by side; see `make`.
  template <class T>
  std::span<T> make_array(std::size_t count) {
    if (count > static_cast<std::size_t>(PTRDIFF_MAX) / sizeof(T))
      throw std::bad_array_new_length();
    // The record first: objects without a record would not be destroyed.
    held_array<T>* held = nullptr;
    if constexpr (!std::is_trivially_destructible_v<T>) {
      held = static_cast<held_array<T>*>(allocate(sizeof(held_array<T>), alignof(held_array<T>)));
    }
    T* const first = static_cast<T*>(allocate(sizeof(T) * count, alignof(T)));
    std::uninitialized_value_construct_n(first, count);
    if constexpr (!std::is_trivially_destructible_v<T>) {
      new (held) held_array<T>{{held_array<T>::destroy, nullptr}, first, count};
      remember(&held->record);
    }
    return {first, count};
  }

  /// A copy of `text` that lives as long as the arena's contents.
  [[nodiscard]] std::string_view copy(std::string_view text) {
    if (text.empty()) return {};
    auto* const data = static_cast<char*>(allocate(text.size(), 1));
    std::memcpy(data, text.data(), text.size());
    return {data, text.size()};
  }

  /// Destroys the objects from `make` and takes all memory back, keeping blocks as `on_reset` says.
  void reset() noexcept { reset(on_reset_); }
  void reset(keep what) noexcept;

  /// A place to return to. Costs 80 bytes of the arena, unless nothing was allocated since the last
  /// mark, whose place is then given again.
  class marker {
   public:
    marker() = default;

   private:
    friend class arena;
    marker(std::uint64_t arena_id, std::uint64_t id) noexcept : arena_id_(arena_id), id_(id) {}
    std::uint64_t arena_id_ = 0;
    std::uint64_t id_ = 0;
  };

  /// Throws `std::bad_alloc`.
  [[nodiscard]] marker mark();

  /// Destroys and frees what was made since `to`, which stays valid; later markers become stale.
  ///
  /// A marker that is stale (an earlier one was rolled back to, or the arena was reset), or is of
  /// another arena, ends the program in every build.
  void rollback(marker to) noexcept;

  /// The same, but a bad marker is a failure (EINVAL) and changes nothing.
  [[nodiscard]] result<void> try_rollback(marker to) noexcept;

  /// Frees at the end of a block of code what was made in it.
  class [[nodiscard]] scope {
   public:
    explicit scope(arena& of) : arena_(&of), mark_(of.push_mark()) {}
    scope(const scope&) = delete;
    scope& operator=(const scope&) = delete;
    ~scope() { arena_->pop_mark(mark_); }

   private:
    arena* arena_;
    marker mark_;
  };

  /// From here on every allocation fails, until `thaw`: for programs that promise to take no memory
  /// after start-up. `make` and `mark` fail too; `reset` and `rollback` work.
  void freeze() noexcept;
  void thaw() noexcept;
  [[nodiscard]] bool is_frozen() const noexcept { return frozen_; }

  /// Called by containers and owners in checked builds; see `are_leases_checked`.
  void change_leases(std::ptrdiff_t by) noexcept { leases_ += by; }

  /// Whether `address` lies in memory that is handed out now. Cost: one step per block.
  [[nodiscard]] bool owns(const void* address) const noexcept;

  [[nodiscard]] arena_statistics statistics() const noexcept;
  [[nodiscard]] std::string_view name() const noexcept { return name_; }
  [[nodiscard]] source& from() const noexcept { return supply_.from(); }
  [[nodiscard]] std::size_t budget_bytes() const noexcept { return supply_.budget_bytes(); }
  void set_budget_bytes(std::size_t size_bytes) noexcept { supply_.set_budget_bytes(size_bytes); }
  [[nodiscard]] bool check_invariants() const noexcept;

 private:
  friend class child_arena;

  struct destructor_record {
    void (*destroy)(destructor_record* record) noexcept;
    destructor_record* previous;
  };

  template <class T>
  struct held_object {
    destructor_record record;
    alignas(T) std::byte storage[sizeof(T)];
    static void destroy(destructor_record* record) noexcept {
      auto* const held = reinterpret_cast<held_object*>(record);
      std::destroy_at(std::launder(reinterpret_cast<T*>(&held->storage)));
    }
  };

  template <class T>
  struct held_array {
    destructor_record record;
    T* first;
    std::size_t count;
    static void destroy(destructor_record* record) noexcept {
      auto* const held = reinterpret_cast<held_array*>(record);
      for (std::size_t left = held->count; left > 0; --left)
        std::destroy_at(held->first + left - 1);
    }
  };

  template <class T, class... Args>
  T* construct(void* storage, Args&&... args) {
    return std::uninitialized_construct_using_allocator(
        static_cast<T*>(storage), std::pmr::polymorphic_allocator<std::byte>(this),
        std::forward<Args>(args)...);
  }

  [[nodiscard, gnu::always_inline]] std::byte* aligned_cursor(
      std::size_t alignment) const noexcept {
    const auto number = reinterpret_cast<std::uintptr_t>(cursor_);
    return reinterpret_cast<std::byte*>((number + alignment - 1) & ~(alignment - 1));
  }

  /// The cursor is never null, so nothing fits below a limit of 0. A size that could wrap around is
  /// none for the inline path anyway.
  [[nodiscard, gnu::always_inline]] bool fits(const std::byte* start,
                                              std::size_t size_bytes) const noexcept {
    return size_bytes < least_own_block_bytes &&
           reinterpret_cast<std::uintptr_t>(start) + size_bytes <= limit_;
  }

  void* do_allocate(std::size_t size_bytes, std::size_t alignment) override {
    return arena::allocate(size_bytes, alignment);
  }
  void do_deallocate(void* data, std::size_t size_bytes, std::size_t) override {
    arena::deallocate(data, size_bytes);
  }
  [[nodiscard]] bool do_is_equal(const memory_resource& other) const noexcept override {
    return this == &other;
  }

  [[nodiscard]] void* allocate_slowly(std::size_t size_bytes, std::size_t alignment);
  [[nodiscard]] void* try_allocate_slowly(std::size_t size_bytes, std::size_t alignment) noexcept;
  [[nodiscard]] void* bump(std::size_t size_bytes, std::size_t alignment) noexcept;
  [[nodiscard]] void* allocate_own(std::size_t size_bytes, std::size_t alignment) noexcept;
  [[nodiscard]] void* place_own(const supplied_block& supplied, std::size_t size_bytes,
                                std::size_t alignment) noexcept;
  [[nodiscard]] void* bump_own(std::size_t size_bytes, std::size_t alignment) noexcept;
  [[nodiscard]] supplied_block take_kept(std::size_t needed_bytes, std::size_t most_bytes) noexcept;
  [[nodiscard]] supplied_block remove_own(own_block* gone) noexcept;
  void end_own(own_block* gone) noexcept;
  void end_own_after(std::uint64_t id) noexcept;
  void keep_all_own() noexcept;
  void keep_chunk(chunk** link, const supplied_block& supplied) noexcept;
  [[nodiscard]] std::size_t kept_bytes() const noexcept;
  [[nodiscard]] std::size_t own_bytes_suiting(const arena_options& options) const noexcept;
  [[nodiscard]] bool check_own_blocks(std::size_t& held_bytes) const noexcept;
  [[nodiscard]] bool advance(std::size_t size_bytes, std::size_t alignment) noexcept;
  [[nodiscard]] bool insert_chunk(std::size_t needed_bytes) noexcept;

  void enter(chunk* entered, std::byte* cursor) noexcept;
  void open_or_close() noexcept;
  void deallocate_slowly(void* data, std::size_t size_bytes) noexcept;
  void forget_from(chunk* from, std::byte* cursor) noexcept;
  void rewind() noexcept;
  void refuse_leases(const char* what) const noexcept;
  [[nodiscard]] chunk* last_kept(const keep& what) const noexcept;
  void drop_chunks_after(chunk* last) noexcept;
  void note_peak() noexcept;
  [[nodiscard]] std::size_t used_bytes() const noexcept;

  void remember(destructor_record* record) noexcept {
    record->previous = destructors_;
    destructors_ = record;
  }
  void destroy_down_to(const destructor_record* kept) noexcept;

  [[nodiscard]] marker push_mark();
  void pop_mark(marker to) noexcept;
  [[nodiscard]] mark_record* find_mark(marker to) const noexcept;
  void return_to(mark_record* record) noexcept;
  [[noreturn]] void refuse_marker(marker to) const noexcept;

  std::byte* cursor_;
  std::uintptr_t limit_ = 0;  ///< end of the current chunk, or 0 when the fast path is closed
  destructor_record* destructors_ = nullptr;
  chunk* current_ = nullptr;
  chunk* first_ = nullptr;
  mark_record* marks_ = nullptr;
  own_block* own_ = nullptr;        ///< the newest
  std::size_t own_used_bytes_ = 0;  ///< of the requests in them
  std::uint64_t last_own_id_ = 0;
  std::size_t own_block_bytes_ = 0;  ///< requests from here on get one
  std::size_t used_before_ = 0;      ///< in the chunks before the current one
  std::size_t used_peak_ = 0;
  std::size_t first_chunk_bytes_ = 0;
  std::size_t next_chunk_bytes_ = 0;
  std::size_t chunk_bytes_max_ = 0;
  std::size_t resets_ = 0;
  std::ptrdiff_t leases_ = 0;
  failure last_failure_ = {};    ///< of the last allocation that returned null
  const void* child_ = nullptr;  ///< the living child arena, which alone may allocate
  std::uint64_t id_ = 0;         ///< different for every arena of the process
  std::uint64_t last_mark_id_ = 0;
  bool watched_ = false;
  bool frozen_ = false;
  char name_[32] = {};
  keep on_reset_;
  block_supply supply_;
  usage_history history_;
};

}  // namespace acre::region
