/// Slabs of more pages, in heaps whose slabs become empty as a whole.
#include <acre/malloc.h>

#include "heap/address_space.hpp"
#include "heap/size_class.hpp"
#include "support/blocks.hpp"
#include "support/random.hpp"

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <thread>
#include <utility>
#include <vector>

#include <gtest/gtest.h>
#include <sys/mman.h>

namespace {

using acre::heaps::class_of;
using acre::heaps::class_shapes;
using acre::heaps::space;
using acre_test::free_blocks;
using acre_test::in_thread;

constexpr std::size_t filled_bytes = std::size_t{8} << 20U;

std::vector<void*> fill(std::size_t size_bytes) {
  std::vector<void*> blocks(filled_bytes / size_bytes);
  for (void*& block : blocks)
    block = acre_malloc(size_bytes);
  return blocks;
}

std::size_t slab_pages_of(const void* block) {
  return space.runs[space.run_of_page[space.page_of(block)]].pages;
}

/// The part of the blocks that lie in slabs of `pages` pages, in percent.
std::size_t percent_in(const std::vector<void*>& blocks, std::size_t pages) {
  const auto count = std::count_if(blocks.begin(), blocks.end(), [pages](const void* block) {
    return slab_pages_of(block) == pages;
  });
  return static_cast<std::size_t>(count) * 100 / blocks.size();
}

/// Fills and empties the heap until what it did before is forgotten.
void empty_slabs_as_a_whole() {
  for (int round = 0; round < 6; ++round)
    free_blocks(fill(512));
}

/// Leaves one block of eight, at random places, so that hardly a slab becomes empty.
std::vector<void*> leave_few(std::size_t size_bytes) {
  std::vector<void*> blocks = fill(size_bytes);
  acre_test::random_source random(7);
  for (std::size_t last = blocks.size() - 1; last > 0; --last)
    std::swap(blocks[last], blocks[random.below(last + 1)]);
  for (const std::size_t left = blocks.size() / 8; blocks.size() > left; blocks.pop_back())
    acre_free(blocks.back());
  return blocks;
}

TEST(long_slabs, are_made_once_slabs_become_empty_as_a_whole) {
  in_thread([] {
    empty_slabs_as_a_whole();
    for (const std::size_t size_bytes :
         {std::size_t{64}, std::size_t{320}, std::size_t{1024}, std::size_t{1200},
          std::size_t{4096}, std::size_t{8192}, std::size_t{9216}, std::size_t{20000},
          std::size_t{32768}}) {
      const std::vector<void*> blocks = fill(size_bytes);
      const std::size_t pages = class_shapes[class_of(size_bytes)].long_slab.pages;
      ASSERT_GT(pages, class_shapes[class_of(size_bytes)].later_slab.pages);
      EXPECT_GT(percent_in(blocks, pages), 75U) << size_bytes;
      EXPECT_EQ(acre_check_invariants(), 1);
      free_blocks(blocks);
    }
    EXPECT_EQ(acre_check_invariants(), 1);
  });
}

TEST(long_slabs, are_not_made_while_blocks_die_one_by_one) {
  in_thread([] {
    std::vector<void*> left;
    // Later rounds find free slots to borrow; the first are what makes the heap forget.
    for (int round = 0; round < 4; ++round) {
      const std::vector<void*> few = leave_few(64);
      left.insert(left.end(), few.begin(), few.end());
    }
    const std::vector<void*> blocks = fill(1008);
    EXPECT_LT(percent_in(blocks, class_shapes[class_of(1008)].long_slab.pages), 5U);
    EXPECT_EQ(acre_check_invariants(), 1);
    free_blocks(blocks);
    free_blocks(left);
  });
}

/// Pages of the blocks' slabs, and how many of them are in memory. Requires: no two share one.
struct residency {
  std::size_t pages = 0;
  std::size_t resident = 0;
};

residency residency_of_slabs(const std::vector<void*>& blocks) {
  residency found;
  for (const void* block : blocks) {
    const auto& slab = space.runs[space.run_of_page[space.page_of(block)]];
    std::vector<unsigned char> in_memory(slab.pages);
    EXPECT_EQ(mincore(space.address_of(slab.page), slab.pages * acre::heaps::page_bytes,
                      in_memory.data()),
              0);
    found.pages += slab.pages;
    found.resident += static_cast<std::size_t>(
        std::count_if(in_memory.begin(), in_memory.end(), [](auto page) { return page % 2 != 0; }));
  }
  return found;
}

TEST(long_slabs, hold_no_pages_of_free_blocks_after_a_trim) {
  in_thread([] {
    constexpr std::size_t size_bytes = 20'480;
    constexpr std::size_t one_in = 7;  // A slab holds three.
    empty_slabs_as_a_whole();
    const std::vector<void*> blocks = fill(size_bytes);
    std::vector<void*> left;
    for (std::size_t i = 0; i < blocks.size(); ++i) {
      std::memset(blocks[i], 'x', size_bytes);
      if (i % one_in == 0) left.push_back(blocks[i]);
    }
    for (std::size_t i = 0; i < blocks.size(); ++i)
      if (i % one_in != 0) acre_free(blocks[i]);
    (void)acre_malloc_trim(0);
    const residency found = residency_of_slabs(left);
    EXPECT_LT(found.resident, found.pages / 2);
    EXPECT_EQ(acre_check_invariants(), 1);
    for (const void* block : left)
      EXPECT_EQ(std::count(static_cast<const char*>(block),
                           static_cast<const char*>(block) + size_bytes, 'x'),
                size_bytes);
    free_blocks(left);
  });
}

}  // namespace
