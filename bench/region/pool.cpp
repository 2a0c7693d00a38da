/// Fixed blocks of 64 bytes: pairs, first-in first-out and random order; one thread, and two on one
/// shared pool. Run it with another malloc preloaded to compare with that: its rows say "malloc".
#include <acre/malloc.h>
#include <acre/region/pool.hpp>
#include <acre/region/shared_pool.hpp>

#include "timing.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <barrier>
#include <cstddef>
#include <memory>
#include <memory_resource>
#include <mutex>
#include <numeric>
#include <random>
#include <thread>
#include <vector>

#if BENCH_WITH_BOOST
#include <boost/container/pmr/synchronized_pool_resource.hpp>
#include <boost/container/pmr/unsynchronized_pool_resource.hpp>
#include <boost/pool/pool.hpp>
#include <boost/pool/pool_alloc.hpp>
#include <boost/pool/singleton_pool.hpp>
#endif

#include <dlfcn.h>
#include <stdlib.h>

namespace {

constexpr std::size_t block_bytes = 64;
constexpr std::size_t batch = 1024;

struct object {
  std::array<char, block_bytes> bytes;
  object() noexcept {}  // leaves the bytes as they are: the pool is measured, not a fill
};

/// The limit: a list through the free blocks, and nothing else.
class bare_list {
 public:
  explicit bare_list(std::size_t blocks) : memory_(blocks) {
    for (object& made : memory_)
      put(&made);
  }
  void* take() {
    void* const data = first_;
    first_ = *static_cast<void**>(data);
    return data;
  }
  void put(void* data) {
    *static_cast<void**>(data) = first_;
    first_ = data;
  }

 private:
  std::vector<object> memory_;
  void* first_ = nullptr;
};

std::vector<std::size_t> random_order(std::size_t size) {
  std::vector<std::size_t> order(size);
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::shuffle(order.begin(), order.end(), std::mt19937_64(7));
  return order;
}

/// How blocks are taken and given back; `Pool` has take and put.
template <class Pool>
void pairs(Pool& pool, std::size_t operations) {
  for (std::size_t left = operations; left > 0; --left) {
    void* const data = pool.take();
    *static_cast<volatile char*>(data) = 1;
    pool.put(data);
  }
}

template <class Pool>
void batches(Pool& pool, std::size_t operations, const std::vector<std::size_t>& order) {
  std::array<void*, batch> live;
  for (std::size_t done = 0; done < operations; done += batch) {
    for (void*& data : live) {
      data = pool.take();
      *static_cast<volatile char*>(data) = 1;
    }
    for (const std::size_t index : order)
      pool.put(live[index]);
  }
}

/// Makes a contender's three patterns out of two functions.
template <class Take, class Put>
struct functions {
  Take take;
  Put put;
};
template <class Take, class Put>
functions(Take, Put) -> functions<Take, Put>;

enum class pattern { pairs, in_order, random };
constexpr std::array names{"pairs", "1024 taken, freed in order", "1024 taken, freed at random"};

struct settings {
  int rounds;
  std::size_t operations;
};

template <class Pool>
void run(Pool& pool, pattern chosen, std::size_t operations) {
  static const std::vector<std::size_t> shuffled = random_order(batch);
  static const std::vector<std::size_t> straight = [] {
    std::vector<std::size_t> order(batch);
    std::iota(order.begin(), order.end(), std::size_t{0});
    return order;
  }();
  if (chosen == pattern::pairs) return pairs(pool, operations);
  batches(pool, operations, chosen == pattern::random ? shuffled : straight);
}

using allocate_function = void* (*)(std::size_t);
using free_function = void (*)(void*);

/// Other mallocs, each in a namespace of its own, so that the program's stays what it is.
struct other_malloc {
  const char* name;
  allocate_function allocate = nullptr;
  free_function free = nullptr;
};

std::vector<other_malloc> other_mallocs() {
  std::vector<other_malloc> found;
  found.push_back({"acre_malloc", acre_malloc, acre_free});
  const auto load = [&](const char* name, const char* file, const char* allocate,
                        const char* free) {
    void* const library = dlopen(file, RTLD_NOW | RTLD_LOCAL);
    if (library == nullptr) return;
    other_malloc loaded{name, reinterpret_cast<allocate_function>(dlsym(library, allocate)),
                        reinterpret_cast<free_function>(dlsym(library, free))};
    if (loaded.allocate != nullptr && loaded.free != nullptr) found.push_back(loaded);
  };
  load("mimalloc (mi_malloc)", "libmimalloc.so.2.0", "mi_malloc", "mi_free");
  load("tcmalloc (tc_malloc)", "libtcmalloc_minimal.so.4", "tc_malloc", "tc_free");
  return found;
}

void one_thread(pattern chosen, const settings& how) {
  std::vector<bench::contender> contenders;
  const auto add = [&](const char* name, auto pool) {
    contenders.push_back(
        {name, [pool, chosen, how] { run(*pool, chosen, how.operations); }, how.operations});
  };
  const auto of = [](auto take, auto put) {
    return std::make_shared<functions<decltype(take), decltype(put)>>(take, put);
  };
  add("bare free list", std::make_shared<bare_list>(2 * batch));
  auto objects = std::make_shared<acre::region::object_pool<object>>();
  add("acre object_pool",
      of([objects] { return objects->construct(); },
         [objects](void* data) { objects->destroy(static_cast<object*>(data)); }));
  auto blocks =
      std::make_shared<acre::region::pool>(acre::region::pool_options{.block_bytes = block_bytes});
  std::pmr::memory_resource* base = blocks.get();
  add("acre pool, through memory_resource*",
      of([base] { return base->allocate(block_bytes); },
         [base, blocks](void* data) { base->deallocate(data, block_bytes); }));
  auto shared = std::make_shared<acre::region::shared_pool>(
      acre::region::pool_options{.block_bytes = block_bytes});
  add("acre shared_pool, one thread", of([shared] { return shared->allocate(); },
                                         [shared](void* data) { shared->deallocate(data); }));
#if BENCH_WITH_BOOST
  auto boost_pool = std::make_shared<boost::pool<>>(block_bytes);
  add("boost::pool", of([boost_pool] { return boost_pool->malloc(); },
                        [boost_pool](void* data) { boost_pool->free(data); }));
  auto boost_pmr = std::make_shared<boost::container::pmr::unsynchronized_pool_resource>();
  add("Boost.Container pmr unsynchronized",
      of([boost_pmr] { return boost_pmr->allocate(block_bytes); },
         [boost_pmr](void* data) { boost_pmr->deallocate(data, block_bytes); }));
#endif
  auto std_pmr = std::make_shared<std::pmr::unsynchronized_pool_resource>();
  add("std::pmr unsynchronized",
      of([std_pmr] { return std_pmr->allocate(block_bytes); },
         [std_pmr](void* data) { std_pmr->deallocate(data, block_bytes); }));
  add("malloc", of([] { return std::malloc(block_bytes); }, [](void* data) { std::free(data); }));
  for (const other_malloc& other : other_mallocs()) {
    add(other.name, of([other] { return other.allocate(block_bytes); },
                       [other](void* data) { other.free(data); }));
  }
  const std::string title =
      std::string("Pool, 64 bytes, ") + names[static_cast<std::size_t>(chosen)];
  bench::print(title.c_str(), bench::measure(contenders, how.rounds), "ns", 1);
}

/// Two threads, kept between rounds so that their caches are warm; the time is that of both.
template <class Pool>
class two_threads {
 public:
  two_threads(std::shared_ptr<Pool> pool, pattern chosen, std::size_t operations)
      : pool_(std::move(pool)), start_(3), end_(3) {
    for (std::thread& thread : threads_) {
      thread = std::thread([this, chosen, operations] {
        for (;;) {
          start_.arrive_and_wait();
          if (is_over_) return;
          run(*pool_, chosen, operations / 2);
          end_.arrive_and_wait();
        }
      });
    }
  }
  two_threads(const two_threads&) = delete;
  two_threads& operator=(const two_threads&) = delete;
  ~two_threads() {
    is_over_ = true;
    start_.arrive_and_wait();
    for (std::thread& thread : threads_)
      thread.join();
  }
  void round() {
    start_.arrive_and_wait();
    end_.arrive_and_wait();
  }

 private:
  std::shared_ptr<Pool> pool_;
  std::barrier<> start_;
  std::barrier<> end_;
  std::atomic<bool> is_over_{false};
  std::array<std::thread, 2> threads_;
};

bare_list& list_of_thread() {
  static thread_local bare_list own(2 * batch);
  return own;
}

void shared_by_two(pattern chosen, const settings& how) {
  std::vector<bench::contender> contenders;
  const auto add = [&](const char* name, auto take, auto put) {
    using pool_type = functions<decltype(take), decltype(put)>;
    auto pool = std::make_shared<pool_type>(take, put);
    auto threads = std::make_shared<two_threads<pool_type>>(pool, chosen, how.operations);
    contenders.push_back({name, [threads] { threads->round(); }, how.operations});
  };
  auto shared = std::make_shared<acre::region::shared_pool>(
      acre::region::pool_options{.block_bytes = block_bytes});
  add(
      "acre shared_pool", [shared] { return shared->allocate(); },
      [shared](void* data) { shared->deallocate(data); });
#if BENCH_WITH_BOOST
  auto boost_pmr = std::make_shared<boost::container::pmr::synchronized_pool_resource>();
  add(
      "Boost.Container pmr synchronized", [boost_pmr] { return boost_pmr->allocate(block_bytes); },
      [boost_pmr](void* data) { boost_pmr->deallocate(data, block_bytes); });
  using fast = boost::fast_pool_allocator<object>;
  add(
      "boost::fast_pool_allocator", [] { return static_cast<void*>(fast::allocate()); },
      [](void* data) { fast::deallocate(static_cast<object*>(data)); });
#endif
  auto std_pmr = std::make_shared<std::pmr::synchronized_pool_resource>();
  add(
      "std::pmr synchronized", [std_pmr] { return std_pmr->allocate(block_bytes); },
      [std_pmr](void* data) { std_pmr->deallocate(data, block_bytes); });
  add("malloc", [] { return std::malloc(block_bytes); }, [](void* data) { std::free(data); });
  for (const other_malloc& other : other_mallocs()) {
    add(
        other.name, [other] { return other.allocate(block_bytes); },
        [other](void* data) { other.free(data); });
  }
  add(
      "a bare free list for each thread, not shared", [] { return list_of_thread().take(); },
      [](void* data) { list_of_thread().put(data); });
  const std::string title = std::string("One shared pool, two threads, ns per pair of both, ") +
                            names[static_cast<std::size_t>(chosen)];
  bench::print(title.c_str(), bench::measure(contenders, how.rounds, bench::clock::wall), "ns", 1);
  bench::checksum += shared->statistics().exchanges;
}

}  // namespace

int main(int argument_count, char** arguments) {
  const bool is_smoke = bench::is_smoke(argument_count, arguments);
  const settings alone{.rounds = is_smoke ? 1 : 31, .operations = (is_smoke ? 1U : 150U) * batch};
  const settings both{.rounds = is_smoke ? 1 : 31, .operations = (is_smoke ? 2U : 400U) * batch};
  for (const pattern chosen : {pattern::pairs, pattern::in_order, pattern::random})
    one_thread(chosen, alone);
  for (const pattern chosen : {pattern::pairs, pattern::random})
    shared_by_two(chosen, both);
  std::printf("\nchecksum %zu\n", bench::checksum + 1);
  return 0;
}
