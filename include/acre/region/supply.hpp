#pragma once

#include <acre/export.h>
#include <acre/region/source.hpp>

#include <cstddef>
#include <memory_resource>

namespace acre::region {

/// What a region lacked when it asked its `exhaustion` callback for help.
struct shortage {
  std::size_t size_bytes = 0;  ///< of the block of memory the region tried to get
  std::size_t alignment = 0;
  failure why = {};  ///< ENOMEM with "budget" as the call when the budget is used up
};

/// What a region does when its memory is used up: a value that is passed to the region's options.
///
/// Thread-safety:  a value; may be copied freely.
class exhaustion {
 public:
  /// May make room, for instance by `set_budget_bytes` or by dropping a cache; true: try again.
  using callback = bool (*)(void* context, const shortage& lack) noexcept;

  /// Takes further blocks from the source; fails when the source or the budget ends.
  [[nodiscard]] static constexpr exhaustion grow() noexcept { return {}; }

  /// Fails when the memory taken at construction is used up.
  [[nodiscard]] static constexpr exhaustion fail() noexcept {
    exhaustion made;
    made.grows_ = false;
    return made;
  }

  /// Grows; then takes blocks from `resource`, which outlives the region. These are not counted
  /// against the budget.
  [[nodiscard]] static constexpr exhaustion upstream(std::pmr::memory_resource& resource) noexcept {
    exhaustion made;
    made.upstream_ = &resource;
    return made;
  }

  /// Grows; then asks `function` each time, and fails when it returns false.
  [[nodiscard]] static constexpr exhaustion call(callback function, void* context) noexcept {
    exhaustion made;
    made.callback_ = function;
    made.context_ = context;
    return made;
  }

  [[nodiscard]] constexpr bool grows() const noexcept { return grows_; }
  [[nodiscard]] constexpr std::pmr::memory_resource* upstream_resource() const noexcept {
    return upstream_;
  }
  [[nodiscard]] bool ask(const shortage& lack) const noexcept {
    return callback_ != nullptr && callback_(context_, lack);
  }

 private:
  constexpr exhaustion() = default;

  std::pmr::memory_resource* upstream_ = nullptr;
  callback callback_ = nullptr;
  void* context_ = nullptr;
  bool grows_ = true;
};

/// A block, and which of the supply's two givers it came from.
struct supplied_block {
  block memory = {};
  bool from_upstream = false;
};

/// The blocks of one region: its source, within a budget, and what to do when that ends.
///
/// Thread-safety:  one thread at a time.
class ACRE_API block_supply {
 public:
  /// `from` null is `default_source()`; a budget of 0 is none.
  block_supply(source* from, std::size_t budget_bytes, exhaustion when_exhausted) noexcept;

  /// A block of `wanted_bytes`, or of half of that and so on down to `needed_bytes`, as far as the
  /// budget and the source allow.
  ///
  /// Fails: as the source does, or ENOMEM at "budget" or "exhaustion::fail".
  [[nodiscard]] result<supplied_block> take(std::size_t needed_bytes, std::size_t wanted_bytes,
                                            std::size_t alignment) noexcept;
  void give_back(const supplied_block& taken) noexcept;

  /// Ends the time in which a supply that does not grow may take blocks.
  void finish_construction() noexcept { constructed_ = true; }

  [[nodiscard]] bool grows() const noexcept { return when_exhausted_.grows(); }
  [[nodiscard]] source& from() const noexcept { return *source_; }
  [[nodiscard]] std::size_t budget_bytes() const noexcept { return budget_bytes_; }
  void set_budget_bytes(std::size_t budget_bytes) noexcept { budget_bytes_ = budget_bytes; }

  /// From source and upstream together.
  [[nodiscard]] std::size_t held_bytes() const noexcept { return held_bytes_ + upstream_bytes_; }
  [[nodiscard]] std::size_t held_bytes_peak() const noexcept { return held_bytes_peak_; }

 private:
  [[nodiscard]] result<block> take_most(std::size_t needed_bytes, std::size_t wanted_bytes,
                                        std::size_t alignment) noexcept;
  [[nodiscard]] result<block> take_from_source(std::size_t size_bytes,
                                               std::size_t alignment) noexcept;
  [[nodiscard]] result<block> take_from_upstream(std::size_t size_bytes,
                                                 std::size_t alignment) noexcept;
  [[nodiscard]] supplied_block counted(block taken, bool from_upstream) noexcept;

  source* source_;
  exhaustion when_exhausted_;
  std::size_t budget_bytes_;
  std::size_t held_bytes_ = 0;
  std::size_t upstream_bytes_ = 0;
  std::size_t held_bytes_peak_ = 0;
  bool constructed_ = false;
};

}  // namespace acre::region
