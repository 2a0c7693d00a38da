#pragma once

#include <acre/export.h>
#include <acre/region/supply.hpp>

#include <cstddef>
#include <memory_resource>
#include <string_view>

namespace acre::region {

/// What a stack does when a block is freed that is not the newest.
enum class out_of_order : unsigned char {
  error,  ///< ends the program with a message, in every build
  defer   ///< keeps the memory until the newer blocks are freed too
};

/// What a stack is made with.
struct stack_options {
  source* from = nullptr;             ///< null: `default_source()`; outlives the stack
  std::string_view name = {};         ///< shown in messages; the first 31 bytes are kept
  std::size_t first_block_bytes = 0;  ///< 0: suits the source; each further block is twice as large
  std::size_t budget_bytes = 0;       ///< most it may hold of its source; 0: no limit
  exhaustion when_exhausted = exhaustion::grow();
  out_of_order when_out_of_order = out_of_order::error;
};

/// Counts of one stack.
struct stack_statistics {
  std::size_t live_blocks = 0;
  std::size_t used_bytes = 0;  ///< with heads, padding and deferred blocks
  std::size_t used_bytes_peak = 0;
  std::size_t deferred_blocks = 0;  ///< freed out of order and not yet given back
  std::size_t held_bytes = 0;
};

/// Last-in first-out memory: what was allocated last is freed first, and its memory is used again.
///
///     | head block | head block | head block | free ...
///       ← previous   ← previous   ↑ newest     ↑ cursor
///
/// Each block has a head of 24 bytes, by which an out-of-order release is detected. A growing
/// `std::pmr::vector` frees its old array after it has the new one: out of order; let such a stack
/// defer, or reserve.
///
/// Ownership:      owns its memory; objects in it are not destroyed.
/// Thread-safety:  one thread at a time.
/// Fails:          `allocate` throws `refused`, a `std::bad_alloc`; `try_allocate` returns null.
class ACRE_API stack_resource final : public std::pmr::memory_resource {
  struct chunk;
  struct head;

 public:
  /// Throws `refused` when `when_exhausted` is `fail` and the first block is refused.
  explicit stack_resource(const stack_options& options = {});
  explicit stack_resource(source& from) : stack_resource(stack_options{.from = &from}) {}
  stack_resource(const stack_resource&) = delete;
  stack_resource& operator=(const stack_resource&) = delete;
  ~stack_resource() override;

  /// Requires: `alignment` is a power of two.
  [[nodiscard]] void* allocate(std::size_t size_bytes,
                               std::size_t alignment = alignof(std::max_align_t));
  [[nodiscard]] void* try_allocate(std::size_t size_bytes,
                                   std::size_t alignment = alignof(std::max_align_t)) noexcept;

  /// Requires: `data` came from this stack; it is the newest, unless the stack defers.
  void deallocate(void* data, std::size_t size_bytes = 0,
                  std::size_t alignment = alignof(std::max_align_t)) noexcept;

  /// Whether `data` is the newest block, which may be freed now.
  [[nodiscard]] bool is_newest(const void* data) const noexcept;

  /// Frees every block; keeps the first block of memory.
  void release() noexcept;

  /// Frees at the end of a block of code what was allocated in it. Scopes end in reverse order of
  /// their beginning; otherwise the program ends, in every build.
  class [[nodiscard]] scope {
   public:
    explicit scope(stack_resource& of) noexcept
        : stack_(&of), newest_(of.newest_), depth_(++of.scopes_) {}
    scope(const scope&) = delete;
    scope& operator=(const scope&) = delete;
    ~scope() { stack_->end_scope(newest_, depth_); }

   private:
    stack_resource* stack_;
    head* newest_;
    std::size_t depth_;
  };

  [[nodiscard]] bool owns(const void* address) const noexcept;
  [[nodiscard]] std::string_view name() const noexcept { return name_; }
  [[nodiscard]] std::size_t budget_bytes() const noexcept { return supply_.budget_bytes(); }
  void set_budget_bytes(std::size_t size_bytes) noexcept { supply_.set_budget_bytes(size_bytes); }
  [[nodiscard]] stack_statistics statistics() const noexcept;
  [[nodiscard]] bool check_invariants() const noexcept;

 private:
  void* do_allocate(std::size_t size_bytes, std::size_t alignment) override {
    return stack_resource::allocate(size_bytes, alignment);
  }
  void do_deallocate(void* data, std::size_t size_bytes, std::size_t alignment) override {
    stack_resource::deallocate(data, size_bytes, alignment);
  }
  [[nodiscard]] bool do_is_equal(const memory_resource& other) const noexcept override {
    return this == &other;
  }

  [[nodiscard]] void* push(std::size_t size_bytes, std::size_t alignment) noexcept;
  [[nodiscard]] bool grow(std::size_t size_bytes, std::size_t alignment) noexcept;
  void pop() noexcept;
  void drop_above(chunk* kept) noexcept;
  void end_scope(head* newest, std::size_t depth) noexcept;

  chunk* first_ = nullptr;
  chunk* current_ = nullptr;  ///< at most one chunk follows it, kept for the next growth
  std::byte* cursor_ = nullptr;
  head* newest_ = nullptr;
  std::size_t live_blocks_ = 0;
  std::size_t deferred_blocks_ = 0;
  std::size_t scopes_ = 0;
  std::size_t used_before_ = 0;  ///< in the chunks before the current one
  std::size_t used_peak_ = 0;
  std::size_t next_chunk_bytes_;
  failure last_failure_ = {};
  out_of_order when_out_of_order_;
  bool watched_;
  char name_[32] = {};
  block_supply supply_;
};

}  // namespace acre::region
