// A server's life: each thread replaces random blocks of its table, then hands the table to a new
// thread and ends, as a server hands a session on. Blocks are so freed by other threads than the
// ones that made them, and the makers are gone by then. After Larson and Krishnan, "Memory
// Allocation for Long-Running Server Applications" (ISMM 1998).

#include "support.hpp"
#include "workload.hpp"

#include <array>
#include <cstddef>
#include <latch>
#include <memory>
#include <thread>
#include <vector>

namespace acre::bench {
namespace {

constexpr std::array parameters{parameter{"threads", 2, 2},       parameter{"generations", 10, 3},
                                parameter{"steps", 800000, 5000}, parameter{"slots", 5000, 500},
                                parameter{"min", 8, 8},           parameter{"max", 1000, 1000}};

/// Written at every step: whether two of them share a cache line, or a pair that is fetched
/// together, must not depend on where the allocator happens to put them. cache_sharing.cpp measures
/// that.
struct session {
  std::array<std::byte, 128> apart_before{};
  std::vector<block> slots;
  random_source random;
  std::size_t generations_left;
  std::uint64_t sum = 0;
  std::array<std::byte, 128> apart_after{};
};

struct shape {
  std::size_t steps, size_min, size_max;
  std::latch* done;
};

void serve(session* mine, const shape* work) {
  for (std::size_t step = 0; step < work->steps; ++step) {
    block& slot = mine->slots[mine->random.below(mine->slots.size())];
    mine->sum += drop_block(slot);
    slot = make_block(mine->random.between(work->size_min, work->size_max), step);
  }
  if (--mine->generations_left == 0) {
    for (block& slot : mine->slots)
      mine->sum += drop_block(slot);
    work->done->count_down();
    return;
  }
  std::thread{serve, mine, work}.detach();
}

std::uint64_t run(const arguments& given) {
  const std::size_t threads = given["threads"];
  std::latch done{static_cast<std::ptrdiff_t>(threads)};
  const shape work{given["steps"], given["min"], given["max"], &done};
  std::vector<std::unique_ptr<session>> sessions;
  sessions.reserve(threads);
  for (std::size_t index = 0; index < threads; ++index) {
    sessions.push_back(
        std::make_unique<session>(session{.slots = std::vector<block>(given["slots"]),
                                          .random = random_source{index + 1},
                                          .generations_left = given["generations"]}));
  }
  for (auto& each : sessions)
    std::thread{serve, each.get(), &work}.detach();
  done.wait();
  std::uint64_t sum = 0;
  for (auto& each : sessions)
    sum += each->sum;
  return sum;
}

}  // namespace

const workload larson{"larson", "server sessions handed from thread to thread", parameters, run};

}  // namespace acre::bench
