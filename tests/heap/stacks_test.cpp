/// Stacks of blocks above 1 KiB, which hold few blocks but where a thread takes and frees several
/// at a time, or at random.
#include "heap/stacks.hpp"

#include <acre/malloc.h>

#include "heap/address_space.hpp"
#include "heap/registry.hpp"
#include "heap/size_class.hpp"
#include "heap/slabs.hpp"
#include "support/blocks.hpp"
#include "support/random.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <latch>
#include <thread>
#include <vector>

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

namespace {

using acre_test::free_blocks;
using acre_test::in_thread;
using namespace acre::heaps;

std::vector<void*> take(std::size_t count, std::size_t size_bytes) {
  std::vector<void*> blocks(count);
  for (void*& block : blocks)
    block = acre_malloc(size_bytes);
  return blocks;
}

/// Takes and frees so many at a time, until the class's stack holds what it may.
void swing(std::size_t count, std::size_t size_bytes) {
  for (int round = 0; round < 64; ++round)
    free_blocks(take(count, size_bytes));
}

/// What the tests of large stacks swing.
constexpr std::size_t swung = 16'384;

/// The caller's heap, whose stack for `swung` is wide and full, without free pages.
heap_body& swing_after_trim() {
  (void)acre_malloc_trim(0);
  swing(40, swung);
  return *own_heap();
}

/// Lets the sweep come by all classes but one twice: each refill and flush looks at one. More
/// blocks than the deepest stack holds, which may be there already.
void let_others_rest() {
  const std::uint32_t before = own_heap()->visits;
  while (own_heap()->visits - before < 2 * class_count)
    free_blocks(take(8000, 64));
}

bin& bin_for(heap_body& heap, std::size_t size_bytes) {
  return heap.bins[class_of(size_bytes)];
}

TEST(large_stacks, hold_what_a_thread_takes_and_frees_at_a_time) {
  for (const std::size_t size_bytes :
       {std::size_t{9000}, std::size_t{16'384}, std::size_t{40'000}, std::size_t{65'536}})
    in_thread([size_bytes] {
      const std::size_t count = 500'000 / size_bytes;
      swing(count, size_bytes);
      heap_body& heap = *own_heap();
      const std::uint32_t before = heap.visits;
      swing(count, size_bytes);
      EXPECT_EQ(heap.visits, before) << size_bytes;
      EXPECT_EQ(acre_check_invariants(), 1);
    });
}

/// Frees and takes a hundred blocks at a time of a thousand, so a few of each class, more or fewer.
/// Returns the visits to the heap.
std::uint32_t replace_at_random(std::size_t first_bytes, std::size_t last_bytes, int rounds) {
  constexpr std::size_t at_a_time = 100;
  acre_test::random_source random(11);
  std::vector<void*> blocks = take(1000, first_bytes);
  const heap_body& heap = *own_heap();
  const std::uint32_t before = heap.visits;
  for (int round = 0; round < rounds; ++round) {
    const std::size_t from = random.below(blocks.size() - at_a_time + 1);
    for (std::size_t i = from; i < from + at_a_time; ++i)
      acre_free(blocks[i]);
    for (std::size_t i = from; i < from + at_a_time; ++i)
      blocks[i] = acre_malloc(first_bytes + random.below(last_bytes - first_bytes));
  }
  const std::uint32_t visits = heap.visits - before;
  EXPECT_EQ(acre_check_invariants(), 1);
  free_blocks(blocks);
  return visits;
}

TEST(large_stacks, hold_more_where_few_blocks_of_many_classes_come_and_go) {
  // Beside so many others a class takes few blocks between two looks of the sweep. 27 000 to 29
  // 000; above 200 000 where the sweep emptied the stacks of so little used classes.
  in_thread([] { EXPECT_LT(replace_at_random(300, 16'000, 3000), 60'000U); });
}

TEST(medium_stacks, hold_more_where_blocks_come_and_go_at_random) {
  in_thread([] {
    constexpr std::size_t first = 1100;
    constexpr std::size_t last = 8000;
    // 24 000 to 26 000; 54 000 to 77 000 where deep stacks without room for more were in the way.
    EXPECT_LT(replace_at_random(first, last, 3000), 40'000U);
    const heap_body& heap = *own_heap();
    // Whatever a stack holds now, a refill ends the need for one.
    for (std::size_t size_bytes = first; size_bytes <= last; size_bytes += 100) {
      acre_free(acre_malloc(size_bytes));
      const std::uint32_t rested = heap.visits;
      for (int pair = 0; pair < 100; ++pair)
        acre_free(acre_malloc(size_bytes));
      // What another class has lent goes back to that one.
      EXPECT_LE(heap.visits - rested, 20U) << size_bytes;
    }
  });
}

TEST(medium_stacks, hold_a_swing_beside_many_other_blocks) {
  in_thread([] {
    (void)acre_malloc_trim(0);  // No free blocks of other classes that could be lent.
    const std::vector<void*> others = take(300, 40'000);
    for (const std::size_t size_bytes : {std::size_t{3584}, std::size_t{5120}, std::size_t{8192}}) {
      const std::size_t count = 72'000 / size_bytes;  // More than 64 KiB: a deep stack.
      swing(count, size_bytes);
      const std::uint32_t before = own_heap()->visits;
      swing(count, size_bytes);
      // None but for what other classes lend; two a round where the stack is too small.
      EXPECT_LT(own_heap()->visits - before, 64U) << size_bytes;
      let_others_rest();
    }
    free_blocks(others);
    EXPECT_EQ(acre_check_invariants(), 1);
  });
}

TEST(medium_stacks, hold_few_where_one_block_comes_and_goes) {
  in_thread([] {
    let_others_rest();  // The heap may be that of another test.
    constexpr std::size_t size_bytes = 7000;
    for (int round = 0; round < 1000; ++round)
      free_blocks(take(1, size_bytes));
    EXPECT_LE(capacity(bin_for(*own_heap(), size_bytes)),
              class_shapes[class_of(size_bytes)].cache_most);
  });
}

TEST(large_stacks, are_counted_and_hold_a_small_part) {
  in_thread([] {
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
  in_thread([] {
    swing(40, swung);
    ASSERT_GT(cached(bin_for(*own_heap(), swung)), 32U);
    heap_body& heap = swing_after_trim();
    ASSERT_GT(cached(bin_for(heap, swung)), 32U);
    // The first needs pages, and the sweep does not come by yet.
    const std::vector<void*> blocks = take(1, 20'480);
    EXPECT_EQ(cached(bin_for(heap, swung)), 0U);
    EXPECT_GT(heap.large_bytes, 0U) << "the next swing fills it again";
    free_blocks(blocks);
    EXPECT_EQ(acre_check_invariants(), 1);
  });
}

TEST(large_stacks, are_narrowed_when_they_are_of_no_use_as_memory_grows) {
  in_thread([] {
    const heap_body& heap = swing_after_trim();
    ASSERT_GT(heap.large_bytes, 0U);
    const std::vector<void*> all = take(40, swung);
    const std::vector<void*> more = take(1, 20'480);
    EXPECT_EQ(heap.large_bytes, 0U);
    free_blocks(all);
    free_blocks(more);
    EXPECT_EQ(acre_check_invariants(), 1);
  });
}

TEST(large_stacks, are_narrowed_when_more_heaps_share_what_they_may_hold) {
  in_thread([] {
    const heap_body& heap = swing_after_trim();
    ASSERT_GT(heap.large_bytes, std::size_t{1} << 18U);
    std::latch made(16);
    std::latch done(1);
    std::vector<std::jthread> others;
    for (int i = 0; i < 16; ++i)
      others.emplace_back([&] {
        acre_free(acre_malloc(16));
        made.count_down();
        done.wait();
      });
    made.wait();
    const std::vector<void*> blocks = take(1, 20'480);
    EXPECT_EQ(heap.large_bytes, 0U);
    done.count_down();
    others.clear();
    free_blocks(blocks);
    EXPECT_EQ(acre_check_invariants(), 1);
  });
}

TEST(large_stacks, come_to_rest_with_their_class) {
  in_thread([] {
    swing(40, swung);
    heap_body& heap = *own_heap();
    ASSERT_GT(heap.large_bytes, 0U);
    let_others_rest();
    EXPECT_EQ(cached(bin_for(heap, swung)), 0U);
    EXPECT_EQ(heap.large_bytes, 0U);
    EXPECT_EQ(acre_check_invariants(), 1);
  });
}

/// Of all heaps of threads, as a child of fork sees them.
std::size_t large_bytes_of_others() {
  std::size_t bytes = 0;
  for (const heap_body* heap = newest_heap(); heap != nullptr; heap = heap->next_all)
    if (heap->kind == body_kind::thread && heap != own_heap()) bytes += heap->large_bytes;
  return bytes;
}

TEST(large_stacks, of_other_threads_are_empty_in_a_child_of_fork) {
  in_thread([] {
    swing(40, swung);
    ASSERT_GT(own_heap()->large_bytes, 0U);
    int status = -1;
    std::thread([&status] {
      const pid_t child = fork();
      if (child == 0) _exit(large_bytes_of_others() == 0 ? 0 : 1);
      waitpid(child, &status, 0);
    }).join();
    EXPECT_EQ(status, 0);
  });
}

}  // namespace
