#pragma once

#include <acre/export.h>
#include <acre/result.hpp>

#include <atomic>
#include <cstddef>
#include <string_view>

/// Where regions take their memory.
///
/// Every region (arena, pool, stack) stands on a `source`: something that gives out large aligned
/// blocks and takes them back. What kind of memory it is (huge pages, shared, secret, one NUMA
/// node, a caller's buffer, a heap) is a property of the source, so that "arena on huge pages" is a
/// parameter and not a class. A region asks its source a few times in its life, so one virtual call
/// there costs nothing on the region's own fast path.
namespace acre::region {

/// A range of memory that a source gave out.
struct block {
  std::byte* data = nullptr;
  std::size_t size_bytes = 0;
  std::size_t alignment = 1;  ///< as asked for
};

/// What a source really gives, after any fallback it was allowed to make.
struct source_report {
  std::string_view kind = {};       ///< such as "buffer", "mapping", "transparent huge pages"
  std::size_t page_size_bytes = 0;  ///< page size asked of the kernel; 0 when it owns no pages
  int node = -1;                    ///< NUMA node, or -1 when the source binds to none
  bool fell_back = false;           ///< whether any block was less than what was asked for
  failure fallback_reason = {};     ///< why, when it fell back
};

/// Counts of one source since it was made.
struct source_statistics {
  std::size_t held_bytes = 0;  ///< given out and not yet taken back
  std::size_t held_bytes_peak = 0;
  std::size_t held_blocks = 0;
  std::size_t takes = 0;     ///< successful requests
  std::size_t refusals = 0;  ///< requests that failed
};

/// Gives out blocks of memory and takes them back.
///
/// Ownership:      a block belongs to the taker until it is given back, whole and once.
/// Lifetime:       a source outlives every region on it; checked builds end the program otherwise.
/// Thread-safety:  as the derived class says; the counts may be read at any time.
/// Fails:          `take` with ENOMEM, or with what the kernel said; nothing has changed then.
class ACRE_API source {
 public:
  source() = default;
  source(const source&) = delete;
  source& operator=(const source&) = delete;
  virtual ~source();

  /// A block of at least `size_bytes`, rounded up as suits the source; contents are unspecified.
  ///
  /// Fails: EINVAL when the size is 0 or the alignment is not a power of two; ENOMEM.
  [[nodiscard]] result<block> take(std::size_t size_bytes, std::size_t alignment) noexcept;

  /// Requires: `taken` came from `take` of this source, unchanged, and is not used any more.
  void give_back(block taken) noexcept;

  /// The size that blocks are best a multiple of, such as a page; at least 1.
  [[nodiscard]] virtual std::size_t granularity() const noexcept = 0;
  [[nodiscard]] virtual source_report report() const noexcept = 0;
  [[nodiscard]] source_statistics statistics() const noexcept;

 private:
  /// Called with a size above 0 and a power of two.
  [[nodiscard]] virtual result<block> do_take(std::size_t size_bytes,
                                              std::size_t alignment) noexcept = 0;
  virtual void do_give_back(block taken) noexcept = 0;

  // Written by every taker, read by statistics(); plain counts, so no ordering is needed.
  std::atomic<std::size_t> held_bytes_{0};
  std::atomic<std::size_t> held_bytes_peak_{0};
  std::atomic<std::size_t> held_blocks_{0};
  std::atomic<std::size_t> takes_{0};
  std::atomic<std::size_t> refusals_{0};
};

/// The source of regions that name none: the program's `operator new`. Any thread may use it.
[[nodiscard]] ACRE_API source& default_source() noexcept;

}  // namespace acre::region
