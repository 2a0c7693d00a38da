/// The stack against a model, over every source: last in, first out; anything else is found.
#include <acre/region/refused.hpp>
#include <acre/region/stack.hpp>

#include "region/sources.hpp"
#include "support/pattern.hpp"
#include "support/random.hpp"

#include <array>
#include <cstdint>
#include <memory_resource>
#include <optional>
#include <vector>

#include <gtest/gtest.h>

namespace {

using namespace acre::region;

class stack_over : public region_test::over_each_source {};

INSTANTIATE_TEST_SUITE_P(source, stack_over, testing::ValuesIn(region_test::source_kinds()),
                         region_test::name_of_kind);

struct live_block {
  void* data;
  std::size_t size;
  std::size_t tag;
};

void push(stack_resource& tested, std::vector<live_block>& live, std::size_t size,
          std::size_t alignment) {
  void* const data = tested.try_allocate(size, alignment);
  ASSERT_NE(data, nullptr);
  ASSERT_EQ(reinterpret_cast<std::uintptr_t>(data) % alignment, 0U);
  acre_test::fill_pattern(data, size, live.size());
  live.push_back({data, size, live.size()});
}

void pop(stack_resource& tested, std::vector<live_block>& live) {
  const live_block last = live.back();
  ASSERT_TRUE(tested.is_newest(last.data));
  ASSERT_TRUE(acre_test::holds_pattern(last.data, last.size, last.tag));
  tested.deallocate(last.data, last.size);
  live.pop_back();
}

TEST_P(stack_over, does_what_the_model_says) {
  acre_test::random_source random(5);
  stack_resource tested({.from = &this->tested(), .first_block_bytes = 1 + random.below(20'000)});
  std::vector<live_block> live;
  for (int step = 0; step < 6000; ++step) {
    if (random.below(100) < (step < 3000 ? 60U : 45U)) {
      push(tested, live, random.size_up_to(11), std::size_t{1} << random.below(9));
    } else if (!live.empty()) {
      pop(tested, live);
    }
    if (HasFatalFailure()) return;
    ASSERT_EQ(tested.statistics().live_blocks, live.size());
    if (step % 64 == 0) {
      ASSERT_TRUE(tested.check_invariants());
    }
  }
  while (!live.empty())
    pop(tested, live);
  EXPECT_EQ(tested.statistics().used_bytes, 0U);
  EXPECT_GT(tested.statistics().used_bytes_peak, 0U);
}

TEST_P(stack_over, survives_every_refusal_of_its_source) {
  for (std::size_t good_takes = 0; good_takes < 4; ++good_takes) {
    region_test::failing_source failing(this->tested());
    failing.fail_after(good_takes);
    stack_resource tested({.from = &failing, .first_block_bytes = 4096});
    std::vector<live_block> live;
    while (void* const data = tested.try_allocate(100))
      live.push_back({data, 0, live.size()});
    EXPECT_EQ(live.size() > 0, good_takes > 0);
    EXPECT_THROW((void)tested.allocate(100), refused);
    EXPECT_TRUE(tested.check_invariants());
    failing.never_fail();
    push(tested, live, 1000, 64);
    while (!live.empty())
      pop(tested, live);
  }
}

TEST(stack, does_not_ask_its_source_again_and_again_at_a_border) {
  stack_resource tested({.first_block_bytes = 4096});
  while (tested.statistics().held_bytes <= 4096)
    (void)tested.allocate(100);
  void* at_border = tested.allocate(100);
  const std::size_t takes = default_source().statistics().takes;
  for (int round = 0; round < 1000; ++round) {
    tested.deallocate(at_border);
    at_border = tested.allocate(100);
  }
  EXPECT_EQ(default_source().statistics().takes, takes);
  tested.release();
  EXPECT_EQ(tested.statistics().used_bytes, 0U);
  EXPECT_EQ(tested.statistics().live_blocks, 0U);
}

TEST(stack, finds_out_of_order_releases_in_every_build) {
  stack_resource tested({.name = "scratch"});
  void* const first = tested.allocate(10);
  void* const second = tested.allocate(10);
  int foreign = 0;
  EXPECT_DEATH(tested.deallocate(first), "region 'scratch': .*out of order");
  EXPECT_DEATH(tested.deallocate(&foreign), "not of this stack");
  tested.deallocate(second);
  EXPECT_DEATH(tested.deallocate(second), "free already");
  tested.deallocate(first);
}

TEST(stack, defers_out_of_order_releases_when_told_to) {
  stack_resource tested({.when_out_of_order = out_of_order::defer});
  acre_test::random_source random(6);
  for (int round = 0; round < 200; ++round) {
    std::vector<live_block> live;
    for (int count = 0; count < 30; ++count)
      push(tested, live, random.below(300), 16);
    while (!live.empty()) {
      const std::size_t index = random.below(live.size());
      ASSERT_TRUE(acre_test::holds_pattern(live[index].data, live[index].size, live[index].tag));
      tested.deallocate(live[index].data);
      live.erase(live.begin() + static_cast<std::ptrdiff_t>(index));
      ASSERT_EQ(tested.statistics().live_blocks, live.size());
      ASSERT_TRUE(tested.check_invariants());
    }
    ASSERT_EQ(tested.statistics().used_bytes, 0U);
    ASSERT_EQ(tested.statistics().deferred_blocks, 0U);
  }
  std::pmr::vector<int> growing(&tested);
  for (int number = 0; number < 10'000; ++number)
    growing.push_back(number);
  EXPECT_EQ(growing.back(), 9999);
}

TEST(stack, scopes_free_what_was_made_in_them) {
  stack_resource tested({.name = "scratch"});
  void* const before = tested.allocate(10);
  {
    const stack_resource::scope outer(tested);
    (void)tested.allocate(10);
    {
      const stack_resource::scope inner(tested);
      for (int count = 0; count < 1000; ++count)
        (void)tested.allocate(100);
    }
    EXPECT_EQ(tested.statistics().live_blocks, 2U);
  }
  EXPECT_EQ(tested.statistics().live_blocks, 1U);
  EXPECT_TRUE(tested.is_newest(before));
  std::optional<stack_resource::scope> outer(std::in_place, tested);
  std::optional<stack_resource::scope> inner(std::in_place, tested);
  EXPECT_DEATH(outer.reset(), "a scope ended before one that began later");
  EXPECT_DEATH(tested.release(), "released while a scope is open");
  inner.reset();
  EXPECT_DEATH(
      {
        tested.deallocate(before);
        outer.reset();
      },
      "a block was freed that is older");
}

TEST(stack, does_when_exhausted_what_it_was_told) {
  std::pmr::monotonic_buffer_resource resource;
  stack_resource upstream({.first_block_bytes = 4096,
                           .budget_bytes = 8192,
                           .when_exhausted = exhaustion::upstream(resource)});
  std::vector<live_block> live;
  for (int count = 0; count < 1000; ++count)
    push(upstream, live, 100, 16);
  EXPECT_GT(upstream.statistics().held_bytes, 100'000U);
  while (!live.empty())
    pop(upstream, live);

  const auto make_room = [](void* context, const shortage& lack) noexcept {
    auto& tested = **static_cast<stack_resource**>(context);
    EXPECT_STREQ(lack.why.call, "budget");
    tested.set_budget_bytes(tested.budget_bytes() * 2);
    return tested.budget_bytes() <= 65'536;
  };
  stack_resource* itself = nullptr;
  stack_resource asking({.first_block_bytes = 4096,
                         .budget_bytes = 8192,
                         .when_exhausted = exhaustion::call(make_room, &itself)});
  itself = &asking;
  std::size_t served = 0;
  while (asking.try_allocate(100) != nullptr)
    ++served;
  EXPECT_GT(served, 200U);
  EXPECT_LE(asking.statistics().held_bytes, 65'536U);
  asking.release();
}

TEST(stack, works_in_a_callers_buffer) {
  alignas(16) std::array<std::byte, 4096> buffer{};
  buffer_source from(buffer);
  stack_resource tested(
      {.from = &from, .first_block_bytes = 4096, .when_exhausted = exhaustion::fail()});
  std::vector<void*> live;
  while (void* const data = tested.try_allocate(100))
    live.push_back(data);
  EXPECT_GE(live.size(), 25U);
  for (; !live.empty(); live.pop_back())
    tested.deallocate(live.back());
  EXPECT_TRUE(tested.owns(tested.allocate(1)));
}

}  // namespace
