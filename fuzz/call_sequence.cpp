/// Fuzz target: any bytes are a sequence of calls, checked against the model of what is held.
///
/// Four bytes are a step: what to do, to which block, and a size whose magnitude and value are
/// apart, so that a mutation of one bit moves to a neighbouring size or to another magnitude.
#include "support/heap_model.hpp"
#include "support/invariants.hpp"

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <span>

namespace {

using acre_test::heap_model;

/// Above this much held, steps only free: the target looks for mistakes, not for exhaustion.
constexpr std::size_t held_bytes_max = 64U << 20U;
constexpr unsigned size_bits_max = 22;

struct step {
  std::uint8_t action;
  std::uint8_t which;
  std::uint8_t magnitude;
  std::uint8_t fraction;

  /// From 0 to 2 to the power of `size_bits_max`; the magnitude's upper bits choose an alignment.
  [[nodiscard]] std::size_t size_bytes() const {
    const unsigned bits = magnitude % (size_bits_max + 1);
    const std::size_t base = std::size_t{1} << bits;
    return base + ((base * fraction) >> 8U) - (fraction % 3);
  }
  [[nodiscard]] std::size_t alignment() const { return std::size_t{1} << (fraction % 17U); }
};

void take(heap_model& model, const step& next) {
  const bool is_full = model.held_bytes() > held_bytes_max;
  const std::size_t count = model.count();
  const std::size_t index = count == 0 ? 0 : next.which % count;
  switch (next.action % 8) {
    case 0:
    case 1:
    case 2: {
      const auto ways = static_cast<unsigned>(heap_model::way::count);
      const auto way = static_cast<heap_model::way>(next.which % ways);
      if (!is_full) model.allocate(way, next.size_bytes(), next.alignment());
      break;
    }
    case 3:
      if (count != 0 && !is_full) model.resize(index, next.size_bytes());
      break;
    case 4:
    case 5:
      if (count != 0) model.free(index);
      break;
    case 6:
      // A run of one size, as loops in programs make them; where freeing starts varies.
      for (unsigned repeat = 0; repeat < 40 && !is_full && next.size_bytes() < 70'000; ++repeat) {
        model.allocate(heap_model::way::malloc, next.size_bytes(), 1);
      }
      break;
    default:
      for (unsigned repeat = 0; repeat < 40 && model.count() != 0; ++repeat) {
        model.free((index + repeat * next.fraction) % model.count());
      }
      if (next.magnitude % 16 == 0) family::malloc_trim(0);
      break;
  }
}

void require_invariants() {
  if (acre_test::invariants_hold()) return;
  std::fputs("the heap's invariants do not hold\n", stderr);
  std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  {
    heap_model model;
    for (std::span rest(data, size); rest.size() >= 4; rest = rest.subspan(4)) {
      take(model, {rest[0], rest[1], rest[2], rest[3]});
    }
    model.look_at_all();
    require_invariants();
  }
  require_invariants();
  return 0;
}
