/// malloc_usable_size, and what rounding costs.
#include "support/family.hpp"
#include "support/pattern.hpp"

#include <algorithm>

#include <gtest/gtest.h>

namespace {

TEST(usable_size, of_null_is_zero) {
  EXPECT_EQ(family::malloc_usable_size(nullptr), 0U);
}

TEST(usable_size, covers_the_request_and_all_of_it_can_be_written) {
  void* previous = nullptr;
  std::size_t previous_size = 0;
  for (std::size_t size = 0; size < 3U << 20U; size += 1 + size / 13) {
    void* block = family::malloc(size);
    ASSERT_NE(block, nullptr);
    const std::size_t usable = family::malloc_usable_size(block);
    ASSERT_GE(usable, size);
    acre_test::fill_pattern(block, usable, size);
    ASSERT_TRUE(acre_test::holds_pattern(previous, previous_size, previous_size)) << size;
    acre_test::fill_pattern(block, usable, usable);
    family::free(previous);
    previous = block;
    previous_size = usable;
  }
  family::free(previous);
}

TEST(usable_size, does_not_change_while_the_block_lives) {
  for (std::size_t size :
       {std::size_t{1}, std::size_t{100}, std::size_t{40'000}, std::size_t{2} << 20U}) {
    void* block = family::malloc(size);
    const std::size_t usable = family::malloc_usable_size(block);
    for (int count = 0; count < 100; ++count)
      family::free(family::malloc(size));
    EXPECT_EQ(family::malloc_usable_size(block), usable);
    family::free(block);
  }
}

TEST(usable_size, rounding_costs_at_most_an_eighth) {
  if (!family::is_acre()) GTEST_SKIP() << "only Acre promises how much rounding costs";
  for (std::size_t size = 1; size < 8U << 20U; size += 1 + size / 301) {
    void* block = family::malloc(size);
    ASSERT_NE(block, nullptr);
    const std::size_t rounding = family::malloc_usable_size(block) - size;
    // 16 bytes is the smallest step between sizes; past the classes blocks are whole pages.
    const std::size_t step = size > 32'768 ? 4095 : 15;
    ASSERT_LE(rounding, std::max(step, size / 8)) << size;
    family::free(block);
  }
}

}  // namespace
