// Aligned blocks of every alignment from 16 bytes to a page, among plain ones.

#include "support.hpp"
#include "workload.hpp"

#include <array>

namespace acre::bench {
namespace {

constexpr std::array parameters{parameter{"threads", 1, 2}, parameter{"slots", 5000, 500},
                                parameter{"steps", 5000000, 20000}, parameter{"max", 2048, 2048}};

block make_aligned(std::size_t alignment, std::size_t size_bytes, std::uint64_t tag) {
  void* data = nullptr;
  if (::posix_memalign(&data, alignment, size_bytes) != 0) die("posix_memalign failed");
  if (reinterpret_cast<std::uintptr_t>(data) % alignment != 0) die("a block is not aligned");
  touch(data, size_bytes, static_cast<std::uint8_t>(tag));
  return {static_cast<std::uint8_t*>(data), size_bytes};
}

std::uint64_t work(const arguments& given, random_source random) {
  off_heap_table<block> slots{given["slots"]};
  const std::size_t size_max = given["max"];
  std::uint64_t sum = 0;
  for (std::size_t step = given["steps"]; step != 0; --step) {
    block& slot = slots[random.below(slots.size())];
    sum += drop_block(slot);
    const std::size_t size_bytes = random.skewed(16, size_max);
    const std::size_t kind = random.below(12);  // 0 to 8: alignments 16 to 4096
    slot = kind > 8 ? make_block(size_bytes, step)
                    : make_aligned(std::size_t{16} << kind, size_bytes, step);
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

const workload aligned{"aligned", "aligned blocks among plain ones", parameters, run};

}  // namespace acre::bench
