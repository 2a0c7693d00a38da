/// Stacks of blocks above 1 KiB, which hold few blocks but where a thread takes and frees several
/// at a time, or at random.
#include "heap/stacks.hpp"

#include <acre/malloc.h>

#include "heap/address_space.hpp"
#include "heap/registry.hpp"
#include "heap/size_class.hpp"
#include "heap/slabs.hpp"
#include "support/random.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

namespace {

using namespace acre::heaps;

/// Each with a heap of its own.
template <class Body>
void on_thread(Body body) {
  std::thread thread(body);
  thread.join();
}

std::vector<void*> take(std::size_t count, std::size_t size_bytes) {
  std::vector<void*> blocks(count);
  for (void*& block : blocks)
    block = acre_malloc(size_bytes);
  return blocks;
}

void free_all(const std::vector<void*>& blocks) {
  for (void* block : blocks)
    acre_free(block);
}

/// Takes and frees so many at a time, until the class's stack holds what it may.
void swing(std::size_t count, std::size_t size_bytes) {
  for (int round = 0; round < 64; ++round)
    free_all(take(count, size_bytes));
}

bin& bin_for(heap_body& heap, std::size_t size_bytes) {
  return heap.bins[class_of(size_bytes)];
}

TEST(large_stacks, hold_what_a_thread_takes_and_frees_at_a_time) {
  for (const std::size_t size_bytes :
       {std::size_t{9000}, std::size_t{16'384}, std::size_t{40'000}, std::size_t{65'536}})
    on_thread([size_bytes] {
      const std::size_t count = 500'000 / size_bytes;
      swing(count, size_bytes);
      heap_body& heap = *own_heap();
      const std::uint32_t before = heap.visits;
      swing(count, size_bytes);
      EXPECT_EQ(heap.visits, before) << size_bytes;
      EXPECT_EQ(acre_check_invariants(), 1);
    });
}

TEST(medium_stacks, hold_more_where_blocks_come_and_go_at_random) {
  on_thread([] {
    // Of many classes, so that no swing of one makes its stack deep.
    constexpr std::size_t first = 1100;
    constexpr std::size_t last = 4096;
    acre_test::random_source random(11);
    std::vector<void*> blocks(200, nullptr);
    for (int step = 0; step < 200'000; ++step) {
      void*& block = blocks[random.below(blocks.size())];
      acre_free(block);
      block = acre_malloc(first + random.below(last - first));
    }
    heap_body& heap = *own_heap();
    std::size_t room = 0;
    std::size_t usual = 0;
    for (unsigned size_class = class_of(first); size_class <= class_of(last); ++size_class) {
      room += capacity(heap.bins[size_class]);
      usual += class_shapes[size_class].cache_most;
    }
    EXPECT_GE(room * 10, usual * 16);  // 18 to 22; 14 by swings alone
    EXPECT_EQ(acre_check_invariants(), 1);
    free_all(blocks);
  });
}

TEST(medium_stacks, hold_few_where_one_block_comes_and_goes) {
  on_thread([] {
    constexpr std::size_t size_bytes = 7000;  // Of no other test: a heap is used again.
    for (int round = 0; round < 1000; ++round)
      free_all(take(1, size_bytes));
    EXPECT_LE(capacity(bin_for(*own_heap(), size_bytes)),
              class_shapes[class_of(size_bytes)].cache_most);
  });
}

TEST(large_stacks, are_counted_and_hold_a_small_part) {
  on_thread([] {
    for (unsigned size_class = class_of(9000); size_class < class_count; ++size_class)
      swing((std::size_t{1} << 20U) / class_bytes(size_class), class_bytes(size_class));
    const heap_body& heap = *own_heap();
    std::size_t held = 0;
    for (unsigned size_class = class_of(9000); size_class < class_count; ++size_class) {
      const bin& b = heap.bins[size_class];
      held += (std::max<std::size_t>(capacity(b), 2) - 2) * class_bytes(size_class);
    }
    EXPECT_GT(held, 0U);
    EXPECT_EQ(held, heap.large_bytes);
    EXPECT_LE(held, std::size_t{2} << 20U);
    EXPECT_EQ(acre_check_invariants(), 1);
  });
}

TEST(large_stacks, are_emptied_before_more_becomes_resident) {
  on_thread([] {
    constexpr std::size_t swung = 16'384;
    swing(40, swung);
    heap_body& heap = *own_heap();
    ASSERT_GT(cached(bin_for(heap, swung)), 32U);
    (void)acre_malloc_trim(0);
    swing(40, swung);
    ASSERT_GT(cached(bin_for(heap, swung)), 32U);
    // The first needs pages, and the sweep does not come by yet.
    const std::vector<void*> blocks = take(1, 20'480);
    EXPECT_EQ(cached(bin_for(heap, swung)), 0U);
    EXPECT_EQ(heap.large_bytes, 0U);
    free_all(blocks);
    EXPECT_EQ(acre_check_invariants(), 1);
  });
}

TEST(large_stacks, come_to_rest_with_their_class) {
  on_thread([] {
    constexpr std::size_t swung = 16'384;
    swing(40, swung);
    heap_body& heap = *own_heap();
    ASSERT_GT(heap.large_bytes, 0U);
    // Each refill and flush looks at one class.
    for (int round = 0; round < 64; ++round)
      free_all(take(2000, 64));
    EXPECT_EQ(cached(bin_for(heap, swung)), 0U);
    EXPECT_EQ(heap.large_bytes, 0U);
    EXPECT_EQ(acre_check_invariants(), 1);
  });
}

}  // namespace
