// Large blocks, each touched once a page and dropped soon: images, matrices, network buffers. An
// allocator that gives every one back to the kernel pays for all its pages again.

#include "support.hpp"
#include "workload.hpp"

#include <array>

namespace acre::bench {
namespace {

constexpr std::array parameters{parameter{"live", 8, 2}, parameter{"steps", 300, 10},
                                parameter{"min_kb", 1024, 1024}, parameter{"max_kb", 32768, 4096}};

std::uint64_t fill_pages(const block& large, std::uint64_t tag) {
  for (std::size_t at = 0; at < large.size_bytes; at += 4096)
    large.data[at] = static_cast<std::uint8_t>(tag);
  return large.data[large.size_bytes / 8192 * 4096];
}

std::uint64_t run(const arguments& given) {
  off_heap_table<block> slots{given["live"]};
  random_source random{17};
  std::uint64_t sum = 0;
  for (std::size_t step = given["steps"]; step != 0; --step) {
    block& slot = slots[step % slots.size()];
    std::free(slot.data);
    slot.size_bytes = random.between(given["min_kb"] << 10U, given["max_kb"] << 10U);
    slot.data = static_cast<std::uint8_t*>(std::malloc(slot.size_bytes));
    if (slot.data == nullptr) die("malloc returned null");
    sum += fill_pages(slot, step);
    keep(slot.data);
  }
  for (block& slot : slots)
    std::free(slot.data);
  return sum;
}

}  // namespace

const workload large{"large", "blocks of 1 to 32 MB, touched and dropped", parameters, run};

}  // namespace acre::bench
