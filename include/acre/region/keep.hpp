#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace acre::region {

/// What a region keeps of its memory when it is reset: a value.
class keep {
 public:
  enum class policy : unsigned char { all, nothing, up_to, recent };

  /// Every block, for regions whose uses are alike.
  [[nodiscard]] static constexpr keep all() noexcept { return {}; }

  /// None; all blocks go back to the source.
  [[nodiscard]] static constexpr keep nothing() noexcept { return keep(policy::nothing, 0, 0, 0); }

  /// Blocks of at most `size_bytes` together.
  [[nodiscard]] static constexpr keep up_to(std::size_t size_bytes) noexcept {
    return keep(policy::up_to, size_bytes, 0, 0);
  }

  /// What `percent` of the last `uses` uses needed, so that one huge use does not stay for ever and
  /// a usual one finds its memory. Uses older than that are forgotten.
  ///
  /// Units: a percentage from 1 to 100; a count from 1 to 64. Values outside are moved inside.
  [[nodiscard]] static constexpr keep recent(unsigned percent = 90, unsigned uses = 32) noexcept {
    return keep(policy::recent, 0, percent < 1 ? 1 : (percent > 100 ? 100 : percent),
                uses < 1 ? 1 : (uses > 64 ? 64 : uses));
  }

  [[nodiscard]] constexpr policy how() const noexcept { return policy_; }
  [[nodiscard]] constexpr std::size_t limit_bytes() const noexcept { return limit_bytes_; }
  [[nodiscard]] constexpr unsigned percent() const noexcept { return percent_; }
  [[nodiscard]] constexpr unsigned uses() const noexcept { return uses_; }

 private:
  constexpr keep() = default;
  constexpr keep(policy how, std::size_t limit_bytes, unsigned percent, unsigned uses) noexcept
      : limit_bytes_(limit_bytes), percent_(percent), uses_(uses), policy_(how) {}

  std::size_t limit_bytes_ = 0;
  unsigned percent_ = 0;
  unsigned uses_ = 0;
  policy policy_ = policy::all;
};

/// How much the last uses of a region needed; kept in KiB, so 4 TiB is the most it can tell.
class usage_history {
 public:
  static constexpr std::size_t capacity = 64;

  void record(std::size_t used_bytes) noexcept;

  /// The smallest amount that covers `percent` of the last `uses` records; 0 without records.
  [[nodiscard]] std::size_t percentile_bytes(unsigned percent, unsigned uses) const noexcept;

 private:
  std::array<std::uint32_t, capacity> used_kib_{};
  std::size_t count_ = 0;  ///< records ever made; the newest is at (count_ - 1) % capacity
};

}  // namespace acre::region
