/// Typed containers and owners: they stay with their region, and what would break that is refused.
#include <acre/region/allocator.hpp>
#include <acre/region/arena.hpp>
#include <acre/region/containers.hpp>

#include <memory_resource>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>

#include <gtest/gtest.h>

namespace {

namespace region = acre::region;
using region::arena;

static_assert(!std::is_default_constructible_v<region::region_allocator<int, arena>>,
              "a container without a region would have to use some default");
static_assert(!std::is_constructible_v<region::region_allocator<int, arena>, arena&&>,
              "a region that dies at once cannot be used");
static_assert(!std::is_assignable_v<region::vector<int, arena>&,
                                    region::vector<int, std::pmr::memory_resource>>,
              "regions of two types do not mix");

struct base {
  virtual ~base() = default;
  int value = 1;
};
struct derived : base {
  double more = 2;
};
static_assert(
    !std::is_convertible_v<region::region_ptr<derived, arena>, region::region_ptr<base, arena>>,
    "the region must be told the size that was allocated");

TEST(containers, live_in_their_region) {
  arena tested;
  region::map<int, region::string<>> names(tested);
  for (int key = 0; key < 100; ++key)
    names.emplace(key, region::string<>(50, 'x', tested));
  region::unordered_map<int, int> numbers(tested);
  numbers[3] = 4;
  region::list<int> list({1, 2, 3}, tested);
  region::vector<int> vector({1, 2, 3}, tested);
  EXPECT_TRUE(tested.owns(&names.at(50)));
  EXPECT_TRUE(tested.owns(names.at(50).data()));
  EXPECT_TRUE(tested.owns(&list.front()));
  EXPECT_TRUE(tested.owns(vector.data()));
}

TEST(containers, copies_stay_where_the_target_is) {
  arena one;
  arena other;
  const region::vector<int> original({1, 2, 3}, one);
  const region::vector<int> constructed(original);
  EXPECT_TRUE(one.owns(constructed.data()));
  const region::vector<int> elsewhere(original, other);
  EXPECT_TRUE(other.owns(elsewhere.data()));
  region::vector<int> assigned(other);
  assigned = original;
  EXPECT_TRUE(other.owns(assigned.data()));
  EXPECT_EQ(assigned, original);
}

TEST(containers, move_within_one_region) {
  arena tested;
  region::vector<int> from({1, 2, 3}, tested);
  const int* const data = from.data();
  region::vector<int> to(tested);
  to = std::move(from);
  EXPECT_EQ(to.data(), data);
  region::vector<int> third({4}, tested);
  swap(to, third);
  EXPECT_EQ(third.data(), data);
}

TEST(containers, moving_to_another_region_is_an_error_in_every_build) {
  arena one({.name = "request"});
  arena other({.name = "cache"});
  region::vector<int> in_one({1, 2, 3}, one);
  region::vector<int> in_other({4}, other);
  EXPECT_DEATH(in_other = std::move(in_one), "region 'cache'.*region 'request'");
  EXPECT_DEATH(swap(in_one, in_other), "copy its elements");
}

TEST(containers, that_outlive_their_region_are_found_in_checked_builds) {
  if (!region::are_leases_checked) GTEST_SKIP() << "this build does not check contracts";
  EXPECT_DEATH(
      {
        arena tested({.name = "request"});
        region::vector<int> left({1, 2, 3}, tested);
        tested.reset();
      },
      "region 'request': reset while a container");
  EXPECT_DEATH(
      {
        std::optional<arena> tested(std::in_place);
        const auto left = region::make_unique<int>(*tested, 1);
        tested.reset();
      },
      "destroyed while a container or owner");
}

TEST(containers, made_inside_the_arena_die_with_it) {
  arena tested;
  auto* const inside = tested.make<region::vector<int>>(tested);
  inside->assign(1000, 7);
  tested.reset();
  EXPECT_EQ(tested.statistics().used_bytes, 0U);
}

TEST(region_ptr, destroys_its_object) {
  arena tested;
  static int alive = 0;
  struct counted {
    counted() { ++alive; }
    counted(const counted&) = delete;
    counted& operator=(const counted&) = delete;
    ~counted() { --alive; }
  };
  {
    const region::region_ptr<counted, arena> owner = region::make_unique<counted>(tested);
    EXPECT_TRUE(tested.owns(owner.get()));
    EXPECT_EQ(alive, 1);
  }
  EXPECT_EQ(alive, 0);
}

TEST(region_ptr, works_with_any_resource_and_passes_it_on) {
  std::pmr::monotonic_buffer_resource resource;
  auto& base = static_cast<std::pmr::memory_resource&>(resource);
  const auto words = region::make_unique<std::pmr::vector<std::pmr::string>>(base);
  words->emplace_back("a string that is longer than fits inside");
  EXPECT_EQ(words->front().get_allocator().resource(), &base);
}

TEST(region_ptr, leaves_nothing_behind_when_the_constructor_throws) {
  arena tested;
  struct throwing {
    throwing() { throw 1; }
  };
  EXPECT_THROW((void)region::make_unique<throwing>(tested), int);
  tested.reset();
}

}  // namespace
