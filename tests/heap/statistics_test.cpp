/// acre_statistics: counts are exact and its parts add up.
#include <acre/malloc.h>

#include "support/family.hpp"
#include "support/random.hpp"
#include "support/sanitizer.hpp"

#include <mutex>
#include <thread>
#include <vector>

#include <gtest/gtest.h>
#include <pthread.h>

namespace {

/// The events a test made itself.
struct counts {
  std::size_t allocations = 0;
  std::size_t frees = 0;
  std::size_t live_bytes = 0;

  void* allocate(std::size_t size_bytes) {
    void* block = acre_malloc(size_bytes);
    ++allocations;
    live_bytes += acre_malloc_usable_size(block);
    return block;
  }
  void free(void* block) {
    live_bytes -= acre_malloc_usable_size(block);
    ++frees;
    acre_free(block);
  }
};

void expect_difference(const struct acre_statistics& before, const counts& made) {
  const struct acre_statistics now = acre_statistics();
  EXPECT_EQ(now.allocations - before.allocations, made.allocations);
  EXPECT_EQ(now.frees - before.frees, made.frees);
  EXPECT_EQ(now.live_blocks - before.live_blocks, made.allocations - made.frees);
  EXPECT_EQ(now.live_bytes - before.live_bytes, made.live_bytes);
}

TEST(statistics, count_every_malloc_and_free_exactly) {
  acre_test::random_source random(1);
  for (unsigned bits : {6U, 10U, 15U, 18U, 22U}) {
    const struct acre_statistics before = acre_statistics();
    counts made;
    std::vector<void*> live;
    for (int index = 0; index < 3000; ++index) {
      if (live.empty() || (live.size() < 100 && random.below(2) == 0)) {
        live.push_back(made.allocate(random.size_up_to(bits)));
      } else {
        made.free(live.back());
        live.pop_back();
      }
      if (index % 500 == 0) expect_difference(before, made);
    }
    expect_difference(before, made);
    for (void* block : live)
      made.free(block);
    expect_difference(before, made);
    EXPECT_EQ(made.live_bytes, 0U);
  }
}

TEST(statistics, count_the_other_ways_to_allocate) {
  const struct acre_statistics before = acre_statistics();
  void* const blocks[] = {acre_calloc(3, 100),          acre_memalign(64, 200),
                          acre_aligned_alloc(4096, 10), acre_valloc(100),
                          acre_realloc(nullptr, 50),    acre_malloc(0)};
  counts made;
  for (void* block : blocks) {
    ++made.allocations;
    made.live_bytes += acre_malloc_usable_size(block);
  }
  expect_difference(before, made);
  for (void* block : blocks)
    made.free(block);
  acre_free(nullptr);
  expect_difference(before, made);
}

TEST(statistics, a_realloc_keeps_the_live_figures_exact) {
  const struct acre_statistics before = acre_statistics();
  void* block = acre_malloc(10);
  for (std::size_t size = 10; size < 20U << 20U; size *= 3) {
    block = acre_realloc(block, size);
    const struct acre_statistics now = acre_statistics();
    ASSERT_EQ(now.live_blocks - before.live_blocks, 1U) << size;
    ASSERT_EQ(now.live_bytes - before.live_bytes, acre_malloc_usable_size(block)) << size;
    ASSERT_EQ(now.allocations - now.frees, now.live_blocks);
  }
  acre_free(block);
  EXPECT_EQ(acre_statistics().live_bytes, before.live_bytes);
}

TEST(statistics, of_failed_calls_do_not_count) {
  const struct acre_statistics before = acre_statistics();
  for (int count = 0; count < 100; ++count) {
    EXPECT_EQ(acre_malloc(family::opaque(SIZE_MAX / 2)), nullptr);
  }
  expect_difference(before, {});
}

TEST(statistics, are_exact_over_threads_once_they_stand_still) {
  constexpr std::size_t thread_count = 4;
  constexpr int step_count = acre_test::is_sanitized ? 5000 : 60'000;
  const struct acre_statistics before = acre_statistics();
  std::mutex mutex;
  std::vector<void*> exchanged;
  counts total;
  std::vector<std::thread> threads;
  for (std::size_t thread = 0; thread < thread_count; ++thread) {
    threads.emplace_back([&, thread] {
      acre_test::random_source random(10 + thread);
      counts made;
      for (int index = 0; index < step_count; ++index) {
        void* const block = made.allocate(random.size_up_to(13));
        const std::lock_guard lock(mutex);
        exchanged.push_back(block);
        if (exchanged.size() < 500) continue;
        std::swap(exchanged[random.below(exchanged.size())], exchanged.back());
        made.free(exchanged.back());
        exchanged.pop_back();
      }
      const std::lock_guard lock(mutex);
      total.allocations += made.allocations;
      total.frees += made.frees;
      total.live_bytes += made.live_bytes;
    });
  }
  for (std::thread& thread : threads)
    thread.join();
  expect_difference(before, total);
  EXPECT_EQ(acre_check_invariants(), 1);
  for (void* block : exchanged)
    total.free(block);
  expect_difference(before, total);
  EXPECT_EQ(total.live_bytes, 0U);
}

TEST(statistics, of_the_classes_add_up_to_the_whole) {
  std::vector<void*> live;
  acre_test::random_source random(3);
  for (int count = 0; count < 2000; ++count)
    live.push_back(acre_malloc(random.size_up_to(19)));
  const struct acre_statistics whole = acre_statistics();
  std::size_t allocations = whole.large_allocations;
  std::size_t live_blocks = whole.large_live;
  std::size_t live_bytes = whole.large_live_bytes;
  std::size_t previous_size = 0;
  struct acre_class_statistics one{};
  for (std::size_t index = 0; acre_class_statistics(index, &one) != 0; ++index) {
    EXPECT_GE(one.size_bytes, previous_size);
    EXPECT_GE(one.live_bytes, one.live * one.size_bytes);
    previous_size = one.size_bytes;
    allocations += one.allocations;
    live_blocks += one.live;
    live_bytes += one.live_bytes;
  }
  EXPECT_EQ(allocations, whole.allocations);
  EXPECT_EQ(live_blocks, whole.live_blocks);
  EXPECT_EQ(live_bytes, whole.live_bytes);
  for (void* block : live)
    acre_free(block);
}

TEST(statistics, know_the_parts_of_the_committed_bytes) {
  std::vector<void*> live;
  for (int count = 0; count < 20'000; ++count)
    live.push_back(acre_malloc(300));
  void* const large = acre_malloc(9U << 20U);
  const struct acre_statistics held = acre_statistics();
  EXPECT_GE(held.committed_bytes, held.live_bytes);
  EXPECT_GE(held.live_bytes_peak, held.live_bytes);
  EXPECT_GE(held.large_live_bytes, 9U << 20U);
  EXPECT_LE(held.live_bytes + held.slab_free_bytes + held.cache_bytes, held.committed_bytes);
  for (void* block : live)
    acre_free(block);
  acre_free(large);
  acre_malloc_trim(0);
  const struct acre_statistics after = acre_statistics();
  EXPECT_LE(after.retained_bytes, 1U << 20U);
  EXPECT_GE(after.live_bytes_peak, held.live_bytes);
}

TEST(statistics, do_not_take_pages_for_resident_that_nobody_touched) {
  acre_malloc_trim(0);
  const std::size_t before = acre_statistics().retained_bytes;
  char* const block = static_cast<char*>(acre_malloc(200U << 20U));
  ASSERT_NE(block, nullptr);
  for (std::size_t at = 0; at < 8U << 20U; at += 4096)
    block[at] = 1;
  acre_free(block);
  const std::size_t after = acre_statistics().retained_bytes;
  EXPECT_LE(after, before + (12U << 20U));
  EXPECT_GE(after, before);
  acre_malloc_trim(0);
}

TEST(statistics, count_the_threads_that_hold_a_cache) {
  constexpr std::size_t thread_count = 8;
  std::mutex wait;
  wait.lock();
  std::vector<std::thread> threads;
  std::mutex mutex;
  std::size_t ready = 0;
  for (std::size_t thread = 0; thread < thread_count; ++thread) {
    threads.emplace_back([&] {
      acre_free(acre_malloc(100));
      {
        const std::lock_guard lock(mutex);
        ++ready;
      }
      const std::lock_guard lock(wait);
    });
  }
  for (std::size_t seen = 0; seen < thread_count; std::this_thread::yield()) {
    const std::lock_guard lock(mutex);
    seen = ready;
  }
  EXPECT_GE(acre_statistics().threads, thread_count);
  wait.unlock();
  for (std::thread& thread : threads)
    thread.join();
  EXPECT_LE(acre_statistics().threads, 2U);
  EXPECT_GE(acre_statistics().threads_peak, thread_count);
}

pthread_key_t late_key;

/// Comes back until the wanted round, and uses the heap only then. The value counts down.
void use_heap_late(void* value) {
  const auto rounds = reinterpret_cast<std::uintptr_t>(value);
  if (rounds > 1)
    pthread_setspecific(late_key, reinterpret_cast<void*>(rounds - 1));
  else
    acre_free(acre_malloc(100));
}

TEST(statistics, threads_that_first_allocate_while_they_end_leave_no_cache_behind) {
  acre_free(acre_malloc(1));
  ASSERT_EQ(pthread_key_create(&late_key, use_heap_late), 0);
  const std::size_t before = acre_statistics().threads;
  for (std::uintptr_t round = 1; round <= 2; ++round) {
    for (int thread = 0; thread < 5; ++thread)
      std::thread([round] {
        pthread_setspecific(late_key, reinterpret_cast<void*>(round));
      }).join();
    EXPECT_EQ(acre_statistics().threads, before) << "first use in round " << round;
  }
  pthread_key_delete(late_key);
}

}  // namespace
