/// Policies: each does its one thing, they compose, and child arenas keep their parent's order.
#include <acre/heap/heap.hpp>
#include <acre/region/arena.hpp>
#include <acre/region/child_arena.hpp>
#include <acre/region/policy.hpp>
#include <acre/region/pool.hpp>
#include <acre/region/shared_pool.hpp>
#include <acre/region/stack.hpp>

#include "region/sources.hpp"
#include "support/pattern.hpp"
#include "support/random.hpp"

#include <array>
#include <map>
#include <memory_resource>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

namespace {

using namespace acre::region;

static_assert(owning_resource<arena> && owning_resource<pool> && owning_resource<stack_resource>);
static_assert(owning_resource<shared_pool> && owning_resource<acre::heap>);
static_assert(!owning_resource<std::pmr::monotonic_buffer_resource>);

TEST(limited_resource, refuses_beyond_its_limit_and_counts_what_comes_back) {
  limited_resource tested(*std::pmr::new_delete_resource(), 1000);
  void* const first = tested.allocate(600);
  EXPECT_THROW((void)tested.allocate(401), refused);
  EXPECT_THROW((void)tested.allocate(SIZE_MAX), refused);
  void* const second = tested.allocate(400);
  EXPECT_EQ(tested.live_bytes(), 1000U);
  EXPECT_THROW((void)tested.allocate(1), refused);
  tested.deallocate(first, 600);
  tested.deallocate(second, 400);
  EXPECT_EQ(tested.live_bytes(), 0U);
  limited_resource of_nothing(null_resource(), 1000);
  EXPECT_THROW((void)of_nothing.allocate(10), std::bad_alloc);
  EXPECT_EQ(of_nothing.live_bytes(), 0U) << "what was refused below is not live";
}

TEST(fallback_resource, goes_on_with_the_second_and_frees_where_it_came_from) {
  pool primary({.block_bytes = 64, .chunk_bytes = 4096, .budget_bytes = 4096});
  tracking_resource secondary("second", *std::pmr::new_delete_resource());
  fallback_resource tested(primary, secondary);
  std::vector<void*> live;
  for (int count = 0; count < 200; ++count) {
    live.push_back(tested.allocate(64));
    acre_test::fill_pattern(live.back(), 64, live.size());
  }
  EXPECT_EQ(primary.statistics().live_blocks + secondary.statistics().live_blocks, 200U);
  EXPECT_EQ(secondary.statistics().live_blocks, tested.fallbacks());
  EXPECT_GT(tested.fallbacks(), 100U);
  for (std::size_t index = 0; index < live.size(); ++index) {
    EXPECT_TRUE(acre_test::holds_pattern(live[index], 64, index + 1));
    tested.deallocate(live[index], 64);
  }
  EXPECT_EQ(primary.statistics().live_blocks, 0U);
  EXPECT_EQ(secondary.statistics().live_blocks, 0U);
  tested.deallocate(tested.allocate(1000), 1000);  // too large for the pool
}

TEST(tracking_resource, counts_and_can_be_found_by_name) {
  tracking_resource cache("cache", *std::pmr::new_delete_resource());
  limited_resource at_most(cache, 10'000);
  tracking_resource session("session", at_most);
  void* const first = session.allocate(100);
  void* const second = session.allocate(200);
  session.deallocate(first, 100);
  EXPECT_THROW((void)session.allocate(100'000), std::bad_alloc);
  const tracking_statistics counted = session.statistics();
  EXPECT_EQ(counted.live_bytes, 200U);
  EXPECT_EQ(counted.live_bytes_peak, 300U);
  EXPECT_EQ(counted.live_blocks, 1U);
  EXPECT_EQ(counted.allocations, 2U);
  EXPECT_EQ(counted.refusals, 1U);
  EXPECT_EQ(cache.statistics().live_bytes, 200U);
  EXPECT_EQ(cache.statistics().refusals, 0U);
  session.deallocate(second, 200);
  std::string names;
  {
    const tracking_resource passing("passing", cache);
    tracking_resource::for_each(
        [](const tracking_resource& tracked, void* context) {
          static_cast<std::string*>(context)->append(tracked.name()).append(" ");
        },
        &names);
  }
  EXPECT_EQ(names, "passing session cache ");
  names.clear();
  tracking_resource::for_each(
      [](const tracking_resource& tracked, void* context) {
        static_cast<std::string*>(context)->append(tracked.name()).append(" ");
      },
      &names);
  EXPECT_EQ(names, "session cache ");
}

TEST(synchronized_resource, lets_threads_share_an_arena) {
  arena below;
  synchronized_resource tested(below);
  std::vector<std::thread> threads;
  for (std::size_t thread = 0; thread < 3; ++thread) {
    threads.emplace_back([&, thread] {
      std::vector<void*> live;
      for (int count = 0; count < 2000; ++count) {
        live.push_back(tested.allocate(24));
        acre_test::fill_pattern(live.back(), 24, thread);
      }
      for (void* const data : live)
        ASSERT_TRUE(acre_test::holds_pattern(data, 24, thread));
    });
  }
  for (std::thread& thread : threads)
    thread.join();
  EXPECT_TRUE(below.check_invariants());
}

TEST(guarded_resource, ends_blocks_at_a_page_without_access) {
  guarded_resource tested;
  acre_test::random_source random(7);
  for (int count = 0; count < 100; ++count) {
    const std::size_t size = random.below(20'000);
    const std::size_t alignment = std::size_t{1} << random.below(14);
    void* const data = tested.allocate(size, alignment);
    ASSERT_EQ(reinterpret_cast<std::uintptr_t>(data) % alignment, 0U);
    acre_test::fill_pattern(data, size, 1);
    ASSERT_TRUE(acre_test::holds_pattern(data, size, 1));
    tested.deallocate(data, size, alignment);
  }
  EXPECT_EQ(tested.live_blocks(), 0U);
  auto* const text = static_cast<volatile char*>(tested.allocate(100, 1));
  text[99] = 'x';
  EXPECT_DEATH(text[100] = 'x', "");
  tested.deallocate(const_cast<char*>(text), 100, 1);
  EXPECT_DEATH(text[0] = 'x', "");
  EXPECT_THROW((void)tested.allocate(SIZE_MAX), std::bad_alloc);
}

TEST(guarded_resource, keeps_few_addresses_of_freed_blocks) {
  guarded_resource tested({.quarantine_blocks = 4});
  for (int count = 0; count < 1000; ++count)
    tested.deallocate(tested.allocate(10), 10);
  EXPECT_EQ(tested.live_blocks(), 0U);
}

TEST(guarded_resource, serves_containers) {
  guarded_resource tested({.quarantine_blocks = 0});
  std::pmr::map<int, std::pmr::string> map(&tested);
  for (int key = 0; key < 100; ++key)
    map.emplace(key, "a string that does not fit into the object itself");
  EXPECT_EQ(map.size(), 100U);
}

/// A model of what any resource must do, from several threads.
void use_by_threads(std::pmr::memory_resource& tested, std::size_t largest_bytes) {
  std::vector<std::thread> threads;
  for (std::size_t thread = 0; thread < 3; ++thread) {
    threads.emplace_back([&, thread] {
      acre_test::random_source random(20 + thread);
      struct held {
        void* data;
        std::size_t size;
      };
      std::vector<held> live;
      for (int step = 0; step < 300; ++step) {
        if (live.size() < 20 && random.below(2) == 0) {
          const std::size_t size = 1 + random.below(largest_bytes);
          try {
            live.push_back({tested.allocate(size), size});
          } catch (const std::bad_alloc&) {
            continue;
          }
          acre_test::fill_pattern(live.back().data, size, thread);
        } else if (!live.empty()) {
          std::swap(live[random.below(live.size())], live.back());
          ASSERT_TRUE(acre_test::holds_pattern(live.back().data, live.back().size, thread));
          tested.deallocate(live.back().data, live.back().size);
          live.pop_back();
        }
      }
      for (const held& left : live)
        tested.deallocate(left.data, left.size);
    });
  }
  for (std::thread& thread : threads)
    thread.join();
}

TEST(policies, compose_in_any_order) {
  pool few({.block_bytes = 64, .chunk_bytes = 4096, .budget_bytes = 4096});
  guarded_resource guarded({.quarantine_blocks = 8});
  {
    fallback_resource both(few, guarded);
    tracking_resource counted("both", both);
    limited_resource at_most(counted, 10'000);
    synchronized_resource tested(at_most);
    use_by_threads(tested, 1000);
    EXPECT_EQ(counted.statistics().live_bytes, 0U);
    EXPECT_EQ(at_most.live_bytes(), 0U);
    EXPECT_GT(both.fallbacks(), 0U);
    EXPECT_EQ(few.statistics().live_blocks, 0U);
    EXPECT_EQ(guarded.live_blocks(), 0U);
  }
  {
    synchronized_resource safe(few);
    limited_resource at_most(safe, 30 * 64);
    tracking_resource tested("blocks", at_most);
    use_by_threads(tested, 64);
    EXPECT_EQ(tested.statistics().live_bytes, 0U);
    EXPECT_EQ(few.statistics().live_blocks, 0U);
    EXPECT_LE(tested.statistics().live_bytes_peak, 30U * 64U);
  }
  {
    shared_pool small({.block_bytes = 64});
    fallback_resource tested(small, guarded);
    use_by_threads(tested, 200);
    EXPECT_GT(tested.fallbacks(), 0U);
    EXPECT_EQ(small.statistics().live_blocks, 0U);
    EXPECT_EQ(guarded.live_blocks(), 0U);
  }
  arena first({.first_block_bytes = 4096, .budget_bytes = 65'536});
  fallback_resource in_arena(first, null_resource());
  tracking_resource counted("in arena", in_arena);
  std::pmr::vector<int> numbers(&counted);
  EXPECT_THROW(numbers.resize(1'000'000), std::bad_alloc);
  numbers.resize(1000);
  EXPECT_TRUE(first.owns(numbers.data()));
}

TEST(child_arena, gives_its_memory_back_to_the_parent) {
  arena parent({.first_block_bytes = 4096});
  const std::string_view kept = parent.copy("kept");
  const std::size_t used = parent.statistics().used_bytes;
  for (int round = 0; round < 100; ++round) {
    child_arena child(parent, "request");
    std::pmr::vector<std::pmr::string> words(&*child);
    for (int count = 0; count < 100; ++count)
      words.emplace_back("a string that does not fit into the object itself");
    EXPECT_TRUE(child->owns(words.data()));
    EXPECT_TRUE(parent.owns(words.data()));
    EXPECT_TRUE(child->check_invariants());
  }
  EXPECT_EQ(parent.statistics().used_bytes, used);
  EXPECT_EQ(kept, "kept");
  EXPECT_TRUE(parent.check_invariants());
}

TEST(child_arena, passes_large_blocks_back_to_its_parent_at_once) {
  arena parent;
  constexpr std::size_t large = std::size_t{4} << 20U;
  void* const of_parent = parent.allocate(large);
  {
    child_arena child(parent);
    void* const data = child->allocate(large);
    acre_test::fill_pattern(data, large, 1);
    EXPECT_EQ(parent.statistics().own_blocks, 2U);
    EXPECT_TRUE(acre_test::holds_pattern(data, large, 1));
    child->deallocate(data, large);
    EXPECT_EQ(parent.statistics().own_blocks, 1U);
    (void)child->allocate(large);
    parent.deallocate(of_parent, large);
  }
  EXPECT_EQ(parent.statistics().own_blocks, 0U);
  EXPECT_EQ(parent.statistics().used_bytes, 0U);
  EXPECT_TRUE(parent.check_invariants());
}

TEST(child_arena, shuts_its_parent_while_it_lives) {
  arena parent({.name = "server"});
  {
    child_arena child(parent);
    (void)child->allocate(100'000);
    EXPECT_DEATH((void)parent.allocate(1), "region 'server': used while its child arena is alive");
    EXPECT_DEATH((void)parent.try_allocate(1), "child arena");
    EXPECT_DEATH(parent.reset(), "reset while its child");
    child_arena grandchild(*child);
    EXPECT_NE(grandchild->try_allocate(10), nullptr);
    EXPECT_DEATH((void)child->allocate(1), "child arena is alive");
  }
  EXPECT_NE(parent.try_allocate(1), nullptr);
}

TEST(child_arena, cannot_go_beyond_the_parents_budget) {
  arena parent({.first_block_bytes = 4096, .budget_bytes = 16'384});
  {
    child_arena child(parent);
    std::size_t served = 0;
    while (child->try_allocate(100) != nullptr)
      served += 100;
    EXPECT_GT(served, 4000U);
    EXPECT_LE(served, 16'384U);
  }
  EXPECT_NE(parent.try_allocate(1000), nullptr);
}

TEST(regions, stand_on_each_other) {
  arena below({.first_block_bytes = 65'536});
  resource_source of_arena(below);
  pool nodes({.from = &of_arena, .block_bytes = 64, .chunk_bytes = 4096});
  tracking_resource counted("nodes", nodes);
  limited_resource at_most(counted, 64 * 100);
  std::pmr::map<int, int> map(&at_most);
  int inserted = 0;
  try {
    for (;; ++inserted)
      map.emplace(inserted, inserted);
  } catch (const refused&) {
    EXPECT_GE(inserted, 100);
  }
  EXPECT_EQ(map.size(), static_cast<std::size_t>(inserted));
  EXPECT_EQ(counted.statistics().live_blocks, map.size());
  EXPECT_TRUE(below.owns(&map.at(0)));
}

}  // namespace
