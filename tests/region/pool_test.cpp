/// Pools against a model, over every source: blocks keep their contents until they are freed, in
/// any order; empty chunks go back; misuse is found where the build watches.
#include <acre/region/allocator.hpp>
#include <acre/region/policy.hpp>
#include <acre/region/pool.hpp>
#include <acre/region/refused.hpp>

#include "region/sources.hpp"
#include "support/pattern.hpp"
#include "support/random.hpp"

#include <array>
#include <cstdint>
#include <list>
#include <map>
#include <memory_resource>
#include <stdexcept>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace {

using namespace acre::region;

class pool_over : public region_test::over_each_source {};

INSTANTIATE_TEST_SUITE_P(source, pool_over, testing::ValuesIn(region_test::source_kinds()),
                         region_test::name_of_kind);

/// Allocates and frees at random, first mostly more and then mostly less.
void exercise(pool& tested, std::size_t most_live, std::uint64_t stream) {
  acre_test::random_source random(stream);
  std::vector<std::pair<void*, std::size_t>> live;
  for (std::size_t step = 0; step < 6 * most_live; ++step) {
    const bool is_growing = step < 3 * most_live;
    if (random.below(10) < (is_growing ? 6U : 4U) && live.size() < most_live) {
      void* const data = tested.try_allocate();
      ASSERT_NE(data, nullptr);
      ASSERT_EQ(reinterpret_cast<std::uintptr_t>(data) % tested.alignment(), 0U);
      acre_test::fill_pattern(data, tested.block_bytes(), step);
      live.emplace_back(data, step);
    } else if (!live.empty()) {
      std::swap(live[random.below(live.size())], live.back());
      const auto [data, tag] = live.back();
      ASSERT_TRUE(acre_test::holds_pattern(data, tested.block_bytes(), tag));
      tested.deallocate(data);
      live.pop_back();
    }
    ASSERT_EQ(tested.statistics().live_blocks, live.size());
    if (step % (most_live / 2) == 0) {
      ASSERT_TRUE(tested.check_invariants());
    }
  }
  for (const auto& [data, tag] : live) {
    ASSERT_TRUE(acre_test::holds_pattern(data, tested.block_bytes(), tag));
    tested.deallocate(data);
  }
  ASSERT_TRUE(tested.check_invariants());
}

TEST_P(pool_over, keeps_contents_in_any_order_of_frees) {
  struct shape {
    std::size_t block_bytes;
    std::size_t alignment;
    std::size_t chunk_bytes;
  };
  for (const shape& tried :
       {shape{1, 1, 4096}, shape{24, 8, 8192}, shape{64, 64, 0}, shape{100, 256, 16'384},
        shape{5000, 16, 0}, shape{64, 4096, 65'536}}) {
    for (const watching watch : {watching::automatic, watching::off}) {
      pool tested({.from = &this->tested(),
                   .block_bytes = tried.block_bytes,
                   .alignment = tried.alignment,
                   .chunk_bytes = tried.chunk_bytes,
                   .watch = watch});
      exercise(tested, 300, tried.block_bytes);
      if (HasFatalFailure()) return;
    }
    ASSERT_EQ(this->tested().statistics().held_bytes, 0U);
  }
}

TEST_P(pool_over, survives_every_refusal_of_its_source) {
  for (std::size_t good_takes = 0; good_takes < 4; ++good_takes) {
    region_test::failing_source failing(this->tested());
    failing.fail_after(good_takes);
    pool tested({.from = &failing, .block_bytes = 100, .chunk_bytes = 4096});
    std::vector<void*> live;
    while (void* const data = tested.try_allocate())
      live.push_back(data);
    EXPECT_EQ(live.size() > 0, good_takes > 0);
    EXPECT_TRUE(tested.check_invariants());
    EXPECT_THROW((void)tested.allocate(), refused);
    for (void* const data : live)
      tested.deallocate(data);
    failing.never_fail();
    exercise(tested, 100, good_takes);
  }
}

TEST(pool, gives_empty_chunks_back_by_itself) {
  for (const watching watch : {watching::automatic, watching::off}) {
    pool tested({.block_bytes = 64, .chunk_bytes = 4096, .empty_chunks_kept = 2, .watch = watch});
    std::vector<void*> live;
    for (int count = 0; count < 10'000; ++count)
      live.push_back(tested.allocate());
    const std::size_t full_bytes = tested.statistics().held_bytes;
    EXPECT_GE(full_bytes, 640'000U);
    while (live.size() > 100) {
      tested.deallocate(live.back());
      live.pop_back();
    }
    EXPECT_LT(tested.statistics().held_bytes, full_bytes / 8) << "freed from the newest on";
    tested.trim();
    EXPECT_LE(tested.statistics().chunks, 100U / 40 + 2 + 1);
    EXPECT_TRUE(tested.check_invariants());
    for (void* const data : live)
      tested.deallocate(data);
    tested.trim();
    EXPECT_EQ(tested.statistics().chunks, 2U);
  }
}

TEST(pool, reuses_the_newest_free_block_first) {
  pool tested({.block_bytes = 64});
  void* const first = tested.allocate();
  void* const second = tested.allocate();
  tested.deallocate(first);
  tested.deallocate(second);
  EXPECT_EQ(tested.allocate(), second);
  EXPECT_EQ(tested.allocate(), first);
}

TEST(pool, counts_lists_longer_than_a_link_can_tell) {
  constexpr std::size_t count = 150'000;
  for (const std::size_t kept : {std::size_t{0}, std::size_t{1000}}) {
    pool tested({.block_bytes = 16, .empty_chunks_kept = kept, .watch = watching::off});
    std::vector<void*> live(count);
    for (int round = 0; round < 2; ++round) {
      for (void*& data : live)
        data = tested.allocate();
      const std::size_t chunks = tested.statistics().chunks;
      for (std::size_t index = 0; index < count; ++index) {
        tested.deallocate(live[index]);
        if (index % 25'000 != 0) continue;
        EXPECT_EQ(tested.statistics().live_blocks, count - index - 1);
        EXPECT_TRUE(tested.check_invariants());
      }
      EXPECT_EQ(tested.statistics().live_blocks, 0U);
      EXPECT_EQ(tested.statistics().chunks, kept == 0 ? 1 : chunks);
      EXPECT_EQ(tested.allocate(), live.back()) << "the newest first, across lists";
      tested.deallocate(live.back());
    }
    tested.release();
    EXPECT_TRUE(tested.check_invariants());
  }
}

TEST(pool, that_may_not_grow_serves_its_one_chunk) {
  alignas(4096) static std::array<std::byte, 4096> buffer;
  buffer_source from(buffer);
  pool tested({.from = &from,
               .block_bytes = 64,
               .chunk_bytes = 4096,
               .when_exhausted = exhaustion::fail()});
  for (int round = 0; round < 3; ++round) {
    std::vector<void*> live;
    while (void* const data = tested.try_allocate())
      live.push_back(data);
    EXPECT_GE(live.size(), 45U);
    EXPECT_EQ(tested.statistics().free_blocks, 0U);
    for (void* const data : live)
      tested.deallocate(data);
    tested.release();
    EXPECT_EQ(tested.trim(), 0U);
  }
}

TEST(pool, stays_inside_its_budget) {
  pool tested({.block_bytes = 64, .chunk_bytes = 4096, .budget_bytes = 20'000});
  while (tested.try_allocate() != nullptr)
    continue;
  EXPECT_LE(tested.statistics().held_bytes, 20'000U);
  EXPECT_EQ(tested.statistics().chunks, 4U);
  tested.set_budget_bytes(30'000);
  EXPECT_NE(tested.try_allocate(), nullptr);
  tested.release();
}

TEST(pool, goes_on_upstream_when_its_budget_ends) {
  tracking_resource upstream("upstream", *std::pmr::new_delete_resource());
  {
    pool tested({.block_bytes = 64,
                 .chunk_bytes = 4096,
                 .budget_bytes = 8192,
                 .when_exhausted = exhaustion::upstream(upstream)});
    exercise(tested, 1000, 9);
    EXPECT_GT(upstream.statistics().live_bytes_peak, 16'384U);
  }
  EXPECT_EQ(upstream.statistics().live_bytes, 0U);
}

TEST(pool, asks_its_callback_for_room) {
  const auto make_room = [](void* context, const shortage& lack) noexcept {
    auto& tested = **static_cast<pool**>(context);
    EXPECT_EQ(lack.size_bytes, 4096U);
    EXPECT_STREQ(lack.why.call, "budget");
    tested.set_budget_bytes(tested.budget_bytes() + 4096);
    return tested.budget_bytes() <= 16'384;
  };
  pool* itself = nullptr;
  pool tested({.block_bytes = 64,
               .chunk_bytes = 4096,
               .budget_bytes = 4096,
               .when_exhausted = exhaustion::call(make_room, &itself)});
  itself = &tested;
  while (tested.try_allocate() != nullptr)
    continue;
  EXPECT_EQ(tested.statistics().chunks, 4U);
  tested.release();
}

TEST(pool, serves_node_containers_and_refuses_what_is_too_large) {
  pool tested({.block_bytes = 64});
  std::pmr::list<int> list(&tested);
  std::pmr::map<int, int> map(&tested);
  for (int number = 0; number < 1000; ++number) {
    list.push_back(number);
    map.emplace(number, number);
  }
  EXPECT_TRUE(tested.owns(&list.front()));
  EXPECT_TRUE(tested.owns(&map.at(500)));
  EXPECT_EQ(tested.statistics().live_blocks, 2000U);
  EXPECT_THROW((void)tested.allocate(65), refused);
  EXPECT_THROW((void)tested.allocate(8, 32), refused);
  std::list<int, region_allocator<int, pool>> typed({1, 2, 3}, tested);
  EXPECT_TRUE(tested.owns(&typed.back()));
}

TEST(pool, owns_its_blocks_only) {
  pool tested({.block_bytes = 32});
  pool other({.block_bytes = 32});
  int on_the_stack = 0;
  void* const data = tested.allocate();
  EXPECT_TRUE(tested.owns(data));
  EXPECT_FALSE(other.owns(data));
  EXPECT_FALSE(tested.owns(&on_the_stack));
  EXPECT_FALSE(tested.owns(nullptr));
  tested.deallocate(data);
}

TEST(pool, refuses_shapes_that_cannot_be) {
  EXPECT_DEATH(pool({.name = "nodes", .block_bytes = 0}), "region 'nodes': .*0 bytes");
  EXPECT_DEATH(pool({.block_bytes = 8, .alignment = 24}), "not a power of two");
  mapping_source mapped;  // a sanitizer's operator new would end the program
  pool huge({.from = &mapped, .block_bytes = SIZE_MAX / 8});
  EXPECT_EQ(huge.try_allocate(), nullptr);
}

TEST(pool, finds_misuse_where_the_build_watches) {
#if !ACRE_CHECKS
  GTEST_SKIP() << "this build does not check contracts";
#else
  pool tested({.name = "nodes", .block_bytes = 32});
  void* const data = tested.allocate();
  int foreign = 0;
  EXPECT_DEATH(tested.deallocate(&foreign), "region 'nodes': .*not of this pool");
  EXPECT_DEATH(tested.deallocate(static_cast<std::byte*>(data) + 8), "not the start of a block");
  tested.deallocate(data);
  EXPECT_DEATH(tested.deallocate(data), "freed twice");
#endif
}

struct node {
  static inline int alive = 0;
  int value;
  explicit node(int number) : value(number) {
    if (number < 0) throw std::invalid_argument("negative");
    ++alive;
  }
  node(const node&) = delete;
  node& operator=(const node&) = delete;
  ~node() { --alive; }
};

TEST(object_pool, constructs_and_destroys_in_any_order) {
  object_pool<node> tested;
  acre_test::random_source random(4);
  std::vector<node*> live;
  for (int step = 0; step < 20'000; ++step) {
    if (live.empty() || random.below(2) == 0) {
      live.push_back(tested.construct(step));
    } else {
      std::swap(live[random.below(live.size())], live.back());
      tested.destroy(live.back());
      live.pop_back();
    }
  }
  EXPECT_EQ(tested.size(), live.size());
  EXPECT_EQ(node::alive, static_cast<int>(live.size()));
  tested.destroy_all();
  EXPECT_EQ(node::alive, 0);
  EXPECT_EQ(tested.size(), 0U);
}

TEST(object_pool, destroys_what_is_left_at_its_end) {
  {
    object_pool<node> tested;
    for (int number = 0; number < 1000; ++number) {
      node* const made = tested.construct(number);
      if (number % 3 == 0) tested.destroy(made);
    }
    EXPECT_EQ(node::alive, 666);
  }
  EXPECT_EQ(node::alive, 0);
}

TEST(object_pool, takes_the_block_back_when_the_constructor_throws) {
  object_pool<node> tested;
  EXPECT_THROW((void)tested.construct(-1), std::invalid_argument);
  EXPECT_EQ(tested.size(), 0U);
  EXPECT_TRUE(tested.blocks().check_invariants());
}

TEST(object_pool, aligns_over_aligned_objects) {
  struct alignas(512) wide {
    std::array<char, 512> bytes{};
  };
  object_pool<wide> tested;
  for (int count = 0; count < 300; ++count)
    ASSERT_EQ(reinterpret_cast<std::uintptr_t>(tested.construct()) % 512, 0U);
}

}  // namespace
