/// Sources: every kind gives aligned, writable, disjoint blocks and takes them back in any order.
#include <acre/os/page.hpp>
#include <acre/region/arena.hpp>

#include "region/sources.hpp"
#include "support/pattern.hpp"
#include "support/random.hpp"
#include "support/sanitizer.hpp"

#include <array>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <memory_resource>
#include <utility>
#include <vector>

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

namespace {

using namespace acre::region;

class every_source : public region_test::over_each_source {};

INSTANTIATE_TEST_SUITE_P(source, every_source, testing::ValuesIn(region_test::source_kinds()),
                         region_test::name_of_kind);

TEST_P(every_source, gives_what_is_asked_and_takes_it_back_in_any_order) {
  struct live_block {
    block memory;
    std::size_t tag;
  };
  std::vector<live_block> live;
  acre_test::random_source random(1);
  std::size_t held_bytes = 0;
  for (std::size_t step = 0; step < 400; ++step) {
    if (live.size() < 12 && random.below(2) == 0) {
      const std::size_t size = 1 + random.below(100'000);
      const std::size_t alignment = std::size_t{1} << random.below(17);
      const acre::result<block> taken = tested().take(size, alignment);
      ASSERT_TRUE(taken) << taken.error().call << " for " << size << " at " << alignment;
      ASSERT_GE(taken->size_bytes, size);
      ASSERT_EQ(reinterpret_cast<std::uintptr_t>(taken->data) % alignment, 0U);
      held_bytes += taken->size_bytes;
      acre_test::fill_pattern(taken->data, taken->size_bytes, step);
      live.push_back({*taken, step});
    } else if (!live.empty()) {
      const std::size_t index = random.below(live.size());
      const live_block chosen = live[index];
      ASSERT_TRUE(
          acre_test::holds_pattern(chosen.memory.data, chosen.memory.size_bytes, chosen.tag));
      tested().give_back(chosen.memory);
      held_bytes -= chosen.memory.size_bytes;
      live.erase(live.begin() + static_cast<std::ptrdiff_t>(index));
    }
    ASSERT_EQ(tested().statistics().held_bytes, held_bytes);
    ASSERT_EQ(tested().statistics().held_blocks, live.size());
  }
  for (const live_block& left : live)
    tested().give_back(left.memory);
  EXPECT_EQ(tested().statistics().held_bytes, 0U);
  EXPECT_GE(tested().statistics().held_bytes_peak, 100'000U);
}

TEST_P(every_source, refuses_what_cannot_be) {
  EXPECT_EQ(tested().take(0, 8).error().number, EINVAL);
  EXPECT_EQ(tested().take(100, 0).error().number, EINVAL);
  EXPECT_EQ(tested().take(100, 24).error().number, EINVAL);
  for (const std::size_t size : {SIZE_MAX, SIZE_MAX / 2, std::size_t{1} << 60U}) {
    // A sanitizer's operator new ends the program where others throw.
    if (acre_test::is_sanitized && size < SIZE_MAX / 2) continue;
    const acre::result<block> taken = tested().take(size, 64);
    ASSERT_FALSE(taken);
    EXPECT_EQ(taken.error().number, ENOMEM) << size;
  }
  EXPECT_EQ(tested().statistics().held_blocks, 0U);
  EXPECT_GE(tested().statistics().refusals, 5U);
}

TEST_P(every_source, gives_until_it_is_exhausted_and_then_again) {
  constexpr std::size_t size_bytes = std::size_t{1} << 20U;
  constexpr std::size_t most = 32;  // of those without an end
  for (int round = 0; round < 2; ++round) {
    std::vector<block> live;
    acre::result<block> taken = tested().take(size_bytes, 64);
    for (; taken && live.size() < most; taken = tested().take(size_bytes, 64))
      live.push_back(*taken);
    EXPECT_GE(live.size(), 10U);
    if (taken) {
      tested().give_back(*taken);
    } else {
      EXPECT_EQ(taken.error().number, ENOMEM);
      EXPECT_NE(taken.error().call, nullptr);
    }
    for (const block& left : live)
      tested().give_back(left);
    EXPECT_EQ(tested().statistics().held_blocks, 0U);
  }
}

TEST_P(every_source, says_what_it_is) {
  EXPECT_FALSE(tested().report().kind.empty());
  EXPECT_GE(tested().granularity(), 1U);
}

TEST(buffer_source, joins_neighbours_and_serves_the_whole_buffer_again) {
  alignas(16) std::array<std::byte, 4096> buffer{};
  buffer_source source(buffer);
  ASSERT_EQ(source.largest_free_bytes(), 4096U);
  acre_test::random_source random(2);
  for (int round = 0; round < 200; ++round) {
    std::vector<block> live;
    while (const acre::result<block> taken =
               source.take(1 + random.below(500), std::size_t{1} << random.below(8))) {
      live.push_back(*taken);
      ASSERT_TRUE(source.check_invariants());
    }
    ASSERT_GE(live.size(), 4U);
    while (!live.empty()) {
      const std::size_t index = random.below(live.size());
      source.give_back(live[index]);
      live.erase(live.begin() + static_cast<std::ptrdiff_t>(index));
      ASSERT_TRUE(source.check_invariants());
    }
    ASSERT_EQ(source.largest_free_bytes(), 4096U);
  }
}

TEST(buffer_source, of_too_small_a_buffer_gives_nothing) {
  std::array<std::byte, 24> buffer{};
  buffer_source tiny(std::span<std::byte>{buffer.data() + 1, 15});
  EXPECT_EQ(tiny.take(1, 1).error().number, ENOMEM);
  buffer_source empty(std::span<std::byte>{});
  EXPECT_EQ(empty.take(1, 1).error().number, ENOMEM);
  EXPECT_TRUE(empty.check_invariants());
}

TEST(buffer_source, refuses_a_foreign_block) {
  std::array<std::byte, 256> buffer{};
  std::array<std::byte, 64> other{};
  buffer_source source(buffer);
  EXPECT_DEATH(source.give_back({other.data(), 64, 1}), "not from this buffer");
}

TEST(mapping_source, tells_which_pages_it_got_and_why_not_others) {
  mapping_source plain;
  EXPECT_FALSE(plain.report().fell_back);
  EXPECT_EQ(plain.report().page_size_bytes, acre::os::page_size());
  mapping_source tried({.pages = {acre::os::page_kind::huge_1_gib, acre::os::page_kind::ordinary}});
  const acre::result<block> taken = tried.take(1000, 16);
  ASSERT_TRUE(taken);
  const source_report told = tried.report();
  if (told.fell_back) {
    EXPECT_NE(told.fallback_reason.number, 0);
    EXPECT_EQ(told.page_size_bytes, acre::os::page_size());
  } else {
    EXPECT_EQ(told.page_size_bytes, std::size_t{1} << 30U);
  }
  tried.give_back(*taken);
}

/// Takes what the kernel gives to a process of limited address space, and uses it again.
int use_up_address_space() {
  std::size_t pages = 0;
  if (std::FILE* const file = std::fopen("/proc/self/statm", "r")) {
    if (std::fscanf(file, "%zu", &pages) != 1) pages = 0;
    std::fclose(file);
  }
  const rlim_t limit_bytes = pages * acre::os::page_size() + (std::size_t{64} << 20U);
  const rlimit limit{limit_bytes, limit_bytes};
  if (pages == 0 || setrlimit(RLIMIT_AS, &limit) != 0) return 2;
  mapping_source mapped;
  arena tested(mapped);
  for (int round = 0; round < 2; ++round) {
    std::size_t served_bytes = 0;
    for (const std::size_t size : {std::size_t{1} << 20U, std::size_t{1000}}) {
      while (tested.try_allocate(size) != nullptr)
        served_bytes += size;
    }
    if (served_bytes < std::size_t{32} << 20U || !tested.check_invariants()) return 3;
    if (mapped.statistics().refusals == 0) return 4;
    tested.reset(keep::nothing());
    if (mapped.statistics().held_bytes != 0) return 5;
  }
  return 0;
}

TEST(mapping_source, passes_on_that_the_kernel_has_no_more) {
  if (acre_test::is_sanitized) GTEST_SKIP() << "a sanitizer needs the address space itself";
  EXPECT_EXIT(_exit(use_up_address_space()), testing::ExitedWithCode(0), "");
}

TEST(mapping_source, takes_no_fallback_that_is_not_named) {
  mapping_source strict({.pages = acre::os::page_kind::huge_1_gib});
  const acre::result<block> taken = strict.take(1000, 16);
  if (taken) {
    strict.give_back(*taken);
    GTEST_SKIP() << "this machine has reserved huge pages of 1 GiB";
  }
  EXPECT_NE(taken.error().number, 0);
  EXPECT_FALSE(strict.report().fell_back);
}

TEST(mapping_source, gives_whole_huge_pages_and_tells_its_node) {
  mapping_source huge({.pages = acre::os::page_kind::transparent_huge});
  if (const acre::result<block> taken = huge.take(1000, 16)) {
    EXPECT_EQ(taken->size_bytes % huge.report().page_size_bytes, 0U);
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(taken->data) % huge.report().page_size_bytes, 0U);
    huge.give_back(*taken);
  }
  EXPECT_EQ(mapping_source({.placement = acre::os::numa_policy::bind({3})}).report().node, 3);
  mapping_source nowhere({.placement = acre::os::numa_policy::bind({900})});
  EXPECT_FALSE(nowhere.take(1000, 16));
  EXPECT_EQ(nowhere.statistics().refusals, 1U);
}

TEST(secret_source, wipes_what_comes_back) {
  auto made = acre::os::secret_memory::create(4096, {.required = acre::os::secret_level::guarded});
  if (!made) GTEST_SKIP() << "no secret memory here: " << made.error().call;
  secret_source tested(std::move(*made));
  const acre::result<block> taken = tested.take(100, 16);
  ASSERT_TRUE(taken);
  std::memset(taken->data, 's', taken->size_bytes);
  tested.give_back(*taken);
  // The first bytes hold the free list by now.
  const std::byte* const after = taken->data + 2 * sizeof(void*);
  EXPECT_TRUE(acre_test::holds_only(after, taken->size_bytes - 2 * sizeof(void*), 0));
}

TEST(shared_memory_source, shows_its_blocks_through_the_segment) {
  auto made = acre::os::shared_memory::unnamed("test", {.size_bytes = 65'536, .layout = {}});
  if (!made) GTEST_SKIP() << "no shared memory here: " << made.error().call;
  shared_memory_source tested(std::move(*made));
  const acre::result<block> taken = tested.take(100, 16);
  ASSERT_TRUE(taken);
  EXPECT_GE(taken->data, tested.segment().bytes().data());
  EXPECT_EQ(tested.report().kind, "shared memory");
  tested.give_back(*taken);
}

TEST(resource_source, aligns_where_the_resource_would_not) {
  std::pmr::unsynchronized_pool_resource resource;
  resource_source tested(resource);
  std::vector<block> live;
  for (std::size_t count = 0; count < 300; ++count) {
    const std::size_t alignment = std::size_t{16} << (count % 8);
    const acre::result<block> taken = tested.take(alignment + alignment / 8, alignment);
    ASSERT_TRUE(taken);
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(taken->data) % alignment, 0U);
    live.push_back(*taken);
  }
  for (const block& left : live)
    tested.give_back(left);
}

TEST(default_source, is_one_for_the_program) {
  EXPECT_EQ(&default_source(), &default_source());
  const acre::result<block> taken = default_source().take(1000, 64);
  ASSERT_TRUE(taken);
  default_source().give_back(*taken);
}

}  // namespace
