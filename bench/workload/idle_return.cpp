// Does memory come back by itself? Threads fill and free, then everyone sleeps and no allocator
// function is called: only an allocator that acts without being asked gives the pages back. With
// `trim=1` the program asks by malloc_trim(0) instead of sleeping.

#include "support.hpp"
#include "workload.hpp"

#include <array>
#include <barrier>
#include <chrono>
#include <thread>
#include <vector>

#include <malloc.h>

namespace acre::bench {
namespace {

constexpr std::array parameters{parameter{"threads", 4, 2},      parameter{"mb", 80, 2},
                                parameter{"min", 16, 16},        parameter{"max", 2047, 2047},
                                parameter{"pause_ms", 1500, 10}, parameter{"trim", 0, 0}};

void pause(std::size_t ms) {
  std::this_thread::sleep_for(std::chrono::milliseconds{ms});
}

std::size_t fill(off_heap_table<block>& blocks, std::size_t total_bytes, const arguments& given,
                 random_source random) {
  std::size_t count = 0;
  const std::size_t size_min = given["min"];
  const std::size_t size_max = given["max"];
  for (std::size_t made = 0; made < total_bytes; made += blocks[count++].size_bytes)
    blocks[count] = make_block(random.between(size_min, size_max), count);
  return count;
}

std::uint64_t run(const arguments& given) {
  const std::size_t threads = given["threads"];
  const std::size_t total_bytes = given["mb"] << 20U;
  const std::size_t pause_ms = given["pause_ms"];
  std::barrier gate{static_cast<std::ptrdiff_t>(threads) + 1};
  std::vector<std::uint64_t> sums(threads);
  std::vector<std::thread> all;
  all.reserve(threads);
  const long start_kib = resident_kib();
  for (std::size_t index = 0; index < threads; ++index) {
    all.emplace_back([&, index] {
      {
        off_heap_table<block> blocks{total_bytes / given["min"] + 1};
        const std::size_t count = fill(blocks, total_bytes, given, random_source{index + 1});
        gate.arrive_and_wait();  // at the peak
        gate.arrive_and_wait();
        for (std::size_t each = 0; each < count; ++each)
          sums[index] += drop_block(blocks[each]);
      }  // the table's own pages are gone when "freed" is read
      gate.arrive_and_wait();
      gate.arrive_and_wait();
    });
  }
  gate.arrive_and_wait();
  const long peak_kib = resident_kib();
  gate.arrive_and_wait();
  gate.arrive_and_wait();
  const long freed_kib = resident_kib();
  if (given["trim"] != 0) {
    malloc_trim(0);
  } else {
    pause(pause_ms);
  }
  const long idle_kib = resident_kib();
  gate.arrive_and_wait();
  for (std::thread& each : all)
    each.join();
  const long gone_kib = resident_kib();
  pause(pause_ms);
  const long gone_later_kib = resident_kib();
  malloc_trim(0);
  const long trimmed_kib = resident_kib();
  report("rss_start_kib", static_cast<double>(start_kib));
  report("rss_peak_kib", static_cast<double>(peak_kib));
  report("rss_freed_kib", static_cast<double>(freed_kib));
  report("rss_idle_kib", static_cast<double>(idle_kib));
  report("rss_threads_gone_kib", static_cast<double>(gone_kib));
  report("rss_threads_gone_later_kib", static_cast<double>(gone_later_kib));
  report("rss_trimmed_kib", static_cast<double>(trimmed_kib));
  std::uint64_t sum = 0;
  for (std::uint64_t one : sums)
    sum += one;
  return sum;
}

}  // namespace

const workload idle_return{"idle-return", "memory that comes back while everyone sleeps",
                           parameters, run};

}  // namespace acre::bench
