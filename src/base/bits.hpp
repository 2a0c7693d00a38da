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

/// As std::has_single_bit, which is a call on processors of which only the least is assumed.
[[nodiscard]] constexpr bool is_power_of_two(std::size_t value) noexcept {
  return value != 0 && (value & (value - 1)) == 0;
}

/// Index of the highest set bit. Requires: `value` is not 0.
[[nodiscard]] constexpr unsigned log2_floor(std::uint64_t value) noexcept {
  return 63U - static_cast<unsigned>(std::countl_zero(value | 1U));
}

}  // namespace acre::base
