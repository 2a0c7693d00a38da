/// Blocks in slabs of other classes: a class that needs pages first takes free slots of a somewhat
/// larger class, or several slots in a row of a smaller class that is mostly free.
#include <acre/malloc.h>

#include "support/child.hpp"
#include "support/pattern.hpp"
#include "support/random.hpp"
#include "support/sanitizer.hpp"

#include <algorithm>
#include <cstdint>
#include <thread>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

namespace {

constexpr std::size_t mib = std::size_t{1} << 20U;
constexpr std::size_t filled_bytes = 8 * mib;

struct kept {
  void* block;
  std::size_t size_bytes;
};

kept make(std::size_t size_bytes) {
  void* const block = acre_malloc(size_bytes);
  acre_test::fill_pattern(block, size_bytes, size_bytes);
  return {block, size_bytes};
}

void drop(const kept& each) {
  EXPECT_TRUE(acre_test::holds_pattern(each.block, each.size_bytes, each.size_bytes));
  acre_free(each.block);
}

/// Fills memory with blocks of one size and frees a random nine tenths of them.
std::vector<kept> make_sparse(std::size_t size_bytes, acre_test::random_source& random) {
  std::vector<kept> all;
  for (std::size_t bytes = 0; bytes < filled_bytes; bytes += size_bytes)
    all.push_back(make(size_bytes));
  for (std::size_t last = all.size() - 1; last > 0; --last)
    std::swap(all[last], all[random.below(last + 1)]);
  const std::size_t left = all.size() / 10;
  for (; all.size() > left; all.pop_back())
    drop(all.back());
  return all;
}

class lending : public testing::TestWithParam<std::size_t> {};

INSTANTIATE_TEST_SUITE_P(times, lending, testing::Values(2, 3, 4),
                         testing::PrintToStringParamName());

TEST_P(lending, fills_the_gaps_between_few_small_blocks) {
  acre_test::random_source random(5);
  std::vector<kept> all = make_sparse(48, random);
  const std::size_t before = acre_statistics().committed_bytes;
  const std::size_t size = 48 * GetParam();
  for (std::size_t bytes = 0; bytes < filled_bytes / 3; bytes += size) {
    all.push_back(make(size));
    const std::size_t usable = acre_malloc_usable_size(all.back().block);
    ASSERT_GE(usable, size);
    ASSERT_LE(usable, size + std::max<std::size_t>(15, size / 8));
  }
  EXPECT_LT(acre_statistics().committed_bytes, before + filled_bytes / 6);
  EXPECT_EQ(acre_check_invariants(), 1);
  for (std::size_t last = all.size() - 1; last > 0; --last)
    std::swap(all[last], all[random.below(last + 1)]);
  for (const kept& each : all)
    drop(each);
  EXPECT_EQ(acre_check_invariants(), 1);
  acre_malloc_trim(0);
  EXPECT_LT(acre_statistics().committed_bytes, before / 2);
}

TEST(lending, keeps_counts_exact) {
  acre_test::random_source random(6);
  std::vector<kept> all = make_sparse(64, random);
  const struct acre_statistics before = acre_statistics();
  std::size_t made = 0;
  std::size_t freed = 0;
  std::size_t live_bytes = before.live_bytes;
  for (int step = 0; step < 60'000; ++step) {
    if (random.below(3) != 0) {
      all.push_back(make(64 + random.below(400)));
      live_bytes += acre_malloc_usable_size(all.back().block);
      ++made;
    } else {
      std::swap(all[random.below(all.size())], all.back());
      live_bytes -= acre_malloc_usable_size(all.back().block);
      drop(all.back());
      all.pop_back();
      ++freed;
    }
    if (step % 10'000 != 0) continue;
    const struct acre_statistics now = acre_statistics();
    ASSERT_EQ(now.allocations - before.allocations, made);
    ASSERT_EQ(now.frees - before.frees, freed);
    ASSERT_EQ(now.live_bytes, live_bytes);
  }
  for (const kept& each : all)
    drop(each);
}

TEST(lending, leaves_alignment_alone) {
  acre_test::random_source random(7);
  const std::vector<kept> all = make_sparse(48, random);
  std::vector<void*> aligned;
  for (int index = 0; index < 20'000; ++index) {
    // The first of these sizes are met by blocks of other classes, which are not aligned.
    void* const ordinary = acre_malloc(128);
    const std::size_t alignment = std::size_t{32} << random.below(6);
    aligned.push_back(acre_aligned_alloc(alignment, 128));
    ASSERT_EQ(reinterpret_cast<std::uintptr_t>(aligned.back()) % alignment, 0U) << index;
    ASSERT_GE(acre_malloc_usable_size(aligned.back()), 128U);
    acre_free(ordinary);
  }
  EXPECT_EQ(acre_check_invariants(), 1);
  for (void* block : aligned)
    acre_free(block);
  for (const kept& each : all)
    drop(each);
}

TEST(lending, moves_what_grows_and_finds_what_holds_an_address) {
  acre_test::random_source random(8);
  std::vector<kept> all = make_sparse(64, random);
  for (int index = 0; index < 20'000; ++index) {
    kept one = make(256);
    auto* const start = static_cast<char*>(one.block);
    const acre_owner owner = acre_owner_of(start + 255);
    ASSERT_EQ(owner.kind, ACRE_SMALL_LIVE);
    ASSERT_EQ(owner.block, one.block);
    ASSERT_EQ(owner.block_bytes, acre_malloc_usable_size(one.block));
    if (index % 4 == 0) {
      one.block = acre_realloc(one.block, 700);
      ASSERT_TRUE(acre_test::holds_pattern(one.block, 256, 256));
    }
    all.push_back(one);
  }
  for (const kept& each : all)
    drop(each);
  EXPECT_EQ(acre_check_invariants(), 1);
}

TEST(lending, lets_other_threads_free) {
  acre_test::random_source random(9);
  std::vector<kept> all = make_sparse(64, random);
  for (int index = 0; index < 30'000; ++index)
    all.push_back(make(200));
  std::thread other([&all] {
    for (const kept& each : all)
      drop(each);
  });
  other.join();
  EXPECT_EQ(acre_check_invariants(), 1);
}

TEST(lending, reports_a_pointer_to_a_later_slot) {
  const auto end = acre_test::run_in_child([] {
    acre_test::random_source random(10);
    const std::vector<kept> all = make_sparse(64, random);
    std::vector<void*> wide;
    for (int index = 0; index < 20'000; ++index)
      wide.push_back(acre_malloc(256));
    for (void* block : wide)
      acre_free(static_cast<char*>(block) + 64);
    acre_malloc_trim(0);
    return 3;
  });
  EXPECT_TRUE(WIFSIGNALED(end.status) && WTERMSIG(end.status) == SIGABRT) << end.text();
}

}  // namespace
