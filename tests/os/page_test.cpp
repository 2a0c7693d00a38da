#include <acre/os/aligned.hpp>
#include <acre/os/page.hpp>

#include "os/fake_kernel.hpp"
#include "os/kernel.hpp"
#include "os/number_file.hpp"
#include "support/sanitizer.hpp"

#include <cerrno>
#include <cstdint>

#include <gtest/gtest.h>

namespace {

using namespace acre::os;

TEST(aligned, rounds_and_tells_overflow) {
  EXPECT_EQ(round_down(4097, 4096), 4096U);
  EXPECT_EQ(round_up(1, 4096), 4096U);
  EXPECT_EQ(round_up(4096, 4096), 4096U);
  EXPECT_EQ(round_up(0, 4096), 0U);
  EXPECT_EQ(round_up(SIZE_MAX, 1), SIZE_MAX);
  EXPECT_EQ(round_up(SIZE_MAX - 1, 4096), std::nullopt);
  EXPECT_TRUE(is_alignment(1));
  EXPECT_FALSE(is_alignment(0));
  EXPECT_FALSE(is_alignment(48));
  EXPECT_EQ(alignment_of(reinterpret_cast<void*>(0x3000)), 0x1000U);
  EXPECT_EQ(alignment_of(nullptr), 0U);
}

TEST(aligned, finds_the_aligned_part) {
  alignas(64) std::byte storage[256];
  const auto part = aligned_part(std::span(storage).subspan(1), 64);
  EXPECT_EQ(part.data(), storage + 64);
  EXPECT_EQ(part.size(), 192U);
  EXPECT_TRUE(aligned_part(std::span(storage).subspan(1, 40), 64).empty());
  EXPECT_TRUE(aligned_part({}, 64).empty());
}

TEST(aligned_block, owns_aligned_memory) {
  auto block = aligned_block::allocate(1000, 4096);
  ASSERT_TRUE(block);
  EXPECT_TRUE(is_aligned(block->data(), 4096));
  EXPECT_EQ(block->size(), 1000U);
  std::byte* const data = block->data();
  aligned_block moved = std::move(*block);
  EXPECT_EQ(moved.data(), data);
  EXPECT_EQ(block->data(), nullptr);
  EXPECT_EQ(block->size(), 0U);
  moved = aligned_block{};
  EXPECT_EQ(moved.data(), nullptr);
}

TEST(aligned_block, refuses_what_cannot_be) {
  EXPECT_EQ(aligned_block::allocate(100, 48).error().message(),
            "aligned_block: Invalid argument (an alignment is a power of two, and 48 is none)");
  EXPECT_EQ(aligned_block::allocate(0, 64).error().number, EINVAL);
  // A sanitizer ends a program that asks for so much.
  if (acre_test::is_sanitized) return;
  EXPECT_EQ(aligned_block::allocate(SIZE_MAX / 2, 64).error().number, ENOMEM);
}

TEST(page, knows_sizes) {
  EXPECT_TRUE(is_alignment(page_size()));
  EXPECT_EQ(round_up_to_pages(1), page_size());
  EXPECT_EQ(round_down_to_pages(page_size() + 1), page_size());
  EXPECT_EQ(pages_for(0), 0U);
  EXPECT_EQ(pages_for(page_size() + 1), 2U);
  EXPECT_GT(pages_for(SIZE_MAX), 0U);
}

TEST(page, knows_huge_sizes) {
  const auto huge = transparent_huge_page_size();
  if (!huge) GTEST_SKIP() << huge.error().message();
  EXPECT_TRUE(is_alignment(*huge));
  EXPECT_GT(*huge, page_size());
  EXPECT_TRUE(transparent_huge_page_mode());
  std::size_t last = 0;
  for (const auto& pool : huge_page_pools()) {
    EXPECT_GT(pool.page_size_bytes, last);
    EXPECT_LE(pool.free_pages, pool.pages);
    last = pool.page_size_bytes;
  }
}

TEST(page, passes_on_why_a_file_cannot_be_read) {
  acre_test::fake_kernel kernel;
  kernel.fail(calls::openat, ENOENT);
  EXPECT_EQ(transparent_huge_page_mode().error().number, ENOENT);
  EXPECT_EQ(transparent_huge_page_size().error().number, ENOENT);
}

TEST(number_file, reads_again_when_interrupted) {
  acre_test::fake_kernel kernel;
  kernel.fail(calls::read, EINTR, 1);
  char buffer[4096];
  const auto text = read_into_buffer("/proc/self/status", buffer);
  ASSERT_TRUE(text);
  EXPECT_GT(number_after(*text, "Threads").value_or(0), 0U);
}

TEST(number_file, tells_what_is_wrong) {
  {
    acre_test::fake_kernel kernel;
    kernel.fail(calls::read, EIO);
    EXPECT_EQ(read_number("/proc/self/status").error().number, EIO);
  }
  EXPECT_EQ(read_number("/proc/self/status").error().number, EINVAL);
  EXPECT_EQ(number_after("a: 1\nb: x\nCap:\t00ff\n", "b").error().number, ENOENT);
  EXPECT_EQ(number_after("a: 1\nb: x\nCap:\t00ff\n", "Cap", 16), 255U);
}

}  // namespace
