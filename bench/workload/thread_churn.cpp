// Short threads by the thousand: each frees what earlier ones left, allocates a little, frees half,
// leaves the rest to its successors and ends. Programs with a thread a request look like this.

#include "support.hpp"
#include "workload.hpp"

#include <array>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

namespace acre::bench {
namespace {

constexpr std::array parameters{parameter{"lanes", 2, 2}, parameter{"threads", 2000, 50},
                                parameter{"blocks", 1000, 100}, parameter{"max", 1024, 1024}};

using bundle = std::vector<block>;

/// What the threads that ended left for those to come: a place each for the last few bundles.
class inheritance {
 public:
  /// Leaves `mine` and takes what was left longest ago.
  bundle swap(bundle mine) {
    const std::scoped_lock hold{lock_};
    std::swap(places_[next_], mine);
    next_ = (next_ + 1) % places_.size();
    return mine;
  }
  std::uint64_t drop() {
    std::uint64_t sum = 0;
    for (bundle& left : places_)
      for (block& each : left)
        sum += drop_block(each);
    return sum;
  }

 private:
  std::mutex lock_;
  std::array<bundle, 16> places_;
  std::size_t next_ = 0;
};

std::uint64_t live_shortly(inheritance& left, std::size_t blocks, std::size_t size_max,
                           random_source random) {
  std::uint64_t sum = 0;
  bundle mine;
  for (std::size_t index = 0; index < blocks; ++index)
    mine.push_back(make_block(random.skewed(16, size_max), index));
  for (std::size_t index = 0; index < blocks; index += 2)
    sum += drop_block(mine[index]);
  for (block& each : left.swap(std::move(mine)))
    sum += drop_block(each);
  return sum;
}

std::uint64_t run(const arguments& given) {
  inheritance left;
  const std::size_t blocks = given["blocks"];
  const std::size_t size_max = given["max"];
  std::uint64_t sum = on_threads(given["lanes"], [&](std::size_t lane) {
    std::uint64_t lane_sum = 0;
    for (std::size_t index = 0; index < given["threads"]; ++index) {
      const random_source random{index * 64 + lane + 1};
      std::uint64_t one = 0;
      std::thread{[&, random] { one = live_shortly(left, blocks, size_max, random); }}.join();
      lane_sum += one;
    }
    return lane_sum;
  });
  return sum + left.drop();
}

}  // namespace

const workload thread_churn{"thread-churn", "thousands of short threads that leave blocks behind",
                            parameters, run};

}  // namespace acre::bench
