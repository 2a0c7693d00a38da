/// Blocks in a shared segment, with the lock that survives its owner: pairs, and random sizes freed
/// in random order; one process, and two at once. Boost's locks are not robust.
#include <acre/region/robust_mutex.hpp>
#include <acre/region/shared_segment.hpp>

#include "timing.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <memory>
#include <new>
#include <numeric>
#include <random>
#include <string>
#include <vector>

#if BENCH_WITH_INTERPROCESS
#include <boost/interprocess/managed_shared_memory.hpp>
#include <boost/interprocess/mem_algo/simple_seq_fit.hpp>
#endif

#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

namespace {

constexpr std::size_t segment_bytes = 64 << 20;
constexpr std::size_t block_count = 4096;

class acre_segment {
 public:
  acre_segment()
      : segment_(acre::or_throw(
            acre::region::shared_segment::unnamed("bench", {.size_bytes = segment_bytes}))) {}
  void* take(std::size_t size_bytes) { return segment_.allocate(size_bytes); }
  void put(void* data) { segment_.deallocate(data); }

 private:
  acre::region::shared_segment segment_;
};

#if BENCH_WITH_INTERPROCESS
namespace ipc = boost::interprocess;
using best_fit = ipc::managed_shared_memory;
using sequential_fit =
    ipc::basic_managed_shared_memory<char, ipc::simple_seq_fit<ipc::mutex_family>, ipc::iset_index>;

template <class Managed>
class boost_segment {
 public:
  boost_segment() : name_("acre-bench-" + std::to_string(getpid())) {
    ipc::shared_memory_object::remove(name_.c_str());
    managed_ = std::make_unique<Managed>(ipc::create_only, name_.c_str(), segment_bytes);
    ipc::shared_memory_object::remove(name_.c_str());
  }
  void* take(std::size_t size_bytes) { return managed_->allocate(size_bytes); }
  void put(void* data) { managed_->deallocate(data); }

 private:
  std::string name_;
  std::unique_ptr<Managed> managed_;
};
#endif

/// Sizes and an order to free them in, the same for everybody.
struct plan {
  std::array<std::size_t, block_count> sizes;
  std::array<std::size_t, block_count> order;
  plan() {
    std::mt19937 random(1);
    for (std::size_t& size : sizes)
      size = 16 + random() % 1009;
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::ranges::shuffle(order, random);
  }
};
const plan planned;

template <class Segment>
void run_pairs(Segment& segment, std::size_t size_bytes, std::size_t count) {
  for (std::size_t done = 0; done < count; ++done) {
    void* const data = segment.take(size_bytes);
    bench::keep(data);
    segment.put(data);
  }
}

template <class Segment>
void run_random(Segment& segment, std::size_t count) {
  static std::array<void*, block_count> held;
  for (std::size_t done = 0; done < count; done += block_count) {
    for (std::size_t index = 0; index < block_count; ++index)
      held[index] = segment.take(planned.sizes[index]);
    for (const std::size_t index : planned.order)
      segment.put(held[index]);
  }
}

/// Runs `work` here and in a child, from the same moment on, until both are done.
template <class Work>
void in_two_processes(Work work) {
  static auto* const arrived =
      new (mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0))
          std::atomic<int>;
  *arrived = 0;
  const auto meet = [] {
    ++*arrived;
    while (*arrived < 2) {
    }
  };
  const pid_t child = fork();
  if (child == 0) {
    meet();
    work();
    _exit(0);
  }
  meet();
  work();
  waitpid(child, nullptr, 0);
}

template <class Segment>
void add(std::vector<bench::contender>& one, std::vector<bench::contender>& two,
         const std::string& name, Segment& segment, auto work, std::size_t count) {
  one.push_back({name, [&segment, work, count] { work(segment, count); }, count});
  // More for two, since they have a fork to make up for.
  two.push_back({name,
                 [&segment, work, count] {
                   in_two_processes([&segment, work, count] { work(segment, 5 * count); });
                 },
                 10 * count});
}

}  // namespace

int main(int argument_count, char** arguments) {
  const bool is_smoke = bench::is_smoke(argument_count, arguments);
  const int rounds = is_smoke ? 1 : 21;
  const std::size_t pairs = is_smoke ? 1000 : 20'000;
  const std::size_t randoms = block_count * (is_smoke ? 1 : 5);
  acre_segment own;
#if BENCH_WITH_INTERPROCESS
  boost_segment<best_fit> best;
  boost_segment<sequential_fit> sequential;
#endif
  acre::region::robust_mutex lock;
  std::printf("nanoseconds for a block taken and given back\n");
  const auto compare = [&](const std::string& what, auto work, std::size_t count) {
    std::vector<bench::contender> one;
    std::vector<bench::contender> two;
    add(one, two, "acre shared_segment", own, work, count);
#if BENCH_WITH_INTERPROCESS
    add(one, two, "Boost.Interprocess, rbtree_best_fit", best, work, count);
    // The list that it walks makes random order last for minutes.
    if (!what.starts_with("random")) {
      add(one, two, "Boost.Interprocess, simple_seq_fit", sequential, work, count);
    }
#endif
    one.push_back({"the robust lock alone, twice",
                   [&] {
                     for (std::size_t done = 0; done < 2 * count; ++done) {
                       static_cast<void>(lock.lock());
                       lock.unlock();
                     }
                   },
                   count});
    bench::print((what + ", one process").c_str(), bench::measure(one, rounds), "ns", 1.0);
    bench::print((what + ", two processes").c_str(), bench::measure(two, rounds), "ns", 1.0);
  };
  for (const std::size_t size :
       {std::size_t{16}, std::size_t{64}, std::size_t{256}, std::size_t{1024}}) {
    compare(
        "pairs of " + std::to_string(size) + " bytes",
        [size](auto& segment, std::size_t count) { run_pairs(segment, size, count); }, pairs);
    bench::checksum += size;
  }
  compare(
      "random order, 4096 blocks of 16 to 1024 bytes",
      [](auto& segment, std::size_t count) { run_random(segment, count); }, randoms);
  std::printf("\nchecksum %zu\n", bench::checksum);
}
