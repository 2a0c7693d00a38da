/// realloc and reallocarray against their contracts; where C leaves a choice, glibc's is kept.
#include "support/family.hpp"
#include "support/pattern.hpp"
#include "support/random.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdint>

#include <gtest/gtest.h>

namespace {

using acre_test::fill_pattern;
using acre_test::holds_pattern;
using family::opaque;

TEST(realloc, of_null_allocates) {
  void* block = family::realloc(nullptr, 100);
  ASSERT_NE(block, nullptr);
  EXPECT_GE(family::malloc_usable_size(block), 100U);
  family::free(block);
  void* empty = family::realloc(nullptr, 0);
  EXPECT_NE(empty, nullptr);
  family::free(empty);
}

TEST(realloc, to_zero_bytes_frees_and_returns_null_as_glibc_does) {
  for (std::size_t size : {std::size_t{1}, std::size_t{100}, std::size_t{5000},
                           std::size_t{300'000}, std::size_t{8} << 20U}) {
    void* block = family::malloc(size);
    EXPECT_EQ(family::realloc(block, 0), nullptr);
    EXPECT_EQ(family::reallocarray(family::malloc(size), 0, 8), nullptr);
    EXPECT_EQ(family::reallocarray(family::malloc(size), 8, 0), nullptr);
  }
}

TEST(realloc, keeps_the_contents_up_to_the_smaller_size) {
  const std::size_t sizes[] = {1,     16,    17,     100,    1000,    1024,     4096,     5000,
                               32768, 65536, 70'000, 262144, 600'000, 4U << 20, 5'000'001};
  for (std::size_t from : sizes) {
    for (std::size_t to : sizes) {
      void* block = family::malloc(from);
      ASSERT_NE(block, nullptr);
      fill_pattern(block, from, from);
      block = family::realloc(block, to);
      ASSERT_NE(block, nullptr);
      ASSERT_GE(family::malloc_usable_size(block), to);
      ASSERT_TRUE(holds_pattern(block, std::min(from, to), from)) << from << " to " << to;
      fill_pattern(block, to, to);
      family::free(block);
    }
  }
}

TEST(realloc, grows_step_by_step_without_losing_a_byte) {
  unsigned char* block = nullptr;
  std::size_t size = 0;
  while (size < 24U << 20U) {
    const std::size_t larger = size + 1 + size / 7;
    block = static_cast<unsigned char*>(family::realloc(block, larger));
    ASSERT_NE(block, nullptr);
    ASSERT_TRUE(holds_pattern(block, size, 7)) << size;
    fill_pattern(block, larger, 7);
    size = larger;
  }
  while (size > 16) {
    size -= size / 5 + 1;
    block = static_cast<unsigned char*>(family::realloc(block, size));
    ASSERT_NE(block, nullptr);
    ASSERT_TRUE(holds_pattern(block, size, 7)) << size;
  }
  family::free(block);
}

TEST(realloc, of_many_large_blocks_at_once_keeps_them_apart) {
  acre_test::random_source random(1);
  constexpr std::size_t count = 12;
  void* blocks[count] = {};
  std::size_t sizes[count] = {};
  for (int round = 0; round < 300; ++round) {
    const std::size_t index = random.below(count);
    const std::size_t size = 1 + random.below(3U << 20U);
    blocks[index] = family::realloc(blocks[index], size);
    ASSERT_NE(blocks[index], nullptr);
    ASSERT_TRUE(holds_pattern(blocks[index], std::min(size, sizes[index]), index));
    fill_pattern(blocks[index], size, index);
    sizes[index] = size;
  }
  for (std::size_t index = 0; index < count; ++index) {
    EXPECT_TRUE(holds_pattern(blocks[index], sizes[index], index));
    family::free(blocks[index]);
  }
}

TEST(realloc, that_fails_keeps_the_block_and_sets_enomem) {
  for (std::size_t size :
       {std::size_t{10}, std::size_t{3000}, std::size_t{200'000}, std::size_t{3} << 20U}) {
    void* block = family::malloc(size);
    fill_pattern(block, size, 3);
    for (std::size_t impossible :
         {SIZE_MAX, SIZE_MAX / 2 + 1, SIZE_MAX - 4096, std::size_t{PTRDIFF_MAX}}) {
      errno = 0;
      EXPECT_EQ(family::realloc(block, opaque(impossible)), nullptr);
      EXPECT_EQ(errno, ENOMEM);
    }
    EXPECT_TRUE(holds_pattern(block, size, 3));
    family::free(block);
  }
}

TEST(realloc, reallocarray_finds_every_overflow_and_keeps_the_block) {
  void* block = family::malloc(64);
  fill_pattern(block, 64, 5);
  const std::size_t half = std::size_t{1} << 32U;
  for (auto [count, size] : {std::pair<std::size_t, std::size_t>{half, half},
                             {SIZE_MAX, 2},
                             {2, SIZE_MAX},
                             {SIZE_MAX / 4 + 1, 4},
                             {SIZE_MAX, SIZE_MAX}}) {
    errno = 0;
    EXPECT_EQ(family::reallocarray(block, opaque(count), opaque(size)), nullptr);
    EXPECT_EQ(errno, ENOMEM);
    errno = 0;
    EXPECT_EQ(family::reallocarray(nullptr, opaque(count), opaque(size)), nullptr);
    EXPECT_EQ(errno, ENOMEM);
  }
  EXPECT_TRUE(holds_pattern(block, 64, 5));
  block = family::reallocarray(block, 100, 30);
  ASSERT_NE(block, nullptr);
  EXPECT_GE(family::malloc_usable_size(block), 3000U);
  EXPECT_TRUE(holds_pattern(block, 64, 5));
  family::free(block);
}

TEST(realloc, takes_aligned_blocks_too) {
  for (std::size_t alignment = 16; alignment <= 4U << 20U; alignment *= 4) {
    void* block = family::memalign(alignment, 5000);
    ASSERT_NE(block, nullptr);
    fill_pattern(block, 5000, alignment);
    block = family::realloc(block, 90'000);
    ASSERT_NE(block, nullptr);
    EXPECT_TRUE(holds_pattern(block, 5000, alignment));
    block = family::realloc(block, 50);
    ASSERT_NE(block, nullptr);
    EXPECT_TRUE(holds_pattern(block, 50, alignment));
    family::free(block);
  }
}

TEST(realloc, to_a_much_smaller_size_gives_the_rest_back) {
  if (!family::is_acre()) GTEST_SKIP() << "only Acre promises how much rounding costs";
  void* block = family::malloc(16U << 20U);
  std::memset(block, 1, 16U << 20U);
  block = family::realloc(block, 1U << 20U);
  EXPECT_LE(family::malloc_usable_size(block), (1U << 20U) * 9U / 8U + 4096U);
  family::free(block);
}

}  // namespace
