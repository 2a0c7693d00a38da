#pragma once

#include <cstddef>
#include <span>

namespace acre::tool {

/// Which places a walk visits.
struct chase_pattern {
  std::size_t stride_bytes = 64;  ///< distance of the places; one line of cache, or one page
  std::size_t line_bytes = 64;
};

/// A walk through memory in which each load gives the address of the next one, so that nothing can
/// begin before it has ended: the time of a step is the latency.
///
/// The places are one cycle in random order (Sattolo's algorithm), which no prefetcher can foresee.
/// Where they are pages, each has one line in another place of its page, so that the lines spread
/// over all sets of the caches: then the pages outgrow the TLB long before the lines outgrow a
/// cache.
class chase {
 public:
  /// Writes the cycle through the first `set_bytes` of `memory`.
  ///
  /// Requires:  `set_bytes` is at most the size of `memory` and at least two strides.
  chase(std::span<std::byte> memory, std::size_t set_bytes, chase_pattern pattern);

  [[nodiscard]] std::size_t places() const noexcept { return places_; }

  /// Goes on from where the last walk ended.
  ///
  /// Returns:  nanoseconds per step.
  double walk(std::size_t steps) noexcept;

 private:
  const void* at_ = nullptr;
  std::size_t places_ = 0;
};

}  // namespace acre::tool
