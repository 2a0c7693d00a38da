// Threads in a ring: each allocates a batch, hands it to the next, and frees the batch it was
// handed. Unlike in `cross-free` every thread both allocates and frees, so a good allocator moves
// the blocks back and the memory in use stays flat.

#include "batch_queue.hpp"
#include "support.hpp"
#include "workload.hpp"

#include <array>
#include <memory>
#include <vector>

namespace acre::bench {
namespace {

constexpr std::array parameters{parameter{"threads", 2, 2},      parameter{"batches", 4000, 20},
                                parameter{"blocks", 4096, 1024}, parameter{"min", 64, 64},
                                parameter{"max", 64, 64},        parameter{"queue", 4, 4}};

std::uint64_t pass_on(batch_queues& from, batch_queues& to, const arguments& given,
                      random_source random) {
  const std::size_t size_min = given["min"];
  const std::size_t size_max = given["max"];
  std::uint64_t sum = 0;
  for (std::size_t round = 0; round < given["batches"]; ++round) {
    block_batch* filling = to.empty.take();
    for (std::size_t index = 0; index < filling->count; ++index)
      filling->data[index] = make_block(random.between(size_min, size_max), index).data;
    to.full.put(filling);
    block_batch* emptying = from.full.take();
    for (std::size_t index = 0; index < emptying->count; ++index) {
      sum += emptying->data[index][0];
      std::free(emptying->data[index]);
    }
    from.empty.put(emptying);
  }
  return sum;
}

std::uint64_t run(const arguments& given) {
  const std::size_t threads = given["threads"];
  std::vector<std::unique_ptr<batch_queues>> links;
  links.reserve(threads);
  for (std::size_t index = 0; index < threads; ++index)
    links.push_back(std::make_unique<batch_queues>(given["queue"], given["blocks"]));
  const stopwatch clock;
  const std::uint64_t sum = on_threads(threads, [&](std::size_t index) {
    return pass_on(*links[index], *links[(index + 1) % threads], given, random_source{index + 1});
  });
  report("blocks_per_s",
         static_cast<double>(threads * given["batches"] * given["blocks"]) / clock.seconds());
  return sum;
}

}  // namespace

const workload ring_free{"ring-free", "each thread frees what its neighbour made", parameters, run};

}  // namespace acre::bench
