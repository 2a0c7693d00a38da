/// acre::heap: a heap as an object, and as a std::pmr::memory_resource.
#include <acre/heap/heap.hpp>
#include <acre/malloc.h>

#include "support/pattern.hpp"
#include "support/random.hpp"
#include "support/sanitizer.hpp"

#include <atomic>
#include <barrier>
#include <cstdint>
#include <fstream>
#include <list>
#include <map>
#include <memory>
#include <memory_resource>
#include <mutex>
#include <new>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>
#include <unistd.h>

namespace {

constexpr std::size_t mebibyte = std::size_t{1} << 20U;

std::size_t rss_bytes() {
  std::ifstream statm("/proc/self/statm");
  std::size_t total_pages = 0;
  std::size_t resident_pages = 0;
  statm >> total_pages >> resident_pages;
  return resident_pages * static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
}

TEST(heap, serves_pmr_containers) {
  acre::heap heap;
  {
    std::pmr::map<int, std::pmr::string> map(&heap);
    for (int key = 0; key < 5000; ++key)
      map.emplace(key, std::string(30, 'x') + std::to_string(key));
    for (int key = 0; key < 5000; key += 3)
      map.erase(key);
    EXPECT_EQ(map.at(4999).substr(28), "xx4999");
    std::pmr::vector<std::pmr::list<double>> lists(50, &heap);
    for (auto& list : lists)
      list.assign(100, 1.5);
    EXPECT_GT(heap.statistics().live_blocks, 5000U);
    EXPECT_TRUE(heap.owns(lists.data()));
  }
  EXPECT_EQ(heap.statistics().live_blocks, 0U);
  EXPECT_EQ(heap.statistics().live_bytes, 0U);
  EXPECT_EQ(acre_check_invariants(), 1);
}

TEST(heap, aligns_as_asked) {
  acre::heap heap;
  for (std::size_t alignment = 1; alignment <= 4 * mebibyte; alignment *= 2) {
    for (std::size_t size : {std::size_t{1}, std::size_t{100}, std::size_t{40'000}}) {
      void* block = heap.allocate(size, alignment);
      EXPECT_EQ(reinterpret_cast<std::uintptr_t>(block) % alignment, 0U) << alignment;
      acre_test::fill_pattern(block, size, 1);
      heap.deallocate(block, size, alignment);
    }
  }
}

TEST(heap, counts_exactly) {
  acre::heap heap;
  std::vector<std::pair<void*, std::size_t>> live;
  acre_test::random_source random(1);
  std::size_t allocations = 0;
  std::size_t live_bytes = 0;
  for (int index = 0; index < 5000; ++index) {
    if (live.empty() || random.below(5) < 3) {
      const std::size_t size = 1 + random.size_up_to(17);
      live.emplace_back(heap.allocate(size), size);
      live_bytes += acre_malloc_usable_size(live.back().first);
      ++allocations;
    } else {
      live_bytes -= acre_malloc_usable_size(live.back().first);
      heap.deallocate(live.back().first, live.back().second);
      live.pop_back();
    }
  }
  const acre::heap_statistics counted = heap.statistics();
  EXPECT_EQ(counted.allocations, allocations);
  EXPECT_EQ(counted.live_blocks, live.size());
  EXPECT_EQ(counted.live_bytes, live_bytes);
  EXPECT_GE(counted.committed_bytes, live_bytes);
}

TEST(heap, keeps_its_name_up_to_31_bytes) {
  EXPECT_EQ(acre::heap().name(), "");
  EXPECT_EQ(acre::heap({.name = "parser"}).name(), "parser");
  const std::string text(40, 'n');
  EXPECT_EQ(acre::heap({.name = text}).name(), text.substr(0, 31));
}

TEST(heap, is_equal_to_itself_only) {
  acre::heap one;
  acre::heap other;
  EXPECT_TRUE(one == one);
  EXPECT_FALSE(one == other);
  EXPECT_FALSE(one == *std::pmr::new_delete_resource());
}

TEST(heap, owns_its_own_blocks_only) {
  acre::heap one;
  acre::heap other;
  void* of_one = one.allocate(100);
  void* of_other = other.allocate(100);
  void* of_none = acre_malloc(100);
  int on_the_stack = 0;
  EXPECT_TRUE(one.owns(of_one));
  EXPECT_FALSE(one.owns(of_other));
  EXPECT_FALSE(one.owns(of_none));
  EXPECT_TRUE(other.owns(of_other));
  for (const void* foreign :
       {static_cast<const void*>(nullptr), static_cast<const void*>(&on_the_stack),
        reinterpret_cast<const void*>(UINTPTR_MAX)}) {
    EXPECT_FALSE(one.owns(foreign));
  }
  acre_free(of_none);
}

TEST(heap, stays_below_its_limit_when_threads_race_for_the_rest) {
  constexpr std::size_t limit = 2 * mebibyte;
  for (int round = 0; round < (acre_test::is_sanitized ? 20 : 200); ++round) {
    acre::heap heap({.limit_bytes = limit});
    std::atomic<std::size_t> held{0};
    std::barrier start(4);
    std::vector<std::thread> threads;
    for (int thread = 0; thread < 4; ++thread)
      threads.emplace_back([&, thread] {
        const std::size_t size = thread % 2 == 0 ? 256 * 1024 : 20'000;
        start.arrive_and_wait();
        while (heap.try_allocate(size) != nullptr)
          held += size;
      });
    for (std::thread& thread : threads)
      thread.join();
    ASSERT_LE(held, limit);
    ASSERT_LE(heap.statistics().committed_bytes, limit);
  }
}

TEST(heap, stays_below_its_limit_and_goes_on_after_frees) {
  acre::heap heap({.limit_bytes = 2 * mebibyte});
  for (std::size_t size :
       {std::size_t{48}, std::size_t{1000}, std::size_t{20'000}, std::size_t{300'000}}) {
    std::vector<void*> live;
    while (void* block = heap.try_allocate(size)) {
      ASSERT_LT(live.size() * size, 2 * mebibyte);
      acre_test::fill_pattern(block, size, live.size());
      live.push_back(block);
    }
    EXPECT_LE(heap.statistics().committed_bytes, 2 * mebibyte);
    EXPECT_GE(live.size() * size, mebibyte)
        << "most of the limit can be used by blocks of " << size;
    EXPECT_THROW((void)heap.allocate(size), std::bad_alloc);
    for (std::size_t tag = 0; tag < live.size(); ++tag) {
      ASSERT_TRUE(acre_test::holds_pattern(live[tag], size, tag));
      heap.deallocate(live[tag], size);
    }
    void* again = heap.try_allocate(size);
    EXPECT_NE(again, nullptr);
    heap.deallocate(again, size);
  }
}

TEST(heap, reaches_its_limit_when_a_longer_slab_would_exceed_it) {
  constexpr std::size_t size = 32'768;
  constexpr std::size_t count = 65;  // A last slab of one block where two are made together.
  acre::heap heap({.limit_bytes = count * size});
  std::vector<void*> live(count);
  for (int round = 0; round < 4; ++round) {
    for (void*& block : live)
      ASSERT_NE(block = heap.try_allocate(size), nullptr);
    EXPECT_EQ(heap.try_allocate(size), nullptr);
    for (void* block : live)
      heap.deallocate(block, size);
  }
}

/// Blocks of `size` bytes that a heap of a mebibyte holds.
std::size_t blocks_below_a_limit(std::size_t size) {
  acre::heap heap({.limit_bytes = mebibyte});
  std::size_t count = 0;
  while (heap.try_allocate(size) != nullptr)
    ++count;
  return count;
}

TEST(heap, holds_as_much_below_its_limit_whatever_pages_lie_idle) {
  constexpr std::size_t page = 4096;
  constexpr std::size_t sizes[] = {1152, 1280, 1536, 3072, 6144};
  std::vector<std::size_t> counts;
  for (const std::size_t size : sizes)
    counts.push_back(blocks_below_a_limit(size));
  // More than any test before held: from here on idle pages are used before others.
  void* const most = acre_malloc(256 * mebibyte);
  std::vector<void*> blocks(16 * mebibyte / 512);
  for (void*& block : blocks)
    block = acre_malloc(512);
  // Idle runs of a single page between live ones.
  for (void*& block : blocks) {
    if (reinterpret_cast<std::uintptr_t>(block) / page % 2 != 0) continue;
    acre_free(block);
    block = nullptr;
  }
  for (std::size_t i = 0; i < counts.size(); ++i)
    EXPECT_EQ(blocks_below_a_limit(sizes[i]), counts[i]) << sizes[i];
  for (void* block : blocks)
    acre_free(block);
  acre_free(most);
}

TEST(heap, at_its_limit_does_not_stop_others) {
  acre::heap small({.limit_bytes = mebibyte});
  acre::heap other;
  while (small.try_allocate(1000) != nullptr)
    continue;
  EXPECT_NE(other.try_allocate(4 * mebibyte), nullptr);
  void* block = acre_malloc(4 * mebibyte);
  EXPECT_NE(block, nullptr);
  acre_free(block);
}

TEST(heap, refuses_impossible_sizes) {
  acre::heap heap;
  EXPECT_EQ(heap.try_allocate(SIZE_MAX), nullptr);
  EXPECT_EQ(heap.try_allocate(SIZE_MAX / 2, 4096), nullptr);
  EXPECT_THROW((void)heap.allocate(SIZE_MAX / 2), std::bad_alloc);
  void* empty = heap.try_allocate(0);
  EXPECT_NE(empty, nullptr);
  heap.deallocate(empty, 0);
}

TEST(heap, release_frees_everything_and_the_heap_can_be_used_again) {
  acre::heap heap;
  for (int round = 0; round < 20; ++round) {
    std::vector<void*> live;
    for (std::size_t tag = 0; tag < 500; ++tag) {
      live.push_back(heap.allocate(10 + tag * 40));
      acre_test::fill_pattern(live.back(), 10 + tag * 40, tag);
    }
    for (std::size_t tag = 0; tag < 500; ++tag) {
      ASSERT_TRUE(acre_test::holds_pattern(live[tag], 10 + tag * 40, tag));
    }
    heap.release();
    EXPECT_EQ(heap.statistics().live_blocks, 0U);
    EXPECT_EQ(heap.statistics().live_bytes, 0U);
    EXPECT_FALSE(heap.owns(live[0]));
  }
  EXPECT_EQ(acre_check_invariants(), 1);
}

TEST(heap, destruction_gives_live_blocks_memory_back) {
  const auto fill_one = [] {
    acre::heap heap;
    for (int count = 0; count < 20'000; ++count) {
      acre_test::fill_pattern(heap.allocate(200), 200, 1);
    }
    acre_test::fill_pattern(heap.allocate(2 * mebibyte), 2 * mebibyte, 2);
  };
  fill_one();
  const std::size_t before = rss_bytes();
  for (int round = 0; round < (acre_test::is_sanitized ? 5 : 50); ++round)
    fill_one();
  if (!acre_test::is_sanitized) {
    EXPECT_LT(rss_bytes(), before + 16 * mebibyte);
  }
  EXPECT_EQ(acre_check_invariants(), 1);
}

TEST(heap, many_heaps_live_side_by_side) {
  std::vector<std::unique_ptr<acre::heap>> heaps;
  for (int count = 0; count < 300; ++count) {
    heaps.push_back(std::make_unique<acre::heap>());
    std::pmr::vector<int> numbers(1000, count, heaps.back().get());
    void* kept = heaps.back()->allocate(64);
    acre_test::fill_pattern(kept, 64, 1);
  }
  for (const auto& heap : heaps)
    EXPECT_EQ(heap->statistics().live_blocks, 1U);
  for (std::size_t index = 0; index < heaps.size(); index += 2)
    heaps[index].reset();
  for (std::size_t index = 1; index < heaps.size(); index += 2) {
    EXPECT_NE(heaps[index]->try_allocate(5000), nullptr);
  }
}

TEST(heap, blocks_can_be_freed_by_the_family) {
  acre::heap heap;
  for (std::size_t size :
       {std::size_t{10}, std::size_t{1000}, std::size_t{100'000}, 3 * mebibyte}) {
    void* block = heap.allocate(size);
    EXPECT_GE(acre_malloc_usable_size(block), size);
    EXPECT_EQ(acre_owner_of(block).block, block);
    acre_free(block);
    block = heap.allocate(size);
    acre_test::fill_pattern(block, size, 3);
    block = acre_realloc(block, size * 2);
    ASSERT_NE(block, nullptr);
    EXPECT_TRUE(acre_test::holds_pattern(block, size, 3));
    acre_free(block);
  }
  EXPECT_EQ(heap.statistics().live_blocks, 0U);
}

TEST(heap, serves_many_threads_at_once) {
  acre::heap heap;
  std::mutex mutex;
  std::vector<std::pair<void*, std::size_t>> exchanged;
  std::vector<std::thread> threads;
  for (std::size_t thread = 0; thread < 4; ++thread) {
    threads.emplace_back([&, thread] {
      acre_test::random_source random(20 + thread);
      for (int index = 0; index < (acre_test::is_sanitized ? 3000 : 30'000); ++index) {
        const std::size_t size = 1 + random.size_up_to(14);
        void* block = heap.allocate(size);
        acre_test::fill_pattern(block, size, size);
        std::pair<void*, std::size_t> taken{block, size};
        {
          const std::lock_guard lock(mutex);
          if (exchanged.size() < 200) {
            exchanged.push_back(taken);
            continue;
          }
          std::swap(taken, exchanged[random.below(exchanged.size())]);
        }
        ASSERT_TRUE(acre_test::holds_pattern(taken.first, taken.second, taken.second));
        if (index % 2 == 0) {
          heap.deallocate(taken.first, taken.second);
        } else {
          acre_free(taken.first);
        }
      }
    });
  }
  for (std::thread& thread : threads)
    thread.join();
  EXPECT_EQ(heap.statistics().live_blocks, exchanged.size());
  for (auto [block, size] : exchanged)
    EXPECT_TRUE(heap.owns(block));
  EXPECT_EQ(acre_check_invariants(), 1);
}

TEST(heap, outlives_the_threads_that_used_it) {
  acre::heap heap;
  std::vector<void*> blocks;
  for (int round = 0; round < 50; ++round) {
    std::thread([&] {
      for (int count = 0; count < 100; ++count) {
        blocks.push_back(heap.allocate(100));
        acre_test::fill_pattern(blocks.back(), 100, blocks.size());
      }
    }).join();
  }
  for (std::size_t index = 0; index < blocks.size(); ++index) {
    ASSERT_TRUE(acre_test::holds_pattern(blocks[index], 100, index + 1));
    heap.deallocate(blocks[index], 100);
  }
  EXPECT_EQ(heap.statistics().live_blocks, 0U);
}

}  // namespace
