/// The shared pool with threads: blocks are nobody else's while they are live, whoever frees them;
/// threads come and go; memory stays bounded. Magazines work only where nobody watches, so most
/// tests run both ways.
#include <acre/region/refused.hpp>
#include <acre/region/shared_pool.hpp>

#include "region/sources.hpp"
#include "support/pattern.hpp"
#include "support/random.hpp"
#include "support/sanitizer.hpp"

#include <atomic>
#include <memory>
#include <memory_resource>
#include <mutex>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

namespace {

using namespace acre::region;

constexpr std::size_t scale = acre_test::is_sanitized ? 1 : 4;

class shared_pool_with : public testing::TestWithParam<watching> {};

INSTANTIATE_TEST_SUITE_P(watching, shared_pool_with,
                         testing::Values(watching::automatic, watching::off),
                         [](const auto& tested) {
                           return tested.param == watching::off ? "magazines" : "automatic";
                         });

/// Blocks that threads hand to each other.
class exchange {
 public:
  struct item {
    void* data;
    std::size_t tag;
  };

  /// Leaves one and takes another; returns the same while there are few.
  item swap(item given, std::size_t choice) {
    const std::lock_guard guard(lock_);
    if (items_.size() < 500) {
      items_.push_back(given);
      return {nullptr, 0};
    }
    std::swap(given, items_[choice % items_.size()]);
    return given;
  }

  std::vector<item> items_;

 private:
  std::mutex lock_;
};

TEST_P(shared_pool_with, passes_blocks_between_threads) {
  for (const std::size_t block_bytes : {std::size_t{16}, std::size_t{64}, std::size_t{1000}}) {
    shared_pool tested({.block_bytes = block_bytes, .watch = GetParam()});
    exchange passed;
    std::vector<std::thread> threads;
    for (std::size_t thread = 0; thread < 3; ++thread) {
      threads.emplace_back([&, thread] {
        acre_test::random_source random(10 + thread);
        for (std::size_t step = 0; step < 5000 * scale; ++step) {
          void* const data = tested.allocate();
          const std::size_t tag = thread * 1'000'000 + step;
          acre_test::fill_pattern(data, block_bytes, tag);
          const exchange::item other = passed.swap({data, tag}, random.next());
          if (other.data == nullptr) continue;
          ASSERT_TRUE(acre_test::holds_pattern(other.data, block_bytes, other.tag));
          tested.deallocate(other.data);
        }
      });
    }
    for (std::thread& thread : threads)
      thread.join();
    EXPECT_EQ(tested.statistics().live_blocks, passed.items_.size());
    EXPECT_EQ(tested.statistics().threads, 0U) << "the threads have ended";
    for (const exchange::item& left : passed.items_)
      tested.deallocate(left.data);
    EXPECT_EQ(tested.statistics().live_blocks, 0U);
    EXPECT_TRUE(tested.check_invariants());
  }
}

TEST_P(shared_pool_with, stays_bounded_when_one_thread_makes_and_another_frees) {
  shared_pool tested({.block_bytes = 64, .watch = GetParam()});
  std::atomic<void*> passed{nullptr};
  constexpr std::size_t count = 5000 * scale;
  std::thread maker([&] {
    for (std::size_t step = 0; step < count; ++step) {
      void* const data = tested.allocate();
      acre_test::fill_pattern(data, 64, step);
      void* expected = nullptr;
      while (!passed.compare_exchange_weak(expected, data, std::memory_order_release)) {
        expected = nullptr;
        std::this_thread::yield();
      }
    }
  });
  for (std::size_t step = 0; step < count;) {
    void* const data = passed.exchange(nullptr, std::memory_order_acquire);
    if (data == nullptr) {
      std::this_thread::yield();
      continue;
    }
    ASSERT_TRUE(acre_test::holds_pattern(data, 64, step));
    tested.deallocate(data);
    ++step;
  }
  maker.join();
  EXPECT_EQ(tested.statistics().live_blocks, 0U);
  EXPECT_LT(tested.statistics().blocks.held_bytes, std::size_t{1} << 20U);
  EXPECT_TRUE(tested.check_invariants());
}

TEST_P(shared_pool_with, outlives_and_is_outlived_by_threads) {
  shared_pool lasting({.block_bytes = 64, .watch = GetParam()});
  for (std::size_t round = 0; round < 50; ++round) {
    auto passing =
        std::make_unique<shared_pool>(pool_options{.block_bytes = 128, .watch = GetParam()});
    std::thread([&] {
      void* const in_lasting = lasting.allocate();
      void* const in_passing = passing->allocate();
      lasting.deallocate(in_lasting);
      passing->deallocate(in_passing);
      // The thread ends with a magazine of a pool that is gone.
      passing.reset();
      lasting.deallocate(lasting.allocate());
    }).join();
    EXPECT_EQ(lasting.statistics().live_blocks, 0U);
    EXPECT_EQ(lasting.statistics().threads, 0U);
  }
  EXPECT_LT(lasting.statistics().blocks.held_bytes, std::size_t{1} << 20U);
}

TEST_P(shared_pool_with, more_pools_than_magazine_places_still_work) {
  std::vector<std::unique_ptr<shared_pool>> pools;
  std::vector<void*> blocks;
  for (std::size_t index = 0; index < 80; ++index) {
    pools.push_back(
        std::make_unique<shared_pool>(pool_options{.block_bytes = 32, .watch = GetParam()}));
    blocks.push_back(pools.back()->allocate());
    acre_test::fill_pattern(blocks.back(), 32, index);
  }
  for (std::size_t index = 0; index < pools.size(); ++index) {
    ASSERT_TRUE(acre_test::holds_pattern(blocks[index], 32, index));
    pools[index]->deallocate(blocks[index]);
    EXPECT_EQ(pools[index]->statistics().live_blocks, 0U);
    EXPECT_TRUE(pools[index]->check_invariants());
  }
}

TEST_P(shared_pool_with, trims_what_its_depot_holds) {
  shared_pool tested({.block_bytes = 64, .chunk_bytes = 4096, .watch = GetParam()});
  std::vector<void*> live;
  for (int count = 0; count < 40'000; ++count)
    live.push_back(tested.allocate());
  const std::size_t full_bytes = tested.statistics().blocks.held_bytes;
  for (void* const data : live)
    tested.deallocate(data);
  tested.trim();
  EXPECT_LT(tested.statistics().blocks.held_bytes, full_bytes / 10);
  EXPECT_EQ(tested.statistics().live_blocks, 0U);
}

TEST(shared_pool, takes_no_lock_for_bursts_of_a_magazine) {
  shared_pool tested({.block_bytes = 64, .watch = watching::off});
  EXPECT_EQ(tested.magazine_blocks(), 1024U);
  std::vector<void*> live(tested.magazine_blocks());
  const auto use = [&] {
    for (void*& data : live)
      data = tested.allocate();
    for (void* const data : live)
      tested.deallocate(data);
  };
  use();
  const std::size_t exchanges = tested.statistics().exchanges;
  for (int round = 0; round < 10; ++round)
    use();
  EXPECT_EQ(tested.statistics().exchanges, exchanges);
  EXPECT_EQ(tested.statistics().live_blocks, 0U);
  EXPECT_TRUE(tested.check_invariants());
}

TEST(shared_pool, gives_a_short_thread_few_blocks) {
  shared_pool tested({.block_bytes = 64, .watch = watching::off});
  std::thread([&] {
    void* const data = tested.allocate();
    EXPECT_LE(tested.statistics().cached_blocks, 32U);
    tested.deallocate(data);
  }).join();
  EXPECT_EQ(tested.statistics().cached_blocks, 0U);
}

TEST(shared_pool, has_small_magazines_where_memory_is_bounded) {
  shared_pool of_budget({.block_bytes = 64, .budget_bytes = 4U << 20U, .watch = watching::off});
  EXPECT_GE(of_budget.magazine_blocks(), 512U);
  shared_pool fixed({.block_bytes = 64,
                     .chunk_bytes = 65'536,
                     .when_exhausted = exhaustion::fail(),
                     .watch = watching::off});
  EXPECT_LE(fixed.magazine_blocks(), 16U);
  std::vector<void*> live;
  while (void* const data = fixed.try_allocate())
    live.push_back(data);
  for (void* const data : live)
    fixed.deallocate(data);
  std::thread([&] {
    std::size_t served = 0;
    while (void* const data = fixed.try_allocate())
      live[served++] = data;
    EXPECT_GE(served, live.size() * 9 / 10) << "another thread's magazines hold back little";
    for (; served > 0; --served)
      fixed.deallocate(live[served - 1]);
  }).join();
}

TEST(shared_pool, stays_bounded_while_threads_come_and_go) {
  shared_pool tested({.block_bytes = 64, .watch = watching::off});
  for (std::size_t round = 0; round < 20 * scale; ++round) {
    std::vector<std::thread> threads;
    for (int thread = 0; thread < 4; ++thread) {
      threads.emplace_back([&] {
        std::vector<void*> live(3000);
        for (void*& data : live)
          data = tested.allocate();
        for (void* const data : live)
          tested.deallocate(data);
      });
    }
    for (std::thread& thread : threads)
      thread.join();
    const shared_pool_statistics now = tested.statistics();
    EXPECT_EQ(now.threads, 0U);
    EXPECT_EQ(now.live_blocks, 0U);
    EXPECT_LE(now.cached_blocks, 2 * tested.magazine_blocks()) << "the depot without threads";
  }
  EXPECT_LT(tested.statistics().blocks.held_bytes_peak, std::size_t{4} << 20U);
  EXPECT_TRUE(tested.check_invariants());
}

class shared_pool_over : public testing::TestWithParam<region_test::source_kind> {};

INSTANTIATE_TEST_SUITE_P(source, shared_pool_over, testing::ValuesIn(region_test::source_kinds()),
                         region_test::name_of_kind);

TEST_P(shared_pool_over, serves_two_threads_and_gives_everything_back) {
  const region_test::made_source made = GetParam().make();
  if (made.source == nullptr) GTEST_SKIP() << "this machine has no " << GetParam().name;
  {
    shared_pool tested({.from = made.source.get(), .block_bytes = 48, .watch = watching::off});
    const auto use = [&](std::size_t tag) {
      std::vector<void*> live(2000);
      for (void*& data : live) {
        data = tested.allocate();
        acre_test::fill_pattern(data, 48, tag);
      }
      for (void* const data : live) {
        ASSERT_TRUE(acre_test::holds_pattern(data, 48, tag));
        tested.deallocate(data);
      }
    };
    std::thread other(use, 1);
    use(2);
    other.join();
    EXPECT_EQ(tested.statistics().live_blocks, 0U);
    EXPECT_TRUE(tested.check_invariants());
  }
  EXPECT_EQ(made.source->statistics().held_bytes, 0U);
}

TEST(shared_pool, goes_on_upstream_and_asks_its_callback) {
  std::pmr::unsynchronized_pool_resource resource;  // used under the pool's lock
  shared_pool upstream({.block_bytes = 64,
                        .chunk_bytes = 4096,
                        .budget_bytes = 4096,
                        .when_exhausted = exhaustion::upstream(resource)});
  std::vector<void*> live(1000);
  for (void*& data : live)
    data = upstream.allocate();
  for (void* const data : live)
    upstream.deallocate(data);
  int calls = 0;
  const auto refuse = [](void* context, const shortage&) noexcept {
    ++*static_cast<int*>(context);
    return false;
  };
  shared_pool asking({.block_bytes = 64,
                      .chunk_bytes = 4096,
                      .budget_bytes = 4096,
                      .when_exhausted = exhaustion::call(refuse, &calls)});
  live.clear();
  while (void* const data = asking.try_allocate())
    live.push_back(data);
  EXPECT_GE(calls, 1);
  for (void* const data : live)
    asking.deallocate(data);
}

TEST(shared_pool, says_why_it_has_nothing) {
  shared_pool tested({.block_bytes = 64, .chunk_bytes = 4096, .budget_bytes = 4096});
  std::vector<void*> live;
  while (void* const data = tested.try_allocate())
    live.push_back(data);
  EXPECT_GE(live.size(), 30U);
  try {
    (void)tested.allocate();
    ADD_FAILURE() << "must throw";
  } catch (const refused& error) {
    EXPECT_STREQ(error.why().call, "budget");
  }
  EXPECT_THROW((void)tested.allocate(65, 8), refused);
  for (void* const data : live)
    tested.deallocate(data);
}

TEST(shared_pool, survives_refusals_of_its_source) {
  region_test::failing_source failing(default_source());
  shared_pool tested(
      {.from = &failing, .block_bytes = 64, .chunk_bytes = 4096, .watch = watching::off});
  failing.fail_after(2);
  std::vector<void*> live;
  while (void* const data = tested.try_allocate())
    live.push_back(data);
  EXPECT_GE(live.size(), 90U) << "the last refill may be a short one";
  failing.never_fail();
  live.push_back(tested.allocate());
  for (void* const data : live)
    tested.deallocate(data);
  EXPECT_TRUE(tested.check_invariants());
}

TEST(shared_object_pool, constructs_here_and_destroys_there) {
  struct number {
    int value;
    explicit number(int given) : value(given) {
      if (given < 0) throw given;
    }
  };
  shared_object_pool<number> tested;
  number* made = nullptr;
  std::thread([&] { made = tested.construct(7); }).join();
  EXPECT_EQ(made->value, 7);
  tested.destroy(made);
  EXPECT_THROW((void)tested.construct(-1), int);
  EXPECT_EQ(tested.blocks().statistics().live_blocks, 0U);
}

}  // namespace
