#pragma once

#include <acre/region/source.hpp>

#include <span>

namespace acre::region {

/// A source over memory that the caller already has; touches no heap and makes no system call.
///
/// Blocks are carved first-fit from a list of free ranges that lives inside the buffer, in order of
/// address, and neighbours are joined when they come back.
///
/// Lifetime:       the buffer outlives the source.
/// Thread-safety:  one thread at a time.
/// Fails:          ENOMEM when no free range is long enough.
class ACRE_API buffer_source final : public source {
 public:
  explicit buffer_source(std::span<std::byte> buffer) noexcept;

  [[nodiscard]] std::size_t granularity() const noexcept override { return unit_bytes; }
  [[nodiscard]] source_report report() const noexcept override { return {.kind = "buffer"}; }

  /// The longest block that `take` could give now, at an alignment of at most 16 bytes.
  [[nodiscard]] std::size_t largest_free_bytes() const noexcept;
  [[nodiscard]] bool check_invariants() const noexcept;

 private:
  struct free_range {
    free_range* next;
    std::size_t size_bytes;
  };
  static constexpr std::size_t unit_bytes = sizeof(free_range);

  [[nodiscard]] result<block> do_take(std::size_t size_bytes,
                                      std::size_t alignment) noexcept override;
  void do_give_back(block taken) noexcept override;

  std::byte* begin_ = nullptr;
  std::byte* end_ = nullptr;
  free_range* first_ = nullptr;
};

}  // namespace acre::region
