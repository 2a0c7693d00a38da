#pragma once

#include <acre/export.h>

#include <cstddef>
#include <memory_resource>
#include <string_view>

namespace acre {

/// What a heap is made with.
struct heap_options {
  std::string_view name = {};  ///< shown in statistics; the first 31 bytes are kept
  /// Most bytes of pages the heap may hold, rounded up to whole pages of 4 KiB; 0 is no limit.
  std::size_t limit_bytes = 0;
};

/// Counts of one heap; bytes are after rounding to size classes and pages.
struct heap_statistics {
  std::size_t allocations = 0;
  std::size_t live_blocks = 0;
  std::size_t live_bytes = 0;
  std::size_t committed_bytes = 0;  ///< pages the heap holds now, at most the limit
};

/// A heap of its own: a memory resource that can be limited, named and destroyed whole.
///
/// Ownership:      owns every block it gave out; the destructor frees them all in time that grows
///                 with the pages held, and runs no destructors of the objects in them. A block
///                 may also go to `acre_free`, and to `free` where Acre is the program's malloc.
/// Thread-safety:  any thread may call any member at any time, but for the destructor and
///                 `release`, during which no other thread may use the heap.
/// Fails:          the constructor and `allocate` throw `std::bad_alloc`; `try_allocate` returns
///                 null.
class ACRE_API heap final : public std::pmr::memory_resource {
 public:
  explicit heap(const heap_options& options = {});
  heap(const heap&) = delete;
  heap& operator=(const heap&) = delete;
  ~heap() override;

  /// Null instead of an exception when memory or the limit runs out.
  /// Requires: `alignment` is a power of two.
  [[nodiscard]] void* try_allocate(std::size_t size_bytes,
                                   std::size_t alignment = alignof(std::max_align_t)) noexcept;

  /// Frees every block and gives the pages back; the heap can be used again.
  /// Requires: no other thread uses the heap during the call.
  void release() noexcept;

  /// Whether `block` lies in a page of this heap; safe for any address.
  [[nodiscard]] bool owns(const void* block) const noexcept;

  [[nodiscard]] std::string_view name() const noexcept;
  [[nodiscard]] heap_statistics statistics() const noexcept;

 private:
  void* do_allocate(std::size_t size_bytes, std::size_t alignment) override;
  void do_deallocate(void* block, std::size_t size_bytes, std::size_t alignment) override;
  [[nodiscard]] bool do_is_equal(const memory_resource& other) const noexcept override {
    return this == &other;
  }

  void* state_;  ///< heaps::heap_body; lives in the allocator's own pages
};

}  // namespace acre
