/// memalign, aligned_alloc, posix_memalign, valloc and pvalloc against their contracts.
///
/// Where the manual pages differ, both answers are accepted and the case says so: for an alignment
/// that is no power of two glibc's memalign rounds up, C23's aligned_alloc fails with EINVAL.
#include "support/family.hpp"
#include "support/pattern.hpp"

#include <bit>
#include <cerrno>
#include <cstdint>
#include <vector>

#include <gtest/gtest.h>
#include <unistd.h>

namespace {

using family::opaque;

bool is_aligned(const void* block, std::size_t alignment) {
  return reinterpret_cast<std::uintptr_t>(block) % alignment == 0;
}

void expect_usable(void* block, std::size_t alignment, std::size_t size) {
  ASSERT_NE(block, nullptr) << alignment << ", " << size;
  ASSERT_TRUE(is_aligned(block, alignment)) << alignment << ", " << size;
  ASSERT_GE(family::malloc_usable_size(block), size) << alignment << ", " << size;
  acre_test::fill_pattern(block, size, alignment);
  ASSERT_TRUE(acre_test::holds_pattern(block, size, alignment));
}

TEST(aligned, every_power_of_two_up_to_a_gibibyte) {
  for (std::size_t alignment = 1; alignment <= 1U << 30U; alignment *= 2) {
    for (std::size_t size : {std::size_t{0}, std::size_t{1}, std::size_t{16}, std::size_t{100},
                             std::size_t{4096}, std::size_t{5000}, std::size_t{200'000}}) {
      void* block = family::memalign(alignment, size);
      expect_usable(block, alignment, size);
      family::free(block);
      block = family::aligned_alloc(alignment, size);
      expect_usable(block, alignment, size);
      family::free(block);
      if (alignment < sizeof(void*)) continue;
      block = nullptr;
      ASSERT_EQ(family::posix_memalign(&block, alignment, size), 0) << alignment;
      expect_usable(block, alignment, size);
      family::free(block);
    }
  }
}

TEST(aligned, many_blocks_of_one_alignment_do_not_overlap) {
  for (std::size_t alignment : {std::size_t{32}, std::size_t{64}, std::size_t{512},
                                std::size_t{4096}, std::size_t{65536}, std::size_t{1} << 21U}) {
    constexpr std::size_t mark = 16;  // bytes that are marked at either end
    const std::size_t size = alignment + alignment / 2;
    std::vector<char*> blocks;
    for (std::size_t tag = 0; tag < 40; ++tag) {
      auto* block = static_cast<char*>(family::memalign(alignment, size));
      ASSERT_NE(block, nullptr);
      ASSERT_TRUE(is_aligned(block, alignment));
      acre_test::fill_pattern(block, mark, tag);
      acre_test::fill_pattern(block + size - mark, mark, tag);
      blocks.push_back(block);
    }
    for (std::size_t tag = 0; tag < blocks.size(); ++tag) {
      EXPECT_TRUE(acre_test::holds_pattern(blocks[tag], mark, tag));
      EXPECT_TRUE(acre_test::holds_pattern(blocks[tag] + size - mark, mark, tag));
      family::free(blocks[tag]);
    }
  }
}

TEST(aligned, an_alignment_that_is_no_power_of_two_is_rounded_up_or_refused) {
  for (std::size_t alignment : {std::size_t{3}, std::size_t{24}, std::size_t{48}, std::size_t{100},
                                std::size_t{4097}, std::size_t{0}}) {
    for (auto* allocate : {&family::memalign, &family::aligned_alloc}) {
      errno = 0;
      void* block = allocate(opaque(alignment), 100);
      if (block == nullptr) {
        EXPECT_EQ(errno, EINVAL) << alignment;
      } else {
        EXPECT_TRUE(is_aligned(block, std::bit_ceil(alignment))) << alignment;
        family::free(block);
      }
    }
  }
}

TEST(aligned, an_absurd_alignment_gives_null) {
  for (std::size_t alignment : {SIZE_MAX, SIZE_MAX / 2 + 2, std::size_t{1} << 63U}) {
    for (auto* allocate : {&family::memalign, &family::aligned_alloc}) {
      errno = 0;
      EXPECT_EQ(allocate(opaque(alignment), 64), nullptr) << alignment;
      EXPECT_TRUE(errno == EINVAL || errno == ENOMEM) << errno;
    }
  }
}

TEST(aligned, an_impossible_size_gives_null_and_enomem) {
  for (std::size_t size : {SIZE_MAX, SIZE_MAX - 64, SIZE_MAX / 2 + 1, std::size_t{PTRDIFF_MAX},
                           SIZE_MAX - 4096, SIZE_MAX - 5000}) {
    for (std::size_t alignment :
         {std::size_t{8}, std::size_t{64}, std::size_t{4096}, std::size_t{1} << 30U}) {
      errno = 0;
      EXPECT_EQ(family::memalign(alignment, opaque(size)), nullptr);
      EXPECT_EQ(errno, ENOMEM);
      errno = 0;
      EXPECT_EQ(family::aligned_alloc(alignment, opaque(size)), nullptr);
      EXPECT_EQ(errno, ENOMEM);
    }
    errno = 0;
    EXPECT_EQ(family::valloc(opaque(size)), nullptr);
    EXPECT_EQ(errno, ENOMEM);
    errno = 0;
    EXPECT_EQ(family::pvalloc(opaque(size)), nullptr);
    EXPECT_EQ(errno, ENOMEM);
  }
}

TEST(aligned, posix_memalign_refuses_what_is_no_power_of_two_multiple_of_a_pointer) {
  int here = 0;
  void* const untouched = &here;
  for (std::size_t alignment :
       {std::size_t{0}, std::size_t{1}, std::size_t{2}, std::size_t{4}, std::size_t{12},
        std::size_t{24}, std::size_t{40}, std::size_t{4100}, SIZE_MAX}) {
    void* block = untouched;
    errno = EXDEV;
    EXPECT_EQ(family::posix_memalign(&block, opaque(alignment), 64), EINVAL) << alignment;
    EXPECT_EQ(block, untouched);
    EXPECT_EQ(errno, EXDEV);
  }
}

TEST(aligned, posix_memalign_returns_enomem_and_leaves_the_pointer) {
  int here = 0;
  void* const untouched = &here;
  for (std::size_t size : {SIZE_MAX, SIZE_MAX - 4096, SIZE_MAX / 2 + 1, std::size_t{PTRDIFF_MAX}}) {
    for (std::size_t alignment : {std::size_t{8}, std::size_t{64}, std::size_t{1} << 21U}) {
      void* block = untouched;
      errno = EXDEV;
      EXPECT_EQ(family::posix_memalign(&block, alignment, opaque(size)), ENOMEM);
      EXPECT_EQ(block, untouched);
      // POSIX leaves errno open; glibc sets it, programs look, and Acre does the same.
      EXPECT_EQ(errno, ENOMEM);
    }
  }
}

TEST(aligned, valloc_and_pvalloc_give_whole_pages) {
  const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  for (std::size_t size : {std::size_t{0}, std::size_t{1}, page - 1, page, page + 1, 10 * page}) {
    void* block = family::valloc(size);
    expect_usable(block, page, size);
    family::free(block);
    block = family::pvalloc(size);
    expect_usable(block, page, (size + page - 1) / page * page);
    family::free(block);
  }
}

TEST(aligned, success_leaves_errno_alone) {
  for (std::size_t alignment = 16; alignment <= 1U << 24U; alignment *= 2) {
    void* block = nullptr;
    errno = EXDEV;
    ASSERT_EQ(family::posix_memalign(&block, alignment, 1000), 0);
    EXPECT_EQ(errno, EXDEV);
    family::free(block);
    EXPECT_EQ(errno, EXDEV);
  }
}

}  // namespace
