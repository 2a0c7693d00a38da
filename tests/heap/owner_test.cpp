/// acre_owner_of: right for our blocks, harmless for any other address.
#include <acre/malloc.h>

#include "support/family.hpp"
#include "support/random.hpp"
#include "support/sanitizer.hpp"

#include <cstdint>
#include <thread>
#include <vector>

#include <gtest/gtest.h>
#include <sys/mman.h>

namespace {

int a_global = 0;
thread_local int a_thread_local = 0;

bool is_block_start(const acre_owner& owner, const void* block) {
  return owner.block == block && owner.block_bytes == acre_malloc_usable_size(owner.block);
}

TEST(owner, of_any_address_in_a_live_block_is_the_block) {
  for (std::size_t size = 1; size < 2U << 20U; size += 1 + size / 3) {
    auto* block = static_cast<char*>(acre_malloc(size));
    ASSERT_NE(block, nullptr);
    const std::size_t usable = acre_malloc_usable_size(block);
    for (std::size_t at = 0; at < usable; at += 1 + usable / 9) {
      const acre_owner owner = acre_owner_of(block + at);
      ASSERT_TRUE(owner.kind == ACRE_SMALL_LIVE || owner.kind == ACRE_LARGE) << size << " " << at;
      ASSERT_TRUE(is_block_start(owner, block)) << size << " " << at;
    }
    const acre_owner last = acre_owner_of(block + usable - 1);
    EXPECT_TRUE(is_block_start(last, block)) << size;
    acre_free(block);
  }
}

TEST(owner, of_an_aligned_block_is_the_block) {
  for (std::size_t alignment = 16; alignment <= 1U << 24U; alignment *= 2) {
    auto* block = static_cast<char*>(acre_memalign(alignment, 100));
    ASSERT_NE(block, nullptr);
    EXPECT_TRUE(is_block_start(acre_owner_of(block), block)) << alignment;
    EXPECT_TRUE(is_block_start(acre_owner_of(block + 99), block)) << alignment;
    acre_free(block);
  }
}

TEST(owner, of_a_huge_block_is_found_from_its_far_end) {
  constexpr std::size_t size = std::size_t{300} << 20U;
  auto* block = static_cast<char*>(acre_malloc(size));
  ASSERT_NE(block, nullptr);
  for (std::size_t at = 0; at < size; at += size / 40) {
    const acre_owner owner = acre_owner_of(block + at);
    ASSERT_EQ(owner.kind, ACRE_LARGE) << at;
    ASSERT_EQ(owner.block, block) << at;
  }
  acre_free(block);
  EXPECT_NE(acre_owner_of(block).kind, ACRE_LARGE);
  EXPECT_NE(acre_owner_of(block + size / 2).kind, ACRE_LARGE);
}

TEST(owner, of_a_freed_block_is_not_a_large_one) {
  std::vector<void*> blocks(5000);
  for (void*& block : blocks)
    block = acre_malloc(64);
  for (void* block : blocks)
    acre_free(block);
  acre_malloc_trim(0);
  std::size_t live = 0;
  for (void* block : blocks) {
    const acre_owner owner = acre_owner_of(block);
    EXPECT_NE(owner.kind, ACRE_LARGE);
    live += owner.kind == ACRE_SMALL_LIVE ? 1U : 0U;
  }
  // A thread's cache counts as live, but it does not hold thousands of blocks of one class.
  EXPECT_LT(live, 1000U);
}

TEST(owner, of_the_program_s_other_memory_is_nobody) {
  int on_the_stack = 0;
  std::vector<int> of_the_system(100);
  void* const mapped = mmap(nullptr, 1U << 20U, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  ASSERT_NE(mapped, MAP_FAILED);
  const void* const foreign[] = {nullptr,
                                 &a_global,
                                 &a_thread_local,
                                 &on_the_stack,
                                 of_the_system.data(),
                                 mapped,
                                 static_cast<char*>(mapped) + (1U << 19U),
                                 reinterpret_cast<const void*>(&acre_malloc),
                                 "a literal"};
  for (const void* address : foreign) {
    const acre_owner owner = acre_owner_of(address);
    EXPECT_EQ(owner.kind, ACRE_NOT_OURS) << address;
    EXPECT_EQ(owner.block, nullptr);
  }
  munmap(mapped, 1U << 20U);
}

TEST(owner, of_any_number_can_be_asked) {
  acre_test::random_source random(1);
  void* const block = acre_malloc(100);
  const auto near = reinterpret_cast<std::uintptr_t>(block);
  const int count = acre_test::is_sanitized ? 100'000 : 2'000'000;
  for (int index = 0; index < count; ++index) {
    std::uintptr_t number = random.next() >> random.below(64);
    if (index % 3 == 0) number = near + (number % (8U << 20U)) - (4U << 20U);
    if (index % 3 == 1) number = near + (number % (std::uintptr_t{8} << 30U));
    const acre_owner owner = acre_owner_of(reinterpret_cast<const void*>(number));
    if (owner.kind == ACRE_NOT_OURS || owner.kind == ACRE_UNUSED) {
      ASSERT_EQ(owner.block, nullptr) << number;
    } else {
      const auto start = reinterpret_cast<std::uintptr_t>(owner.block);
      ASSERT_LE(start, number);
      ASSERT_LT(number, start + owner.block_bytes);
    }
  }
  for (std::uintptr_t number : {std::uintptr_t{1}, UINTPTR_MAX, UINTPTR_MAX - 4095,
                                std::uintptr_t{1} << 47U, (std::uintptr_t{1} << 47U) - 1,
                                std::uintptr_t{1} << 48U, std::uintptr_t{0xffff'8000'0000'0000}}) {
    EXPECT_EQ(acre_owner_of(reinterpret_cast<const void*>(number)).kind, ACRE_NOT_OURS) << number;
  }
  acre_free(block);
}

TEST(owner, can_be_asked_while_other_threads_allocate) {
  std::vector<void*> mine(100);
  for (void*& block : mine)
    block = acre_malloc(200);
  std::vector<std::thread> threads;
  for (int thread = 0; thread < 2; ++thread) {
    threads.emplace_back([] {
      for (int index = 0; index < 20'000; ++index)
        acre_free(acre_malloc(1U << (index % 20)));
    });
  }
  for (int round = 0; round < 200; ++round) {
    for (void* block : mine)
      ASSERT_TRUE(is_block_start(acre_owner_of(block), block));
  }
  for (std::thread& thread : threads)
    thread.join();
  for (void* block : mine)
    acre_free(block);
}

}  // namespace
