#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>

namespace acre::base {

/// Rounds up to a multiple of `alignment`, a power of two. Requires: the result fits.
[[nodiscard]] constexpr std::size_t align_up(std::size_t value, std::size_t alignment) noexcept {
  return (value + alignment - 1) & ~(alignment - 1);
}

[[nodiscard]] constexpr std::size_t align_down(std::size_t value, std::size_t alignment) noexcept {
  return value & ~(alignment - 1);
}

[[nodiscard]] constexpr std::size_t divide_up(std::size_t value, std::size_t divisor) noexcept {
  return (value + divisor - 1) / divisor;
}

/// Index of the highest set bit. Requires: `value` is not 0.
[[nodiscard]] constexpr unsigned log2_floor(std::uint64_t value) noexcept {
  return 63U - static_cast<unsigned>(std::countl_zero(value | 1U));
}

}  // namespace acre::base
