/// fork, vfork and posix_spawn from a program whose other threads are inside malloc, free and
/// stdio.
///
/// A child may allocate and free at once, as with glibc. Each child has a watchdog: a lock that was
/// copied while held shows as a child that never ends.
#include "support/background.hpp"
#include "support/child.hpp"
#include "support/family.hpp"
#include "support/pattern.hpp"
#include "support/random.hpp"
#include "support/sanitizer.hpp"

#include <array>
#include <atomic>
#include <cstdio>
#include <thread>
#include <vector>

#include <gtest/gtest.h>
#include <pthread.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

extern char** environ;

namespace {

using acre_test::is_sanitized;
using acre_test::run_in_child;
using acre_test::wait_for;

constexpr int fork_count = is_sanitized ? 40 : 200;

/// Small, middle and large blocks, so that every lock of the heap is taken again and again.
void churn(acre_test::random_source& random) {
  std::array<void*, 24> blocks{};
  for (void*& block : blocks) {
    const std::size_t size = random.size_up_to(random.below(8) == 0 ? 20U : 12U);
    block = family::malloc(size);
    if (block != nullptr && size != 0) *static_cast<char*>(block) = 1;
  }
  for (void* block : blocks)
    family::free(block);
}

/// What a child does first; 0 when all went well.
int use_heap_in_child(std::uint64_t stream) {
  acre_test::random_source random(stream);
  for (int round = 0; round < 30; ++round)
    churn(random);
  void* block = family::calloc(100, 1000);
  if (block == nullptr || !acre_test::holds_only(block, 100'000, 0)) return 2;
  block = family::realloc(block, 3U << 20U);
  if (block == nullptr) return 3;
  family::free(block);
  return 0;
}

TEST(fork, while_threads_allocate_the_child_can_too) {
  const acre_test::background_threads others(3, [](std::size_t index) {
    thread_local acre_test::random_source random(index);
    churn(random);
  });
  for (int count = 0; count < fork_count; ++count) {
    const auto stream = static_cast<std::uint64_t>(count);
    const auto end = run_in_child([stream] { return use_heap_in_child(1000 + stream); });
    ASSERT_TRUE(end.is_clean()) << "fork " << count << ": " << end.text();
  }
}

TEST(fork, leaves_the_parent_s_blocks_whole_in_both) {
  std::vector<void*> blocks(2000);
  for (std::size_t tag = 0; tag < blocks.size(); ++tag) {
    blocks[tag] = family::malloc(tag * 3);
    acre_test::fill_pattern(blocks[tag], tag * 3, tag);
  }
  const auto check_and_free = [&blocks] {
    for (std::size_t tag = 0; tag < blocks.size(); ++tag) {
      if (!acre_test::holds_pattern(blocks[tag], tag * 3, tag)) return 4;
      family::free(blocks[tag]);
    }
    return 0;
  };
  const auto end = run_in_child(check_and_free);
  EXPECT_TRUE(end.is_clean()) << end.text();
  EXPECT_EQ(check_and_free(), 0);
}

TEST(fork, the_child_frees_what_vanished_threads_had_allocated) {
  std::vector<void*> theirs(300);
  std::atomic<bool> ready{false};
  std::atomic<bool> stop{false};
  std::thread owner([&] {
    for (void*& block : theirs)
      block = family::malloc(80);
    ready = true;
    while (!stop) {
      family::free(family::malloc(80));
    }
  });
  while (!ready)
    std::this_thread::yield();
  for (int count = 0; count < fork_count / 4; ++count) {
    const auto end = run_in_child([&theirs] {
      for (void* block : theirs)
        family::free(block);
      return use_heap_in_child(1);
    });
    EXPECT_TRUE(end.is_clean()) << end.text();
    if (!end.is_clean()) break;
  }
  stop = true;
  owner.join();
  for (void* block : theirs)
    family::free(block);
}

TEST(fork, a_child_can_fork_again) {
  const acre_test::background_threads others(2, [](std::size_t index) {
    thread_local acre_test::random_source random(index);
    churn(random);
  });
  for (int count = 0; count < fork_count / 8; ++count) {
    const auto end = run_in_child([] {
      if (use_heap_in_child(1) != 0) return 2;
      const auto grandchild = run_in_child([] { return use_heap_in_child(2); }, 5'000);
      return grandchild.is_clean() ? use_heap_in_child(3) : 5;
    });
    ASSERT_TRUE(end.is_clean()) << end.text();
  }
}

void* churn_in_thread(void* /*unused*/) {
  acre_test::random_source random(9);
  for (int round = 0; round < 20; ++round)
    churn(random);
  return nullptr;
}

TEST(fork, a_child_can_start_threads) {
  if (is_sanitized) GTEST_SKIP() << "sanitizers do not support threads after a threaded fork";
  const acre_test::background_threads others(2, [](std::size_t index) {
    thread_local acre_test::random_source random(index);
    churn(random);
  });
  for (int count = 0; count < fork_count / 4; ++count) {
    const auto end = run_in_child([] {
      std::array<pthread_t, 3> threads{};
      for (pthread_t& thread : threads) {
        if (pthread_create(&thread, nullptr, &churn_in_thread, nullptr) != 0) return 6;
      }
      for (const pthread_t thread : threads)
        pthread_join(thread, nullptr);
      return use_heap_in_child(1);
    });
    ASSERT_TRUE(end.is_clean()) << end.text();
  }
}

/// Holds stdio's locks while it allocates: the list of streams, and a stream's own.
void use_stdio(std::size_t index) {
  if (index % 3 == 0) {
    std::FILE* file = std::fopen("/proc/self/status", "r");
    if (file == nullptr) return;
    char* line = nullptr;
    std::size_t capacity = 0;
    while (getline(&line, &capacity, file) > 0)
      continue;
    std::free(line);
    std::fclose(file);
  } else if (index % 3 == 1) {
    std::fflush(nullptr);
  } else {
    char* text = nullptr;
    std::size_t size = 0;
    std::FILE* file = open_memstream(&text, &size);
    if (file == nullptr) return;
    for (int count = 0; count < 200; ++count)
      std::fprintf(file, "%d %s\n", count, "some text");
    std::fclose(file);
    std::free(text);
  }
}

TEST(fork, while_threads_hold_stdio_locks_does_not_deadlock) {
  if (is_sanitized) GTEST_SKIP() << "a sanitizer's own malloc, which stdio uses, deadlocks here";
  const acre_test::background_threads others(3, [](std::size_t index) { use_stdio(index); });
  for (int count = 0; count < fork_count; ++count) {
    const auto end = run_in_child([] {
      use_stdio(0);
      use_stdio(2);
      return use_heap_in_child(1);
    });
    ASSERT_TRUE(end.is_clean()) << "fork " << count << ": " << end.text();
  }
}

TEST(fork, from_several_threads_at_once) {
  std::atomic<int> failures{0};
  std::vector<std::thread> threads;
  for (std::size_t thread = 0; thread < 3; ++thread) {
    threads.emplace_back([&failures, thread] {
      acre_test::random_source random(thread);
      for (int count = 0; count < fork_count / 8; ++count) {
        churn(random);
        const auto end = run_in_child([] { return use_heap_in_child(1); });
        if (!end.is_clean()) ++failures;
      }
    });
  }
  for (std::thread& thread : threads)
    thread.join();
  EXPECT_EQ(failures.load(), 0);
}

TEST(vfork, the_child_shares_the_heap_and_the_parent_goes_on) {
  if (is_sanitized) GTEST_SKIP() << "sanitizers do not support vfork";
  const acre_test::background_threads others(2, [](std::size_t index) {
    thread_local acre_test::random_source random(index);
    churn(random);
  });
  acre_test::random_source random(7);
  for (int count = 0; count < fork_count / 4; ++count) {
    churn(random);
    const pid_t child = vfork();
    if (child == 0) {
      execl("/bin/true", "true", nullptr);
      _exit(7);
    }
    ASSERT_GT(child, 0);
    const auto end = wait_for(child, 10'000);
    ASSERT_TRUE(end.is_clean()) << end.text();
    churn(random);
  }
}

TEST(posix_spawn, works_while_threads_allocate) {
  const acre_test::background_threads others(2, [](std::size_t index) {
    thread_local acre_test::random_source random(index);
    churn(random);
  });
  char name[] = "true";
  char* const arguments[] = {name, nullptr};
  for (int count = 0; count < fork_count / 4; ++count) {
    pid_t child = 0;
    ASSERT_EQ(posix_spawn(&child, "/bin/true", nullptr, nullptr, arguments, environ), 0);
    const auto end = wait_for(child, 10'000);
    ASSERT_TRUE(end.is_clean()) << end.text();
  }
}

}  // namespace
