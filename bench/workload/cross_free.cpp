// Producers allocate batches of small blocks, consumers free them and never allocate: the one-way
// street on which blocks pile up with the wrong thread. Batches travel through a bounded queue,
// which the producers fill before the consumers begin. So the most bytes that are alive are the
// same whichever side is faster, and what the allocator takes beyond them is its own.

#include "batch_queue.hpp"
#include "support.hpp"
#include "workload.hpp"

#include <algorithm>
#include <array>

namespace acre::bench {
namespace {

constexpr std::array parameters{parameter{"pairs", 1, 1}, parameter{"batches", 8000, 20},
                                parameter{"blocks", 4096, 1024}, parameter{"size", 64, 64},
                                parameter{"queue", 32, 4}};

std::uint64_t produce(batch_queues& queues, std::size_t batches, std::size_t size_bytes) {
  for (std::size_t made = 0; made < batches; ++made) {
    block_batch* filling = queues.empty.take();
    for (std::size_t index = 0; index < filling->count; ++index)
      filling->data[index] = make_block(size_bytes, index).data;
    queues.full.put(filling);
  }
  return 0;
}

std::uint64_t consume(batch_queues& queues, std::size_t batches, std::size_t size_bytes) {
  std::uint64_t sum = 0;
  if (batches > 0) queues.full.wait_until_full();
  for (std::size_t taken = 0; taken < batches; ++taken) {
    block_batch* emptying = queues.full.take();
    for (std::size_t index = 0; index < emptying->count; ++index) {
      block each{emptying->data[index], size_bytes};
      sum += drop_block(each);
    }
    queues.empty.put(emptying);
  }
  return sum;
}

std::uint64_t run(const arguments& given) {
  const std::size_t pairs = given["pairs"];
  const std::size_t batches = given["batches"];
  const std::size_t size_bytes = given["size"];
  batch_queues queues{std::clamp<std::size_t>(batches, 1, given["queue"]) * pairs, given["blocks"]};
  const stopwatch clock;
  const std::uint64_t sum = on_threads(pairs * 2, [&](std::size_t index) {
    return index % 2 == 0 ? produce(queues, batches, size_bytes)
                          : consume(queues, batches, size_bytes);
  });
  report("blocks_per_s", static_cast<double>(pairs * batches * given["blocks"]) / clock.seconds());
  return sum;
}

}  // namespace

const workload cross_free{"cross-free", "producers allocate, consumers only free", parameters, run};

}  // namespace acre::bench
