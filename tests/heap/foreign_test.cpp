/// Blocks that one thread allocates and another frees: kept there for its own use, or sent home.
#include "heap/foreign.hpp"

#include <acre/malloc.h>

#include "heap/address_space.hpp"
#include "heap/config.hpp"
#include "heap/deep_stack.hpp"
#include "heap/page_heap.hpp"
#include "heap/purger.hpp"
#include "heap/registry.hpp"
#include "heap/slabs.hpp"
#include "malloc/report.hpp"
#include "support/blocks.hpp"
#include "support/sanitizer.hpp"

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <latch>
#include <random>
#include <set>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

namespace {

using acre::heaps::bin;
using acre::heaps::body_of;
using acre::heaps::heap_body;
using acre::heaps::space;

using acre_test::free_blocks;
using acre_test::in_thread;

std::vector<void*> make_blocks(std::size_t count, std::size_t size_bytes) {
  std::vector<void*> blocks(count);
  for (void*& block : blocks) {
    block = acre_malloc(size_bytes);
    std::memset(block, 1, size_bytes);
  }
  return blocks;
}

bin& own_bin(std::size_t size_bytes) {
  return acre::heaps::own_heap()->bins[acre::heaps::class_of(size_bytes)];
}

/// Blocks that are in no slab although nobody has them.
std::size_t cached_everywhere() {
  std::size_t count = 0;
  acre::heaps::for_each_heap(
      [](heap_body& heap, void* sum) {
        for (const bin& b : heap.bins)
          *static_cast<std::size_t*>(sum) += acre::heaps::cached(b);
        for (const auto& batch : heap.batches)
          *static_cast<std::size_t*>(sum) += batch.count;
      },
      &count);
  return count;
}

TEST(foreign, blocks_are_taken_again_by_the_thread_that_freed_them) {
  for (const std::size_t size_bytes : {64U, 128U, 576U, 1024U}) {
    const std::vector<void*> blocks = make_blocks(8, size_bytes);
    in_thread([&] {
      // It allocates such blocks itself, so many that its cache has room for them all.
      const std::vector<void*> own = make_blocks(512, size_bytes);
      free_blocks(make_blocks(64, size_bytes));
      free_blocks(blocks);
      const std::vector<void*> taken = make_blocks(8, size_bytes);
      EXPECT_EQ(std::set<void*>(blocks.begin(), blocks.end()),
                std::set<void*>(taken.begin(), taken.end()))
          << size_bytes;
      free_blocks(taken);
      free_blocks(own);
    });
  }
}

TEST(foreign, blocks_that_share_a_cache_line_go_home_from_a_thread_that_frees_its_own) {
  for (const std::size_t size_bytes : {48U, 80U, 1008U}) {
    const std::vector<void*> blocks = make_blocks(8, size_bytes);
    in_thread([&] {
      free_blocks(make_blocks(64, size_bytes));
      free_blocks(blocks);
      free_blocks(make_blocks(2000, size_bytes));
      const std::vector<void*> taken = make_blocks(64, size_bytes);
      for (void* block : taken)
        EXPECT_EQ(body_of(space.owner[space.page_of(block)]), acre::heaps::own_heap());
      free_blocks(taken);
    });
  }
}

TEST(foreign, blocks_of_any_size_stay_with_a_thread_that_frees_hardly_any_of_its_own) {
  constexpr std::size_t count = 500;
  constexpr std::size_t size_bytes = 48;
  std::vector<void*> blocks = make_blocks(count, size_bytes);
  in_thread([&] {
    bool kept = false;
    for (int round = 0; round < 10; ++round) {
      const std::vector<void*> own = make_blocks(count, size_bytes);
      for (void* block : own)
        kept = kept || body_of(space.owner[space.page_of(block)]) != acre::heaps::own_heap();
      free_blocks(blocks);
      blocks = own;
      std::thread([&] {
        free_blocks(blocks);
        blocks = make_blocks(count, size_bytes);
      }).join();
    }
    EXPECT_TRUE(kept);
  });
  free_blocks(blocks);
}

TEST(foreign, blocks_of_any_size_stay_with_a_thread_that_frees_as_many_of_its_own) {
  constexpr std::size_t count = 250;
  constexpr std::size_t size_bytes = 48;
  constexpr int rounds = 10;
  std::vector<void*> foreign = make_blocks(count * rounds, size_bytes);
  in_thread([&] {
    std::size_t kept = 0;
    std::vector<void*> held;
    for (int round = 0; round < rounds; ++round) {
      std::size_t own = 0;
      for (void* block : make_blocks(2 * count, size_bytes)) {
        const bool is_own = body_of(space.owner[space.page_of(block)]) == acre::heaps::own_heap();
        kept += !is_own && round >= rounds / 2 ? 1 : 0;
        if (is_own && own++ < count)
          acre_free(block);
        else
          held.push_back(block);
      }
      for (std::size_t i = 0; i < count; ++i, foreign.pop_back())
        acre_free(foreign.back());
    }
    EXPECT_GT(kept, count);
    free_blocks(held);
  });
}

TEST(foreign, blocks_go_home_from_a_thread_that_allocates_half_as_many) {
  const std::vector<void*> foreign = make_blocks(20'000, 64);
  in_thread([&] {
    bool has_kept = false;
    std::size_t refused = 0;
    std::vector<void*> own;
    for (std::size_t i = 0; i < foreign.size(); ++i) {
      acre_free(foreign[i]);
      if (i % 2 == 0) own.push_back(acre_malloc(64));
      has_kept = has_kept || own_bin(64).keeps != 0;
      refused += has_kept && own_bin(64).keeps == 0 ? 1 : 0;
    }
    EXPECT_TRUE(has_kept);
    EXPECT_GT(refused, foreign.size() / 20);
    free_blocks(own);
  });
}

TEST(foreign, blocks_do_not_pile_up_where_none_are_allocated) {
  constexpr std::size_t count = 100'000;
  const std::vector<void*> blocks = make_blocks(count, 256);
  in_thread([&] {
    free_blocks(blocks);
    EXPECT_EQ(acre::heaps::cached(own_bin(256)), 0U);
    // One that allocates a few keeps a few.
    const std::vector<void*> few = make_blocks(4, 512);
    free_blocks(few);
    EXPECT_LE(acre::heaps::cached(own_bin(512)), 16U);
  });
}

/// Blocks that the calling thread holds back for other heaps.
std::size_t waiting_blocks() {
  std::size_t count = 0;
  for (const auto& batch : acre::heaps::own_heap()->batches)
    count += batch.count;
  return count;
}

TEST(foreign, blocks_of_several_classes_go_home_together) {
  const std::vector<void*> longer = make_blocks(4, 4096);
  const std::vector<void*> shorter = make_blocks(4, 2048);
  const std::vector<void*> least = make_blocks(2 * acre::heaps::remote_batch_most, 112);
  in_thread([&] {
    for (std::size_t i = 0; i < 2; ++i) {
      acre_free(longer[2 * i]);
      acre_free(shorter[2 * i]);
      EXPECT_EQ(waiting_blocks(), 2U) << "these are 6 of the 8 KiB that may wait";
      acre_free(shorter[2 * i + 1]);
      EXPECT_EQ(waiting_blocks(), 0U);
      acre_free(longer[2 * i + 1]);
      send_all_batches(*acre::heaps::own_heap());
    }
    for (std::size_t i = 0; i < least.size(); ++i) {
      ASSERT_EQ(waiting_blocks(), i % acre::heaps::remote_batch_most) << i;
      acre_free(least[i]);
    }
    EXPECT_EQ(waiting_blocks(), 0U);
  });
}

TEST(foreign, a_thread_that_passes_many_blocks_on_gets_a_deep_stack_and_gives_it_back) {
  constexpr std::size_t count = 3000;
  std::vector<void*> blocks = make_blocks(count, 64);
  in_thread([&] {
    for (int round = 0; round < 20; ++round) {
      const std::vector<void*> own = make_blocks(count, 64);
      free_blocks(blocks);
      blocks = own;
      std::thread([&] {
        free_blocks(blocks);
        blocks = make_blocks(count, 64);
      }).join();
    }
    EXPECT_TRUE(acre::heaps::is_deep(*acre::heaps::own_heap(), own_bin(64)));
    EXPECT_GT(acre::heaps::own_heap()->deep_bytes, 0U);
    acre::mallocs::flush_own_caches();
    EXPECT_FALSE(acre::heaps::is_deep(*acre::heaps::own_heap(), own_bin(64)));
    EXPECT_EQ(acre::heaps::own_heap()->deep_bytes, 0U);
    EXPECT_EQ(acre::heaps::cached(own_bin(64)), 0U);
  });
  free_blocks(blocks);
}

TEST(foreign, blocks_leave_a_full_deep_stack_a_few_hundred_at_a_time) {
  constexpr std::size_t count = 3900;
  std::vector<void*> blocks = make_blocks(count, 64);
  in_thread([&] {
    std::vector<void*> own;
    for (int round = 0; round < 20; ++round) {
      own = make_blocks(count, 64);
      free_blocks(blocks);
      std::thread([&] {
        free_blocks(own);
        blocks = make_blocks(count, 64);
      }).join();
    }
    std::thread([&] {
      const std::vector<void*> more = make_blocks(1000, 64);
      blocks.insert(blocks.end(), more.begin(), more.end());
    }).join();
    const bin& b = own_bin(64);
    own = make_blocks(count, 64);
    bool was_full = false;
    for (void* block : blocks) {
      const std::size_t before = acre::heaps::cached(b);
      acre_free(block);
      const std::size_t after = acre::heaps::cached(b);
      if (after >= before) continue;
      was_full = true;
      EXPECT_EQ(before + 1 - after, 256U);
    }
    EXPECT_TRUE(was_full);
    EXPECT_TRUE(acre::heaps::is_deep(*acre::heaps::own_heap(), b));
    free_blocks(own);
    acre::mallocs::flush_own_caches();
  });
}

TEST(foreign, blocks_go_home_from_what_a_thread_left_behind) {
  for (const std::size_t size_bytes : {64U, 192U, 208U, 1024U}) {
    const std::vector<void*> blocks = make_blocks(2000, size_bytes);
    in_thread([&] {
      free_blocks(make_blocks(100, size_bytes));
      free_blocks(blocks);
    });
    acre::mallocs::flush_own_caches();
    acre::heaps::empty_left_heaps();
    acre::mallocs::flush_own_caches();
    EXPECT_EQ(cached_everywhere(), 0U) << size_bytes;
    EXPECT_EQ(acre_statistics().live_bytes, 0U) << size_bytes;
  }
}

/// How many of the blocks lie in slabs of the calling thread's heap.
std::size_t count_own(const std::vector<void*>& blocks) {
  std::size_t own = 0;
  for (void* block : blocks)
    own += body_of(space.owner[space.page_of(block)]) == acre::heaps::own_heap() ? 1U : 0U;
  return own;
}

/// Frees every other block, so that no slab becomes empty, and allocates as many. Returns how many
/// of these lie in the thread's own slabs.
std::size_t replace_half(std::vector<void*>& blocks, std::size_t size_bytes) {
  for (std::size_t i = 0; i < blocks.size(); i += 2)
    acre_free(blocks[i]);
  const std::vector<void*> fresh = make_blocks(blocks.size() / 2, size_bytes);
  for (std::size_t i = 0; i < fresh.size(); ++i)
    blocks[2 * i] = fresh[i];
  return count_own(fresh);
}

TEST(foreign, free_slots_of_an_ended_thread_are_taken_before_new_pages) {
  for (const std::size_t size_bytes : {48U, 512U, 1008U}) {
    const std::size_t live_before = acre_statistics().live_bytes;
    in_thread([&] {
      std::vector<void*> blocks;
      std::thread([&] { blocks = make_blocks(4000, size_bytes); }).join();
      EXPECT_LE(replace_half(blocks, size_bytes), 200U) << size_bytes;
      free_blocks(blocks);
    });
    EXPECT_EQ(acre_statistics().live_bytes, live_before) << size_bytes;
  }
}

TEST(foreign, free_slots_of_a_living_thread_are_taken_while_most_frees_are_foreign) {
  for (const std::size_t size_bytes : {128U, 80U}) {
    in_thread([&] {
      std::vector<void*> blocks;
      std::latch made{1};
      std::latch replaced{1};
      std::thread other([&] {
        blocks = make_blocks(4000, size_bytes);
        made.count_down();
        replaced.wait();
      });
      made.wait();
      if (size_bytes == 128) {
        EXPECT_LE(replace_half(blocks, size_bytes), 200U);
      } else {
        // Most of what it frees is its own.
        free_blocks(make_blocks(8000, size_bytes));
        EXPECT_EQ(replace_half(blocks, size_bytes), 2000U);
      }
      free_blocks(blocks);
      replaced.count_down();
      other.join();
    });
  }
}

TEST(caches, hold_an_eighth_of_their_class_where_blocks_come_and_go_at_random) {
  for (const std::size_t size_bytes : {64U, 256U, 1024U}) {
    in_thread([&] {
      std::vector<void*> blocks = make_blocks(400, size_bytes);
      std::minstd_rand random{1};
      for (int step = 0; step < 20'000; ++step) {
        void*& block = blocks[random() % blocks.size()];
        acre_free(block);
        block = acre_malloc(size_bytes);
        if (random() % 8 != 0) continue;
        // Now and then a few at once, so that the cache overflows.
        const std::vector<void*> more = make_blocks(random() % 12, size_bytes);
        free_blocks(more);
      }
      const bin& b = own_bin(size_bytes);
      const auto room = static_cast<std::size_t>(b.end - b.base);
      EXPECT_LE(room, 400 / 8 + 400 / 8) << size_bytes;
      EXPECT_GE(room, 8U) << size_bytes;
      free_blocks(blocks);
    });
  }
}

TEST(caches, hold_two_large_blocks_of_a_class_that_is_used_often) {
  in_thread([] {
    const auto use_twice = [](int times) {
      for (int i = 0; i < times; ++i)
        free_blocks(make_blocks(2, 20000));
    };
    use_twice(4);
    EXPECT_EQ(acre::heaps::cached(own_bin(20000)), 1U);
    use_twice(20);
    EXPECT_EQ(acre::heaps::cached(own_bin(20000)), 2U);
  });
}

TEST(deep_stack, holds_what_a_class_swings_by_and_goes_when_it_rests) {
  struct swing {
    std::size_t size_bytes, count;
  };
  for (const auto [size_bytes, count] : {swing{48, 600}, swing{2048, 60}, swing{8192, 18}}) {
    in_thread([&] {
      const heap_body& heap = *acre::heaps::own_heap();
      for (int round = 0; round < 20; ++round)
        free_blocks(make_blocks(count, size_bytes));
      EXPECT_TRUE(acre::heaps::is_deep(heap, own_bin(size_bytes))) << size_bytes;
      const std::uint32_t before = heap.visits;
      for (int round = 0; round < 20; ++round)
        free_blocks(make_blocks(count, size_bytes));
      EXPECT_EQ(heap.visits, before) << size_bytes;
      acre::mallocs::flush_own_caches();
      EXPECT_FALSE(acre::heaps::is_deep(heap, own_bin(size_bytes))) << size_bytes;
      EXPECT_EQ(heap.deep_bytes, 0U) << size_bytes;
    });
  }
}

TEST(left_heaps, serve_the_next_thread_without_a_refill) {
  acre::heaps::empty_left_heaps();
  heap_body* heap = nullptr;
  std::uint32_t refills = 0;
  const auto live = [&](std::size_t count) {
    in_thread([&] {
      heap = acre::heaps::own_heap();
      const std::uint32_t before = heap->visits;
      free_blocks(make_blocks(count, 160));
      refills = heap->visits - before;
    });
  };
  for (int thread = 0; thread < 6; ++thread)
    live(100);  // Its stack grows with the class's swings.
  const heap_body* const before = heap;
  live(80);  // The last few of a stack are not used before it is filled again.
  EXPECT_EQ(heap, before);
  EXPECT_EQ(refills, 0U);
}

TEST(left_heaps, hold_a_mebibyte_at_most_and_nothing_after_a_trim) {
  constexpr std::size_t thread_count = 160;  // 8 KiB each: more than may stay
  constexpr std::size_t size_bytes = 1024;
  acre::heaps::stop_purger();  // It would empty them at its next turn.
  std::vector<std::thread> threads;
  std::atomic<std::size_t> ready{0};
  for (std::size_t index = 0; index < thread_count; ++index)
    threads.emplace_back([&] {
      free_blocks(make_blocks(8, size_bytes));
      ++ready;
      while (ready < thread_count)  // All live at once, so that each has its own heap.
        std::this_thread::yield();
    });
  for (std::thread& thread : threads)
    thread.join();
  acre::mallocs::flush_own_caches();
  EXPECT_LE(cached_everywhere() * size_bytes, std::size_t{1} << 20);
  EXPECT_GT(cached_everywhere() * size_bytes, std::size_t{1} << 18);
  acre::heaps::let_purger_go();
  (void)acre_malloc_trim(0);
  EXPECT_EQ(cached_everywhere(), 0U);
}

TEST(left_heaps, cache_no_more_large_blocks_than_there_is_room_for) {
  constexpr std::size_t size_bytes = 16384;
  std::vector<void*> blocks;
  in_thread([&] {
    blocks = make_blocks(60, size_bytes);
    free_blocks(make_blocks(2, size_bytes));
  });
  // One block at a time is what a class is given that was little used.
  in_thread([] { free_blocks(make_blocks(2, size_bytes)); });
  EXPECT_EQ(acre_check_invariants(), 1);
  in_thread([&] {
    free_blocks(blocks);
    EXPECT_EQ(acre_check_invariants(), 1);
    free_blocks(make_blocks(2, size_bytes + 2000));
  });
  EXPECT_EQ(acre_check_invariants(), 1);
}

TEST(left_heaps, keep_no_foreign_block_in_their_batches) {
  const std::vector<void*> blocks = make_blocks(20, 64);
  in_thread([&] {
    free_blocks(make_blocks(1, 64));  // From now on the class keeps foreign blocks.
    free_blocks(blocks);
  });
  // What its thread had no use for went home when it ended, and not only to a batch.
  std::size_t waiting = 0;
  acre::heaps::for_each_heap(
      [](heap_body& heap, void* sum) {
        for (const auto& batch : heap.batches)
          *static_cast<std::size_t*>(sum) += heap.idle ? batch.count : 0;
      },
      &waiting);
  EXPECT_EQ(waiting, 0U);
}

/// Threads that live at once, so that each has its own heap, and that allocate blocks of every
/// small class. Each of these keeps a slab.
std::vector<std::vector<void*>> allocate_in_threads(std::size_t thread_count,
                                                    std::size_t blocks_per_class, bool free_there) {
  std::vector<std::vector<void*>> blocks(thread_count);
  std::vector<std::thread> threads;
  std::atomic<std::size_t> ready{0};
  for (std::size_t index = 0; index < thread_count; ++index)
    threads.emplace_back([&, index] {
      for (std::size_t size_bytes = 16; size_bytes <= 1024; size_bytes += 16) {
        const std::vector<void*> made = make_blocks(blocks_per_class, size_bytes);
        if (free_there)
          free_blocks(made);
        else
          blocks[index].insert(blocks[index].end(), made.begin(), made.end());
      }
      ++ready;
      while (ready < thread_count)
        std::this_thread::yield();
    });
  for (std::thread& thread : threads)
    thread.join();
  return blocks;
}

void end_threads_at_once(std::size_t thread_count, std::size_t blocks_per_class) {
  (void)allocate_in_threads(thread_count, blocks_per_class, true);
}

TEST(left_heaps, of_small_caches_hold_few_pages) {
  end_threads_at_once(64, 1);
  acre::mallocs::flush_own_caches();
  std::size_t pages = 0;
  acre::heaps::for_each_heap(
      [](heap_body& heap, void* sum) {
        if (heap.idle) *static_cast<std::size_t*>(sum) += heap.pages.load();
      },
      &pages);
  EXPECT_LE(pages * acre::heaps::page_bytes, std::size_t{1} << 20);
}

TEST(left_heaps, do_not_hold_free_pages_when_nothing_is_called_any_more) {
  if (acre_test::is_sanitized) GTEST_SKIP() << "no background thread under sanitizers";
  using acre::heaps::process_pages;
  const long delay_before = acre::heaps::config.purge_delay_ms.exchange(20);
  (void)acre_malloc_trim(0);
  end_threads_at_once(48, 8);
  constexpr std::size_t worth_a_thread_pages = 512;
  for (int wait = 0; wait < 400 && process_pages.dirty_hint() >= worth_a_thread_pages; ++wait)
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  EXPECT_LT(process_pages.dirty_hint(), worth_a_thread_pages);
  acre::heaps::config.purge_delay_ms.store(delay_before);
}

/// What is freed in the last interval before the purging thread would end must not stay.
TEST(purging_thread, does_not_end_while_much_is_free) {
  if (acre_test::is_sanitized) GTEST_SKIP() << "no background thread under sanitizers";
  using acre::heaps::process_pages;
  const long delay_before = acre::heaps::config.purge_delay_ms.exchange(10);
  constexpr std::size_t worth_a_thread_pages = 512;
  for (int rest_ms = 30; rest_ms < 120; rest_ms += 4) {
    free_blocks(make_blocks(1, std::size_t{4} << 20));
    std::this_thread::sleep_for(std::chrono::milliseconds(rest_ms));
    free_blocks(make_blocks(1, std::size_t{4} << 20));
    for (int wait = 0; wait < 200 && process_pages.dirty_hint() >= worth_a_thread_pages; ++wait)
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    ASSERT_LT(process_pages.dirty_hint(), worth_a_thread_pages) << rest_ms << " ms";
  }
  acre::heaps::config.purge_delay_ms.store(delay_before);
}

/// Threads that have ended leave blocks to one that frees them once the purging thread has found
/// the program at rest, and `rest_ms` later. Their pages come back without a further call.
void expect_back_after(int rest_ms) {
  using acre::heaps::process_pages;
  constexpr std::size_t thread_count = 32;
  constexpr std::size_t little_pages = 512;
  const long delay_before = acre::heaps::config.purge_delay_ms.exchange(20);
  end_threads_at_once(thread_count, 1);
  (void)acre_malloc_trim(0);
  const std::size_t before = process_pages.counts().live;
  for (int round = 0; round < 8; ++round) {
    free_blocks(make_blocks(1, std::size_t{4} << 20));
    std::this_thread::sleep_for(std::chrono::milliseconds(45));
  }
  std::this_thread::sleep_for(std::chrono::milliseconds(rest_ms));
  const auto blocks = allocate_in_threads(thread_count, 16, false);
  for (const std::vector<void*>& of_thread : blocks)
    free_blocks(of_thread);
  acre::mallocs::flush_own_caches();
  for (int wait = 0; wait < 400 && process_pages.counts().live > before + little_pages; ++wait)
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  EXPECT_LE(process_pages.counts().live, before + little_pages);
  acre::heaps::config.purge_delay_ms.store(delay_before);
}

TEST(left_heaps, give_back_what_others_empty_later) {
  if (acre_test::is_sanitized) GTEST_SKIP() << "no background thread under sanitizers";
  expect_back_after(0);
}

TEST(left_heaps, keep_no_spare_runs) {
  if (acre_test::is_sanitized) GTEST_SKIP() << "no background thread under sanitizers";
  using acre::heaps::process_pages;
  const long delay_before = acre::heaps::config.purge_delay_ms.exchange(20);
  std::vector<void*> blocks;
  in_thread([&] { blocks = make_blocks(100'000, 512); });
  (void)acre_malloc_trim(0);
  const std::size_t before = process_pages.counts().live;
  const std::size_t freed = blocks.size() / 18;  // less than a 16th
  free_blocks(std::vector<void*>(blocks.begin(), blocks.begin() + static_cast<long>(freed)));
  acre::mallocs::flush_own_caches();
  EXPECT_LE(process_pages.counts().live, before - freed / 8 + 64);
  free_blocks(std::vector<void*>(blocks.begin() + static_cast<long>(freed), blocks.end()));
  acre::heaps::config.purge_delay_ms.store(delay_before);
}

TEST(left_heaps, of_short_threads_in_turn_count_nothing) {
  (void)acre_malloc_trim(0);
  const std::size_t before = acre::heaps::pages_left_empty.load();
  for (int thread = 0; thread < 200; ++thread) {
    std::vector<void*> blocks;
    in_thread([&] {
      for (std::size_t size_bytes = 400; size_bytes <= 1000; size_bytes += 16)
        for (void* block : make_blocks(2, size_bytes))
          blocks.push_back(block);
    });
    free_blocks(blocks);
  }
  acre::mallocs::flush_own_caches();
  EXPECT_LE(acre::heaps::pages_left_empty.load(), before + 256);
}

TEST(left_heaps, give_back_what_others_empty_when_the_purging_thread_has_ended) {
  if (acre_test::is_sanitized) GTEST_SKIP() << "no background thread under sanitizers";
  for (int rest_ms = 20; rest_ms <= 320; rest_ms *= 2)
    expect_back_after(rest_ms);
}

}  // namespace
