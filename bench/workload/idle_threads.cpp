// A thousand threads that each needed memory once and now wait: what do they still hold? Prints the
// resident set before they allocated (their stacks and the allocator's start) and after a pause.

#include "support.hpp"
#include "workload.hpp"

#include <array>
#include <barrier>
#include <chrono>
#include <mutex>
#include <thread>
#include <vector>

namespace acre::bench {
namespace {

constexpr std::array parameters{parameter{"threads", 1000, 20}, parameter{"kb", 1024, 64},
                                parameter{"size", 1048576, 4096}, parameter{"pause_ms", 2000, 10}};

std::uint64_t need_once(std::size_t total_bytes, std::size_t size_bytes) {
  std::vector<block> blocks;
  std::uint64_t sum = 0;
  for (std::size_t made = 0; made < total_bytes; made += size_bytes)
    blocks.push_back(make_block(size_bytes, made));
  for (block& each : blocks)
    sum += drop_block(each);
  return sum;
}

std::uint64_t run(const arguments& given) {
  const std::size_t threads = given["threads"];
  std::barrier gate{static_cast<std::ptrdiff_t>(threads) + 1};
  std::mutex one_at_a_time;
  std::uint64_t sum = 0;
  std::vector<std::thread> all;
  all.reserve(threads);
  for (std::size_t index = 0; index < threads; ++index) {
    all.emplace_back([&] {
      gate.arrive_and_wait();  // all live, none has allocated
      gate.arrive_and_wait();
      {
        const std::scoped_lock hold{one_at_a_time};
        sum += need_once(given["kb"] << 10U, given["size"]);
      }
      gate.arrive_and_wait();  // all have freed
      gate.arrive_and_wait();
    });
  }
  gate.arrive_and_wait();
  const long before_kib = resident_kib();
  gate.arrive_and_wait();
  gate.arrive_and_wait();
  const long freed_kib = resident_kib();
  std::this_thread::sleep_for(std::chrono::milliseconds{given["pause_ms"]});
  const long after_kib = resident_kib();
  gate.arrive_and_wait();
  for (std::thread& each : all)
    each.join();
  report("rss_before_kib", static_cast<double>(before_kib));
  report("rss_freed_kib", static_cast<double>(freed_kib));
  report("rss_after_kib", static_cast<double>(after_kib));
  report("kib_per_thread",
         static_cast<double>(after_kib - before_kib) / static_cast<double>(threads));
  return sum;
}

}  // namespace

const workload idle_threads{"idle-threads", "what a thousand waiting threads still hold",
                            parameters, run};

}  // namespace acre::bench
