#include "tool/machine_chase.hpp"

#include "tool/machine_clock.hpp"

#include <cstdint>
#include <numeric>
#include <utility>
#include <vector>

namespace acre::tool {
namespace {

/// Marsaglia's xorshift; the order needs no better one, and must be the same in each run.
class random_numbers {
 public:
  /// Below `limit`, which is below 2^32.
  std::size_t below(std::size_t limit) noexcept {
    state_ ^= state_ << 13;
    state_ ^= state_ >> 7;
    state_ ^= state_ << 17;
    return static_cast<std::size_t>((state_ >> 32) * limit >> 32);
  }

 private:
  std::uint64_t state_ = 0x9e37'79b9'7f4a'7c15;
};

/// The successor of each place, all in one cycle.
std::vector<std::uint32_t> random_cycle(std::size_t places) {
  std::vector<std::uint32_t> next(places);
  std::iota(next.begin(), next.end(), 0U);
  random_numbers numbers;
  for (std::size_t last = places - 1; last > 0; --last)
    std::swap(next[last], next[numbers.below(last)]);
  return next;
}

constexpr std::size_t steps_unrolled = 16;

const void* follow(const void* at, std::size_t steps) noexcept {
  for (std::size_t step = 0; step < steps; step += steps_unrolled)
    for (std::size_t unrolled = 0; unrolled < steps_unrolled; ++unrolled)
      at = *static_cast<const void* const*>(at);
  return at;
}

}  // namespace

chase::chase(std::span<std::byte> memory, std::size_t set_bytes, chase_pattern pattern)
    : places_(set_bytes / pattern.stride_bytes) {
  const auto lines_each = pattern.stride_bytes / pattern.line_bytes;
  const auto place = [&](std::size_t index) -> const void** {
    // A multiplier without factors in common with the count of lines visits all of them.
    const auto line = index * 13 % lines_each;
    return reinterpret_cast<const void**>(memory.data() + index * pattern.stride_bytes +
                                          line * pattern.line_bytes);
  };
  const auto next = random_cycle(places_);
  for (std::size_t index = 0; index < places_; ++index)
    *place(index) = static_cast<const void*>(place(next[index]));
  at_ = static_cast<const void*>(place(0));
}

double chase::walk(std::size_t steps) noexcept {
  const auto rounded = (steps + steps_unrolled - 1) / steps_unrolled * steps_unrolled;
  const double start = now_ns();
  at_ = follow(at_, rounded);
  keep(at_);
  return (now_ns() - start) / static_cast<double>(rounded);
}

}  // namespace acre::tool
