/// The arena against a model, over every source: what is live keeps its contents, markers return to
/// exactly where they were made, destructors run once and in reverse.
#include <acre/region/arena.hpp>
#include <acre/region/child_arena.hpp>
#include <acre/region/refused.hpp>

#include "region/sources.hpp"
#include "support/pattern.hpp"
#include "support/random.hpp"

#include <array>
#include <cstdint>
#include <memory_resource>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace {

using namespace acre::region;

constexpr std::size_t kibibyte = 1024;
constexpr std::size_t mebibyte = std::size_t{1} << 20U;

class arena_over : public region_test::over_each_source {};

INSTANTIATE_TEST_SUITE_P(source, arena_over, testing::ValuesIn(region_test::source_kinds()),
                         region_test::name_of_kind);

/// What an arena should hold: blocks in the order they were made, and markers between them.
class arena_model {
 public:
  explicit arena_model(arena& tested) : arena_(&tested) {}

  void allocate(std::size_t size, std::size_t alignment) {
    void* const data = arena_->try_allocate(size, alignment);
    ASSERT_NE(data, nullptr);
    ASSERT_EQ(reinterpret_cast<std::uintptr_t>(data) % alignment, 0U);
    blocks_.push_back({static_cast<std::byte*>(data), size, ++tag_});
    acre_test::fill_pattern(data, size, tag_);
    ASSERT_TRUE(arena_->owns(data) || size == 0);
  }

  /// Frees a block; small ones keep their memory, large ones do not.
  void deallocate(std::size_t index) {
    live_block& freed = blocks_[index];
    if (freed.is_freed) return;
    ASSERT_TRUE(acre_test::holds_pattern(freed.data, freed.size, freed.tag));
    arena_->deallocate(freed.data, freed.size);
    freed.is_freed = true;
  }

  void mark() { marks_.push_back({arena_->mark(), blocks_.size()}); }

  void rollback(std::size_t index) {
    arena_->rollback(marks_[index].marker);
    blocks_.resize(marks_[index].blocks);
    stale_.insert(stale_.end(), marks_.begin() + static_cast<std::ptrdiff_t>(index) + 1,
                  marks_.end());
    // A mark made at the same place is the same mark, and is still good.
    std::erase_if(stale_, [&](const placed_mark& mark) { return mark.blocks == blocks_.size(); });
    marks_.resize(index + 1);
  }

  void reset(keep what) {
    arena_->reset(what);
    blocks_.clear();
    stale_.insert(stale_.end(), marks_.begin(), marks_.end());
    marks_.clear();
  }

  void check() {
    ASSERT_TRUE(arena_->check_invariants());
    std::size_t least_bytes = 0;
    for (const live_block& block : blocks_) {
      if (block.is_freed) continue;
      ASSERT_TRUE(acre_test::holds_pattern(block.data, block.size, block.tag));
      least_bytes += block.size;
    }
    ASSERT_GE(arena_->statistics().used_bytes, least_bytes);
    ASSERT_LE(arena_->statistics().used_bytes, arena_->statistics().held_bytes);
    for (const placed_mark& mark : stale_)
      ASSERT_FALSE(arena_->try_rollback(mark.marker));
    stale_.clear();
  }

  [[nodiscard]] std::size_t marks() const { return marks_.size(); }
  [[nodiscard]] std::size_t blocks() const { return blocks_.size(); }

 private:
  struct live_block {
    std::byte* data;
    std::size_t size;
    std::size_t tag;
    bool is_freed = false;
  };
  struct placed_mark {
    arena::marker marker;
    std::size_t blocks;
  };

  arena* arena_;
  std::vector<live_block> blocks_;
  std::vector<placed_mark> marks_;
  std::vector<placed_mark> stale_;
  std::size_t tag_ = 0;
};

keep any_policy(acre_test::random_source& random) {
  const std::array policies{keep::all(), keep::nothing(), keep::up_to(random.below(mebibyte)),
                            keep::recent(1 + static_cast<unsigned>(random.below(100)), 8)};
  return policies[random.below(policies.size())];
}

TEST_P(arena_over, does_what_the_model_says) {
  acre_test::random_source random(3);
  arena tested({.from = &this->tested(), .first_block_bytes = 1 + random.below(20'000)});
  arena_model model(tested);
  for (int step = 0; step < 3000; ++step) {
    const std::size_t action = random.below(100);
    if (action < 80) {
      model.allocate(1 + random.size_up_to(12), std::size_t{1} << random.below(9));
    } else if (action < 90) {
      model.mark();
    } else if (action < 99 && model.marks() > 0) {
      model.rollback(random.below(model.marks()));
    } else if (random.below(5) == 0) {
      model.reset(any_policy(random));
    }
    if (step % 16 == 0) model.check();
    if (HasFatalFailure()) return;
  }
  model.check();
}

TEST_P(arena_over, does_what_the_model_says_with_large_blocks) {
  acre_test::random_source random(8);
  arena tested({.from = &this->tested(),
                .own_block_bytes = arena::least_own_block_bytes,
                .on_reset = keep::recent(50, 4)});
  arena_model model(tested);
  for (int step = 0; step < 400; ++step) {
    const std::size_t action = random.below(100);
    if (action < 20) {
      model.allocate(arena::least_own_block_bytes + random.below(300'000),
                     std::size_t{1} << random.below(14));
    } else if (action < 45) {
      model.allocate(1 + random.size_up_to(10), 16);
    } else if (action < 80 && model.blocks() > 0) {
      model.deallocate(random.below(model.blocks()));
    } else if (action < 90) {
      model.mark();
    } else if (action < 97 && model.marks() > 0) {
      model.rollback(random.below(model.marks()));
    } else if (tested.statistics().own_blocks > 10 || random.below(5) == 0) {
      model.reset(any_policy(random));
    }
    if (step % 8 == 0) model.check();
    if (HasFatalFailure()) return;
  }
  model.check();
  model.reset(keep::nothing());
  EXPECT_EQ(this->tested().statistics().held_bytes, 0U);
}

TEST_P(arena_over, gives_everything_back) {
  {
    arena tested(this->tested());
    for (int round = 0; round < 20; ++round) {
      for (std::size_t size = 1; size < 100'000; size *= 3)
        acre_test::fill_pattern(tested.allocate(size), size, size);
      tested.reset(round % 2 == 0 ? keep::all() : keep::nothing());
      if (round % 2 == 1) {
        EXPECT_EQ(this->tested().statistics().held_bytes, 0U);
      }
    }
    EXPECT_EQ(this->tested().statistics().held_bytes, tested.statistics().held_bytes);
  }
  EXPECT_EQ(this->tested().statistics().held_bytes, 0U);
}

TEST_P(arena_over, survives_every_refusal_of_its_source) {
  for (std::size_t good_takes = 0; good_takes < 5; ++good_takes) {
    region_test::failing_source failing(this->tested());
    failing.fail_after(good_takes);
    arena tested({.from = &failing, .first_block_bytes = 4096});
    arena_model model(tested);
    std::size_t served = 0;
    while (tested.try_allocate(1000) != nullptr)
      ++served;
    EXPECT_EQ(served > 0, good_takes > 0);
    EXPECT_TRUE(tested.check_invariants());
    try {
      (void)tested.allocate(1000);
      ADD_FAILURE() << "an exhausted arena must throw";
    } catch (const refused& error) {
      EXPECT_STREQ(error.why().call, "injected");
    }
    failing.never_fail();
    model.allocate(1000, 16);
    model.check();
  }
}

TEST_P(arena_over, takes_back_what_its_children_had) {
  arena tested(this->tested());
  const std::string_view kept = tested.copy("kept");
  const std::size_t used = tested.statistics().used_bytes;
  for (int round = 0; round < 3; ++round) {
    child_arena child(tested);
    arena_model model(*child);
    for (std::size_t size = 10; size < 1'000'000; size *= 2)
      model.allocate(size, 16);
    model.deallocate(model.blocks() - 1);
    child_arena grandchild(*child);
    arena_model inner(*grandchild);
    inner.allocate(300'000, 64);
    inner.check();
    model.check();
  }
  EXPECT_EQ(kept, "kept");
  EXPECT_EQ(tested.statistics().used_bytes, used);
  EXPECT_TRUE(tested.check_invariants());
}

TEST(arena, aligns_objects_to_what_they_need) {
  struct alignas(4096) page {
    std::array<std::byte, 4096> bytes;
  };
  arena tested;
  for (int count = 0; count < 20; ++count) {
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(tested.make<page>()) % 4096, 0U);
    EXPECT_NE(tested.make<char>('x'), nullptr);
  }
  EXPECT_NE(tested.allocate(0, 1), nullptr);
}

TEST(arena, hands_out_neighbours_when_nobody_watches) {
  arena tested;
  auto* const first = static_cast<std::byte*>(tested.allocate(24, 8));
  auto* const second = static_cast<std::byte*>(tested.allocate(24, 8));
  EXPECT_GE(second - first, 24);
  EXPECT_LE(second - first, 48);
}

/// Writes its name to a list when it dies.
struct witness {
  std::vector<int>* dead;
  int name;
  witness(std::vector<int>& list, int number) : dead(&list), name(number) {}
  witness(const witness&) = delete;
  witness& operator=(const witness&) = delete;
  ~witness() { dead->push_back(name); }
};

TEST(arena, runs_destructors_in_reverse_and_once) {
  std::vector<int> dead;
  {
    arena tested;
    tested.make<witness>(dead, 1);
    const arena::marker marker = tested.mark();
    tested.make<witness>(dead, 2);
    tested.make<int>(7);
    tested.make<witness>(dead, 3);
    EXPECT_EQ(tested.statistics().destructors, 3U);
    tested.rollback(marker);
    EXPECT_EQ(dead, (std::vector{3, 2}));
    tested.make<witness>(dead, 4);
    tested.reset();
    EXPECT_EQ(dead, (std::vector{3, 2, 4, 1}));
    tested.make<witness>(dead, 5);
  }
  EXPECT_EQ(dead, (std::vector{3, 2, 4, 1, 5}));
}

TEST(arena, registers_only_destructors_that_do_something) {
  arena tested;
  tested.make<int>(1);
  tested.make_array<double>(100);
  EXPECT_EQ(tested.statistics().destructors, 0U);
  tested.make<std::string>("text");
  tested.make_array<std::string>(10);
  EXPECT_EQ(tested.statistics().destructors, 2U);
}

TEST(arena, makes_and_destroys_arrays) {
  static int alive = 0;
  struct counted {
    int value = 7;
    counted() { ++alive; }
    counted(const counted&) = delete;
    counted& operator=(const counted&) = delete;
    ~counted() { --alive; }
  };
  arena tested;
  const std::span<counted> made = tested.make_array<counted>(50);
  ASSERT_EQ(made.size(), 50U);
  EXPECT_EQ(made.back().value, 7);
  EXPECT_EQ(alive, 50);
  EXPECT_TRUE(tested.make_array<counted>(0).empty());
  EXPECT_THROW((void)tested.make_array<counted>(SIZE_MAX / 2), std::bad_alloc);
  tested.reset();
  EXPECT_EQ(alive, 0);
}

TEST(arena, does_not_destroy_what_was_never_constructed) {
  std::vector<int> dead;
  struct throwing {
    witness first;
    explicit throwing(std::vector<int>& list) : first(list, 1) { throw std::runtime_error("no"); }
  };
  arena tested;
  EXPECT_THROW(tested.make<throwing>(dead), std::runtime_error);
  EXPECT_EQ(dead, std::vector{1});
  tested.reset();
  EXPECT_EQ(dead, std::vector{1});
}

TEST(arena, gives_itself_to_objects_that_take_an_allocator) {
  arena tested;
  auto* const words = tested.make<std::pmr::vector<std::pmr::string>>();
  words->emplace_back("a word that does not fit into the object itself");
  EXPECT_EQ(words->get_allocator().resource(), &tested);
  EXPECT_TRUE(tested.owns(words->data()));
  EXPECT_TRUE(tested.owns(words->front().data()));
}

TEST(arena, serves_pmr_containers_through_the_base) {
  arena tested;
  std::pmr::memory_resource* const base = &tested;
  std::pmr::vector<int> numbers(base);
  for (int number = 0; number < 10'000; ++number)
    numbers.push_back(number);
  EXPECT_EQ(numbers[9999], 9999);
  EXPECT_TRUE(tested.owns(numbers.data()));
  EXPECT_TRUE(*base == tested);
  EXPECT_FALSE(*base == *std::pmr::new_delete_resource());
}

TEST(arena, copies_text) {
  arena tested;
  std::string text = "before";
  const std::string_view copied = tested.copy(text);
  text = "after!";
  EXPECT_EQ(copied, "before");
  EXPECT_TRUE(tested.copy({}).empty());
}

TEST(arena, keeps_what_its_policy_says) {
  const auto held_after = [](keep what) {
    arena tested({.first_block_bytes = 16 * kibibyte, .on_reset = what});
    for (int count = 0; count < 1000; ++count)
      (void)tested.allocate(1000);
    tested.reset();
    EXPECT_EQ(tested.statistics().used_bytes, 0U);
    return tested.statistics().held_bytes;
  };
  EXPECT_GE(held_after(keep::all()), 1000U * 1000U);
  EXPECT_EQ(held_after(keep::nothing()), 0U);
  EXPECT_LE(held_after(keep::up_to(200 * kibibyte)), 200 * kibibyte);
  EXPECT_GT(held_after(keep::up_to(200 * kibibyte)), 50 * kibibyte);
  EXPECT_EQ(held_after(keep::up_to(10)), 0U);
}

TEST(arena, forgets_a_single_large_use_and_keeps_the_usual) {
  arena tested({.first_block_bytes = 4 * kibibyte, .on_reset = keep::recent(90, 20)});
  const auto use = [&](std::size_t size_bytes) {
    for (std::size_t used = 0; used < size_bytes; used += 1000)
      (void)tested.allocate(1000);
    tested.reset();
    return tested.statistics().held_bytes;
  };
  for (int round = 0; round < 20; ++round)
    use(100'000);
  EXPECT_GE(use(100'000), 100'000U);
  EXPECT_LT(use(20'000'000), mebibyte) << "one in twenty is beyond the 90th percentile";
  for (int round = 0; round < 3; ++round)
    use(5'000'000);
  EXPECT_GE(use(5'000'000), 5'000'000U) << "what happens often is kept";
  for (int round = 0; round < 20; ++round)
    use(100'000);
  EXPECT_LT(use(100'000), mebibyte) << "and is forgotten when it has become rare";
}

TEST(arena, reuses_kept_memory_without_asking_its_source) {
  arena tested({.first_block_bytes = 4 * kibibyte});
  const auto use = [&] {
    for (int count = 0; count < 500; ++count)
      (void)tested.allocate(300);
    tested.reset();
  };
  use();
  const std::size_t takes = default_source().statistics().takes;
  for (int round = 0; round < 50; ++round)
    use();
  EXPECT_EQ(default_source().statistics().takes, takes);
}

TEST(arena, gives_large_blocks_back_when_they_are_freed) {
  arena tested;
  constexpr std::size_t large = 8 * mebibyte;
  void* const first = tested.allocate(large, 4096);
  (void)tested.allocate(large);
  EXPECT_EQ(tested.statistics().own_blocks, 2U);
  EXPECT_TRUE(tested.owns(static_cast<std::byte*>(first) + large - 1));
  tested.deallocate(first, large);
  EXPECT_EQ(tested.statistics().own_blocks, 1U);
  EXPECT_LT(tested.statistics().held_bytes, 9 * mebibyte);
  EXPECT_LT(tested.statistics().used_bytes, 9 * mebibyte);
  EXPECT_GE(tested.statistics().used_bytes_peak, 2 * large);
  EXPECT_FALSE(tested.owns(first));
  tested.reset(keep::nothing());
  EXPECT_EQ(tested.statistics().held_bytes, 0U);
}

TEST(arena, a_growing_vector_leaves_little_behind) {
  arena tested;
  std::pmr::vector<int> growing(&tested);
  for (int number = 0; number < 5'000'000; ++number)
    growing.push_back(number);
  EXPECT_LT(tested.statistics().held_bytes, growing.capacity() * sizeof(int) + 3 * mebibyte);
  EXPECT_EQ(growing[4'999'999], 4'999'999);
}

TEST(arena, uses_the_memory_of_freed_large_blocks_again) {
  arena tested;
  const auto use = [&] { tested.deallocate(tested.allocate(500'000), 500'000); };
  use();
  const std::size_t takes = default_source().statistics().takes;
  for (int round = 0; round < 50; ++round)
    use();
  for (int round = 0; round < 50; ++round) {
    (void)tested.allocate(400'000);
    tested.reset();
  }
  EXPECT_EQ(default_source().statistics().takes, takes);
  EXPECT_LT(tested.statistics().held_bytes, mebibyte);
}

TEST(arena, frees_the_large_blocks_behind_a_mark_and_keeps_those_before_it) {
  arena tested;
  constexpr std::size_t large = 2 * mebibyte;
  void* const kept = tested.allocate(large);
  acre_test::fill_pattern(kept, large, 1);
  const arena::marker marker = tested.mark();
  for (int round = 0; round < 3; ++round) {
    void* const freed = tested.allocate(large);
    (void)tested.allocate(large);
    tested.deallocate(freed, large);
    {
      const arena::scope scope(tested);
      (void)tested.allocate(large);
      EXPECT_EQ(tested.statistics().own_blocks, 3U);
    }
    EXPECT_EQ(tested.statistics().own_blocks, 2U);
    tested.rollback(marker);
    EXPECT_EQ(tested.statistics().own_blocks, 1U);
  }
  EXPECT_TRUE(acre_test::holds_pattern(kept, large, 1));
  tested.deallocate(kept, large);
  tested.rollback(marker);
  EXPECT_EQ(tested.statistics().own_blocks, 0U);
  EXPECT_TRUE(tested.check_invariants());
}

TEST(arena, destroys_large_objects_before_their_memory_goes) {
  struct wide {
    std::vector<int>* dead;
    std::array<char, 300'000> bytes;
    explicit wide(std::vector<int>& list) : dead(&list), bytes{} {}
    wide(const wide&) = delete;
    wide& operator=(const wide&) = delete;
    ~wide() { dead->push_back(bytes[299'999]); }
  };
  std::vector<int> dead;
  arena tested;
  const arena::marker marker = tested.mark();
  tested.make<wide>(dead)->bytes[299'999] = 7;
  tested.rollback(marker);
  tested.make<wide>(dead)->bytes[299'999] = 8;
  tested.reset();
  EXPECT_EQ(dead, (std::vector{7, 8}));
}

TEST(arena, makes_room_for_large_requests_inside_what_it_has) {
  arena tested({.first_block_bytes = mebibyte, .own_block_bytes = 1, .budget_bytes = mebibyte});
  (void)tested.allocate(100);
  void* const inside = tested.allocate(300'000, 4096);
  EXPECT_EQ(tested.statistics().own_blocks, 0U) << "the budget has no block of its own for it";
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(inside) % 4096, 0U);
  acre_test::fill_pattern(inside, 300'000, 1);
  (void)tested.allocate(100'000);
  EXPECT_TRUE(acre_test::holds_pattern(inside, 300'000, 1));
  tested.deallocate(inside, 300'000);
  EXPECT_EQ(tested.try_allocate(900'000), nullptr);
  EXPECT_TRUE(tested.check_invariants());
  arena in_one_block({.first_block_bytes = 2 * mebibyte, .own_block_bytes = 0});
  (void)in_one_block.allocate(mebibyte);
  EXPECT_EQ(in_one_block.statistics().own_blocks, 0U) << "a first block so large was asked for";
}

TEST(arena, refuses_a_large_block_freed_with_another_size) {
  arena tested({.name = "frames"});
  void* const data = tested.allocate(300'000);
  EXPECT_DEATH(tested.deallocate(data, 300'001), "region 'frames': a large block was freed");
  EXPECT_DEATH(tested.deallocate(static_cast<std::byte*>(data) + 256, 300'000), "a large block");
  tested.freeze();
  EXPECT_EQ(tested.try_allocate(300'000), nullptr);
  tested.deallocate(data, 300'000);
  EXPECT_EQ(tested.statistics().own_blocks, 0U) << "a frozen arena takes nothing, but gives";
}

TEST(arena, gives_the_same_marker_for_the_same_place) {
  arena tested;
  (void)tested.allocate(100);
  const arena::marker first = tested.mark();
  const std::size_t used = tested.statistics().used_bytes;
  for (int round = 0; round < 1000; ++round) {
    (void)tested.allocate(100);
    tested.rollback(first);
    const arena::marker again = tested.mark();
    (void)tested.allocate(10);
    tested.rollback(again);
  }
  EXPECT_EQ(tested.statistics().used_bytes, used) << "trying again and again costs nothing";
}

TEST(arena, refuses_stale_and_foreign_markers_in_every_build) {
  arena tested({.name = "parser"});
  arena other;
  const arena::marker outer = tested.mark();
  (void)tested.allocate(1);
  const arena::marker inner = tested.mark();
  EXPECT_TRUE(tested.try_rollback(inner));
  EXPECT_STREQ(other.try_rollback(inner).error().call, "rollback: foreign marker");
  EXPECT_EQ(tested.try_rollback({}).error().number, EINVAL);
  tested.rollback(outer);
  // The arena has grown past where the inner marker was made, so its place looks alive again.
  (void)tested.allocate(1000);
  (void)tested.mark();
  EXPECT_STREQ(tested.try_rollback(inner).error().call, "rollback: stale marker");
  EXPECT_DEATH(tested.rollback(inner), "region 'parser': rolled back to a stale marker");
  EXPECT_DEATH(other.rollback(outer), "marker of another arena");
  tested.reset();
  EXPECT_FALSE(tested.try_rollback(outer));
}

TEST(arena, scopes_nest_and_free_at_their_end) {
  std::vector<int> dead;
  arena tested;
  tested.make<witness>(dead, 1);
  const std::size_t used = tested.statistics().used_bytes;
  {
    const arena::scope outer(tested);
    tested.make<witness>(dead, 2);
    {
      const arena::scope inner(tested);
      for (int count = 0; count < 100; ++count)
        (void)tested.allocate(1000);
      tested.make<witness>(dead, 3);
    }
    EXPECT_EQ(dead, std::vector{3});
    tested.make<witness>(dead, 4);
  }
  EXPECT_EQ(dead, (std::vector{3, 4, 2}));
  EXPECT_EQ(tested.statistics().used_bytes, used);
  EXPECT_TRUE(tested.check_invariants());
}

TEST(arena, a_scope_that_outlives_its_beginning_is_an_error) {
  arena tested;
  EXPECT_DEATH(
      {
        const arena::scope scope(tested);
        tested.reset();
      },
      "a scope ended after the arena was reset");
}

TEST(arena, frozen_gives_nothing_until_thawed) {
  arena tested({.name = "settings"});
  (void)tested.allocate(100);
  tested.freeze();
  EXPECT_TRUE(tested.is_frozen());
  EXPECT_EQ(tested.try_allocate(1), nullptr);
  EXPECT_EQ(tested.try_allocate(0), nullptr);
  EXPECT_THROW(tested.make<int>(1), refused);
  EXPECT_THROW((void)tested.mark(), std::bad_alloc);
  tested.reset();
  EXPECT_EQ(tested.try_allocate(1), nullptr);
  tested.thaw();
  EXPECT_NE(tested.try_allocate(1), nullptr);
}

TEST(arena, stays_inside_its_budget) {
  for (const std::size_t budget : {std::size_t{10'000}, std::size_t{100'000}, mebibyte}) {
    arena tested({.first_block_bytes = 4096, .budget_bytes = budget});
    std::size_t served = 0;
    while (tested.try_allocate(100) != nullptr)
      served += 100;
    EXPECT_LE(tested.statistics().held_bytes, budget);
    EXPECT_GE(served, budget * 6 / 10) << "smaller blocks fill up what is left";
    tested.set_budget_bytes(2 * budget);
    EXPECT_NE(tested.try_allocate(100), nullptr);
    EXPECT_EQ(tested.budget_bytes(), 2 * budget);
  }
}

TEST(arena, that_may_not_grow_takes_its_memory_at_once) {
  alignas(16) std::array<std::byte, 8192> buffer{};
  buffer_source from(buffer);
  arena tested({.from = &from, .first_block_bytes = 8192, .when_exhausted = exhaustion::fail()});
  EXPECT_EQ(from.statistics().held_bytes, 8192U);
  for (int round = 0; round < 3; ++round) {
    std::size_t served = 0;
    while (tested.try_allocate(64) != nullptr)
      ++served;
    EXPECT_GE(served, 8000U / (64 + 16));
    try {
      (void)tested.allocate(64);
      ADD_FAILURE() << "must throw";
    } catch (const refused& error) {
      EXPECT_STREQ(error.why().call, "exhaustion::fail");
      EXPECT_NE(std::string(error.what()).find("exhaustion::fail"), std::string::npos);
    }
    tested.reset(keep::nothing());
  }
  EXPECT_THROW(arena({.from = &from, .when_exhausted = exhaustion::fail()}), refused);
}

TEST(arena, goes_on_upstream_when_its_budget_ends) {
  std::pmr::monotonic_buffer_resource upstream;
  arena tested({.first_block_bytes = 4096,
                .budget_bytes = 8192,
                .when_exhausted = exhaustion::upstream(upstream)});
  arena_model model(tested);
  for (int count = 0; count < 1000; ++count)
    model.allocate(100, 8);
  model.check();
  EXPECT_GT(tested.statistics().held_bytes, 100'000U);
  model.reset(keep::nothing());
  EXPECT_EQ(tested.statistics().held_bytes, 0U);
}

TEST(arena, asks_its_callback_for_room) {
  struct helper {
    arena* tested = nullptr;
    int calls = 0;
    std::size_t lacked_bytes = 0;
    static bool help(void* context, const shortage& lack) noexcept {
      auto& self = *static_cast<helper*>(context);
      self.lacked_bytes = lack.size_bytes;
      EXPECT_STREQ(lack.why.call, "budget");
      if (++self.calls > 3) return false;
      self.tested->set_budget_bytes(self.tested->budget_bytes() + 8192);
      return true;
    }
  } helper;
  arena tested({.first_block_bytes = 4096,
                .budget_bytes = 4096,
                .when_exhausted = exhaustion::call(helper::help, &helper)});
  helper.tested = &tested;
  std::size_t served = 0;
  while (tested.try_allocate(1000) != nullptr)
    ++served;
  EXPECT_EQ(helper.calls, 4);
  EXPECT_GE(helper.lacked_bytes, 1000U);
  EXPECT_GE(served, 18U);
}

TEST(arena, refuses_impossible_sizes) {
  arena tested;
  (void)tested.allocate(8);
  for (const std::size_t size : {SIZE_MAX, SIZE_MAX - 100, SIZE_MAX / 2, SIZE_MAX / 4}) {
    EXPECT_EQ(tested.try_allocate(size), nullptr) << size;
    EXPECT_THROW((void)tested.allocate(size), std::bad_alloc);
  }
  EXPECT_TRUE(tested.check_invariants());
  EXPECT_NE(tested.try_allocate(8), nullptr);
}

TEST(arena, keeps_its_name_up_to_31_bytes) {
  EXPECT_EQ(arena().name(), "");
  const std::string text(40, 'n');
  EXPECT_EQ(arena({.name = text}).name(), text.substr(0, 31));
}

TEST(usage_history, finds_percentiles_of_what_is_recent) {
  usage_history history;
  EXPECT_EQ(history.percentile_bytes(90, 10), 0U);
  for (std::size_t use = 1; use <= 100; ++use)
    history.record(use * kibibyte);
  EXPECT_EQ(history.percentile_bytes(100, 10), 100 * kibibyte);
  EXPECT_EQ(history.percentile_bytes(90, 10), 99 * kibibyte);
  EXPECT_EQ(history.percentile_bytes(10, 10), 91 * kibibyte);
  EXPECT_EQ(history.percentile_bytes(50, 64), 68 * kibibyte);
  history.record(1);
  EXPECT_EQ(history.percentile_bytes(1, 1), kibibyte);
}

}  // namespace
