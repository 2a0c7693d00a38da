// calloc as programs use it: tables and records that must be zero, read in full, written in part.
// The checksum would betray a block that is not zero.

#include "support.hpp"
#include "workload.hpp"

#include <array>

namespace acre::bench {
namespace {

constexpr std::array parameters{parameter{"threads", 1, 2}, parameter{"slots", 3000, 200},
                                parameter{"steps", 4000000, 10000}, parameter{"min", 16, 16},
                                parameter{"max", 8192, 8192}};

block make_zeroed(std::size_t size_bytes) {
  void* data = std::calloc(size_bytes / 8, 8);
  if (data == nullptr) die("calloc returned null");
  keep(data);
  return {static_cast<std::uint8_t*>(data), size_bytes / 8 * 8};
}

std::uint64_t scan(const block& whole) {
  std::uint64_t sum = 0;
  for (std::size_t at = 0; at < whole.size_bytes; at += 64)
    sum += whole.data[at];
  return sum;
}

std::uint64_t work(const arguments& given, random_source random) {
  off_heap_table<block> slots{given["slots"]};
  const std::size_t size_min = given["min"];
  const std::size_t size_max = given["max"];
  std::uint64_t sum = 0;
  for (std::size_t step = given["steps"]; step != 0; --step) {
    block& slot = slots[random.below(slots.size())];
    sum += drop_block(slot);
    slot = make_zeroed(random.skewed(size_min, size_max));
    sum += 7 * scan(slot);
    touch(slot.data, slot.size_bytes, static_cast<std::uint8_t>(step | 1U));
  }
  for (block& slot : slots)
    sum += drop_block(slot);
  return sum;
}

std::uint64_t run(const arguments& given) {
  return on_threads(given["threads"],
                    [&](std::size_t index) { return work(given, random_source{index + 1}); });
}

}  // namespace

const workload zeroed{"zeroed", "calloc of tables and records", parameters, run};

}  // namespace acre::bench
