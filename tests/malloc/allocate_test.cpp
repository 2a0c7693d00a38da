/// malloc, calloc and the frees against their contracts (C23, POSIX.1-2024, malloc(3)).
#include "support/family.hpp"
#include "support/pattern.hpp"
#include "support/sanitizer.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <set>
#include <vector>

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

namespace {

using family::opaque;

constexpr std::size_t size_max = SIZE_MAX;
constexpr std::size_t sizes[] = {
    1,        8,        15,    16,    17,     24,     64,      100,      127,
    128,      129,      512,   1000,  1024,   1025,   4000,    4096,     10000,
    32768,    40000,    65536, 65537, 100000, 262144, 1000000, 1U << 20, (1U << 20) + 1,
    4U << 20, 33U << 20};

bool is_aligned(const void* block, std::size_t alignment) {
  return reinterpret_cast<std::uintptr_t>(block) % alignment == 0;
}

TEST(allocate, zero_bytes_give_distinct_blocks_that_can_be_freed) {
  std::set<void*> blocks;
  for (int count = 0; count < 1000; ++count) {
    void* block = family::malloc(0);
    ASSERT_NE(block, nullptr);
    EXPECT_TRUE(blocks.insert(block).second);
  }
  for (void* block : blocks)
    family::free(block);
}

TEST(allocate, every_block_suits_any_object_of_its_size) {
  for (std::size_t size = 1; size < 70'000; size += size < 4096 ? 1 : 97) {
    void* block = family::malloc(size);
    ASSERT_NE(block, nullptr) << size;
    if (size >= 16) {
      ASSERT_TRUE(is_aligned(block, 16)) << size;
    } else if (size >= 8) {
      ASSERT_TRUE(is_aligned(block, 8)) << size;
    }
    family::free(block);
  }
}

TEST(allocate, blocks_keep_their_contents_while_others_come_and_go) {
  std::vector<std::pair<void*, std::size_t>> live;
  for (std::size_t size : sizes) {
    void* block = family::malloc(size);
    ASSERT_NE(block, nullptr);
    acre_test::fill_pattern(block, size, size);
    live.emplace_back(block, size);
    family::free(family::malloc(size));
  }
  for (auto [block, size] : live) {
    EXPECT_TRUE(acre_test::holds_pattern(block, size, size)) << size;
    family::free(block);
  }
}

TEST(allocate, an_impossible_size_gives_null_and_enomem) {
  const std::size_t impossible[] = {size_max,
                                    size_max - 1,
                                    size_max - 15,
                                    size_max - 4095,
                                    size_max - 65536,
                                    size_max / 2 + 1,
                                    PTRDIFF_MAX,
                                    PTRDIFF_MAX - 1U,
                                    size_max / 2 + 4097,
                                    size_max - (4U << 20),
                                    PTRDIFF_MAX - 4095U};
  for (std::size_t size : impossible) {
    errno = 0;
    EXPECT_EQ(family::malloc(opaque(size)), nullptr) << size;
    EXPECT_EQ(errno, ENOMEM) << size;
    errno = 0;
    EXPECT_EQ(family::calloc(1, opaque(size)), nullptr) << size;
    EXPECT_EQ(errno, ENOMEM) << size;
  }
}

TEST(allocate, calloc_finds_every_overflow_of_its_product) {
  const std::size_t half = std::size_t{1} << 32U;
  const std::pair<std::size_t, std::size_t> products[] = {
      {half, half},         {half + 1, half},      {size_max, 2},
      {2, size_max},        {size_max / 2 + 1, 2}, {3, size_max / 3 + 1},
      {size_max, size_max}, {half, half - 1},      {16, size_max / 16 + 1}};
  for (auto [count, size] : products) {
    errno = 0;
    EXPECT_EQ(family::calloc(opaque(count), opaque(size)), nullptr) << count << " * " << size;
    EXPECT_EQ(errno, ENOMEM);
  }
}

TEST(allocate, calloc_of_nothing_gives_a_block_that_can_be_freed) {
  for (auto [count, size] :
       {std::pair<std::size_t, std::size_t>{0, 0}, {0, 8}, {8, 0}, {0, size_max}, {size_max, 0}}) {
    void* block = family::calloc(opaque(count), opaque(size));
    EXPECT_NE(block, nullptr);
    family::free(block);
  }
}

TEST(allocate, calloc_clears_memory_that_was_used_before) {
  for (std::size_t size : sizes) {
    for (int round = 0; round < 4; ++round) {
      std::vector<void*> used;
      const int count = size <= 4096 ? 40 : 2;
      for (int index = 0; index < count; ++index) {
        void* block = family::malloc(size);
        ASSERT_NE(block, nullptr);
        std::memset(block, 0xff, family::malloc_usable_size(block));
        used.push_back(block);
      }
      for (void* block : used)
        family::free(block);
      for (void*& block : used) {
        block = family::calloc(1, size);
        ASSERT_NE(block, nullptr);
        ASSERT_TRUE(acre_test::holds_only(block, size, 0)) << size;
      }
      for (void* block : used)
        family::free(block);
    }
  }
}

std::size_t resident_pages(void* block, std::size_t size) {
  const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  const auto start = reinterpret_cast<std::uintptr_t>(block) / page * page;
  const std::size_t count =
      (reinterpret_cast<std::uintptr_t>(block) + size - start + page - 1) / page;
  std::vector<unsigned char> seen(count);
  EXPECT_EQ(mincore(reinterpret_cast<void*>(start), count * page, seen.data()), 0);
  return static_cast<std::size_t>(
      std::ranges::count_if(seen, [](unsigned char each) { return (each & 1U) != 0; }));
}

TEST(allocate, calloc_keeps_a_sparse_table_sparse) {
  if (acre_test::is_sanitized) GTEST_SKIP() << "a sanitizer fills blocks";
  constexpr std::size_t size = std::size_t{64} << 20;
  constexpr std::size_t step = std::size_t{1} << 20;
  family::malloc_trim(0);  // What other tests used is resident, and would be used again.
  for (int round = 0; round < 3; ++round) {
    auto* const table = static_cast<unsigned char*>(family::calloc(1, size));
    ASSERT_NE(table, nullptr);
    EXPECT_LT(resident_pages(table, size), 2000);
    for (std::size_t at = 0; at < size; at += step) {
      ASSERT_EQ(table[at], 0);
      table[at] = 1;
    }
    family::free(table);
  }
}

TEST(allocate, free_of_null_does_nothing) {
  family::free(nullptr);
  if (family::has_sized_free()) {
    family::free_sized(nullptr, 0);
    family::free_sized(nullptr, 100);
    family::free_aligned_sized(nullptr, 64, 128);
  }
}

TEST(allocate, free_leaves_errno_alone) {
  for (std::size_t size : sizes) {
    std::vector<void*> blocks;
    for (int count = 0; count < 20; ++count) {
      blocks.push_back(family::malloc(size));
      *static_cast<char*>(blocks.back()) = 1;
    }
    for (void* block : blocks) {
      errno = EXDEV;
      family::free(block);
      ASSERT_EQ(errno, EXDEV) << size;
    }
  }
  errno = EXDEV;
  family::free(nullptr);
  EXPECT_EQ(errno, EXDEV);
}

TEST(allocate, success_leaves_errno_alone) {
  for (std::size_t size : sizes) {
    errno = EXDEV;
    void* block = family::malloc(size);
    EXPECT_EQ(errno, EXDEV) << size;
    block = family::realloc(block, size * 2);
    EXPECT_EQ(errno, EXDEV) << size;
    family::free(block);
  }
}

TEST(allocate, sized_frees_take_back_what_any_of_the_family_gave) {
  if (!family::has_sized_free()) GTEST_SKIP() << "this C library has no free_sized";
  for (std::size_t size : sizes) {
    for (int round = 0; round < 50; ++round) {
      errno = EXDEV;
      family::free_sized(family::malloc(size), size);
      family::free_sized(family::calloc(1, size), size);
      family::free_sized(family::realloc(family::malloc(1), size), size);
      ASSERT_EQ(errno, EXDEV);
    }
  }
  for (std::size_t alignment = 16; alignment <= 1U << 20; alignment *= 2) {
    void* block = family::aligned_alloc(alignment, 3 * alignment);
    ASSERT_NE(block, nullptr);
    errno = EXDEV;
    family::free_aligned_sized(block, alignment, 3 * alignment);
    EXPECT_EQ(errno, EXDEV);
  }
  void* none = family::malloc(0);
  family::free_sized(none, 0);
}

TEST(allocate, a_failed_request_does_no_harm_to_later_ones) {
  for (int round = 0; round < 1000; ++round) {
    ASSERT_EQ(family::malloc(opaque(size_max / 2)), nullptr);
    void* block = family::malloc(100);
    ASSERT_NE(block, nullptr);
    family::free(block);
  }
}

}  // namespace
