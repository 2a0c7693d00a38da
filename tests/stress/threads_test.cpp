/// Many threads: blocks freed by others, threads that come and go, and threads' last actions.
#include "support/background.hpp"
#include "support/child.hpp"
#include "support/family.hpp"
#include "support/invariants.hpp"
#include "support/pattern.hpp"
#include "support/random.hpp"
#include "support/sanitizer.hpp"

#include <array>
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <thread>
#include <vector>

#include <gtest/gtest.h>
#include <pthread.h>

namespace {

using acre_test::fill_pattern;
using acre_test::holds_pattern;
using acre_test::is_sanitized;

/// A block that carries what its next holder must know to check it.
struct parcel {
  std::size_t size_bytes;
  std::uint64_t tag;
};

parcel* make_parcel(std::size_t size_bytes, std::uint64_t tag) {
  auto* made = static_cast<parcel*>(family::malloc(sizeof(parcel) + size_bytes));
  if (made == nullptr) std::abort();
  *made = {size_bytes, tag};
  fill_pattern(made + 1, size_bytes, tag);
  return made;
}

void open_parcel(parcel* given) {
  if (!holds_pattern(given + 1, given->size_bytes, given->tag)) {
    std::fputs("a block changed between threads\n", stderr);
    std::abort();
  }
  family::free(given);
}

/// Slots that threads exchange parcels through without a lock.
class mailbox {
 public:
  parcel* exchange(std::size_t slot, parcel* given) {
    // acq_rel: the receiver sees the contents, and the giver's later use of a block it got back.
    return slots_[slot % slots_.size()].exchange(given, std::memory_order_acq_rel);
  }
  ~mailbox() {
    for (auto& slot : slots_) {
      if (parcel* left = slot.load(std::memory_order_acquire)) open_parcel(left);
    }
  }

 private:
  std::array<std::atomic<parcel*>, 512> slots_{};
};

TEST(threads, free_each_other_s_blocks) {
  constexpr int step_count = is_sanitized ? 10'000 : 150'000;
  {
    mailbox shared;
    std::vector<std::thread> threads;
    for (std::size_t thread = 0; thread < 4; ++thread) {
      threads.emplace_back([&shared, thread] {
        acre_test::random_source random(thread);
        for (int step = 0; step < step_count; ++step) {
          parcel* given = make_parcel(random.size_up_to(step % 50 == 0 ? 17 : 9), random.next());
          if (parcel* got = shared.exchange(random.below(512), given)) open_parcel(got);
        }
      });
    }
    for (std::thread& thread : threads)
      thread.join();
  }
  EXPECT_TRUE(acre_test::invariants_hold());
}

/// A bounded queue; one side only allocates, the other only frees.
class parcel_queue {
 public:
  void push(parcel* given) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return waiting_.size() < 4000; });
    waiting_.push_back(given);
    changed_.notify_all();
  }
  /// Returns: everything that waits; empty once the queue was closed.
  std::vector<parcel*> take_all() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return !waiting_.empty() || closed_; });
    changed_.notify_all();
    return std::exchange(waiting_, {});
  }
  void close() {
    const std::lock_guard lock(mutex_);
    closed_ = true;
    changed_.notify_all();
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<parcel*> waiting_;
  bool closed_ = false;
};

TEST(threads, one_allocates_what_another_that_never_allocates_frees) {
  constexpr int step_count = is_sanitized ? 10'000 : 200'000;
  parcel_queue queue;
  std::thread consumer([&queue] {
    for (auto parcels = queue.take_all(); !parcels.empty(); parcels = queue.take_all()) {
      for (parcel* one : parcels)
        open_parcel(one);
    }
  });
  acre_test::random_source random(1);
  for (int step = 0; step < step_count; ++step) {
    queue.push(make_parcel(step % 100 == 0 ? random.size_up_to(16) : 48, random.next()));
  }
  queue.close();
  consumer.join();
  EXPECT_TRUE(acre_test::invariants_hold());
}

TEST(threads, ten_thousand_short_ones_leave_blocks_for_others) {
  constexpr int rounds = is_sanitized ? 250 : 2500;
  {
    mailbox shared;
    std::vector<std::thread> spawners;
    for (std::size_t spawner = 0; spawner < 4; ++spawner) {
      spawners.emplace_back([&shared, spawner] {
        for (int round = 0; round < rounds; ++round) {
          std::thread([&shared, spawner, round] {
            acre_test::random_source random(spawner * 100'000 + static_cast<std::size_t>(round));
            for (int step = 0; step < 20; ++step) {
              parcel* given = make_parcel(random.size_up_to(12), random.next());
              if (parcel* got = shared.exchange(random.below(512), given)) open_parcel(got);
            }
          }).join();
        }
      });
    }
    for (std::thread& spawner : spawners)
      spawner.join();
  }
  EXPECT_TRUE(acre_test::invariants_hold());
}

TEST(threads, a_thousand_live_at_once) {
  constexpr std::size_t thread_count = is_sanitized ? 200 : 1000;
  mailbox shared;
  std::mutex mutex;
  std::condition_variable changed;
  std::size_t ready = 0;
  bool go_on = false;
  const auto work = [&](std::size_t thread) {
    acre_test::random_source random(thread);
    for (int phase = 0; phase < 2; ++phase) {
      for (int step = 0; step < 50; ++step) {
        parcel* given = make_parcel(random.size_up_to(13), random.next());
        if (parcel* got = shared.exchange(random.below(512), given)) open_parcel(got);
      }
      std::unique_lock lock(mutex);
      ++ready;
      changed.notify_all();
      changed.wait(lock, [&] { return go_on; });
    }
  };
  std::vector<std::thread> threads;
  try {
    for (std::size_t thread = 0; thread < thread_count; ++thread)
      threads.emplace_back(work, thread);
  } catch (const std::system_error& error) {
    std::fprintf(stderr, "only %zu threads could be made: %s\n", threads.size(), error.what());
  }
  {
    std::unique_lock lock(mutex);
    changed.wait(lock, [&] { return ready >= threads.size(); });
    go_on = true;
    changed.notify_all();
  }
  const std::size_t made = threads.size();
  for (std::thread& thread : threads)
    thread.join();
  EXPECT_TRUE(acre_test::invariants_hold());
  if (made < thread_count) GTEST_SKIP() << "this machine allows only " << made << " threads";
}

/// Allocates when it is made and when it dies, as a logger or a cache of a thread does.
class last_words {
 public:
  last_words() : block_(make_parcel(100, 1)) {}
  last_words(const last_words&) = delete;
  last_words& operator=(const last_words&) = delete;
  ~last_words() {
    open_parcel(block_);
    std::array<parcel*, 20> more{};
    for (std::size_t index = 0; index < more.size(); ++index) {
      more[index] = make_parcel(index * 200, index);
    }
    for (parcel* one : more)
      open_parcel(one);
    runs.fetch_add(1, std::memory_order_relaxed);
  }
  void touch() const { asm volatile("" ::"r"(block_)); }

  static inline std::atomic<int> runs{0};

 private:
  parcel* block_;
};

pthread_key_t last_key;
std::atomic<int> key_runs{0};

/// POSIX allows four; ThreadSanitizer takes a thread's state away before the last.
constexpr std::uint64_t key_rounds = is_sanitized ? 2 : 4;

/// Sets the key again while that is allowed, so that it runs after other keys' destructors too.
void last_key_destructor(void* value) {
  auto* given = static_cast<parcel*>(value);
  const std::uint64_t round = given->tag;
  open_parcel(given);
  key_runs.fetch_add(1, std::memory_order_relaxed);
  if (round < key_rounds) pthread_setspecific(last_key, make_parcel(300, round + 1));
}

TEST(threads, allocate_and_free_in_their_destructors) {
  constexpr int rounds = is_sanitized ? 50 : 400;
  ASSERT_EQ(pthread_key_create(&last_key, &last_key_destructor), 0);
  last_words::runs = 0;
  key_runs = 0;
  for (int round = 0; round < rounds; ++round) {
    std::array<std::thread, 3> threads;
    for (std::thread& thread : threads) {
      thread = std::thread([] {
        thread_local const last_words words;
        words.touch();
        pthread_setspecific(last_key, make_parcel(300, 1));
        family::free(family::malloc(5000));
      });
    }
    for (std::thread& thread : threads)
      thread.join();
  }
  EXPECT_EQ(last_words::runs.load(), rounds * 3);
  EXPECT_EQ(static_cast<std::uint64_t>(key_runs.load()), rounds * 3 * key_rounds);
  pthread_key_delete(last_key);
  EXPECT_TRUE(acre_test::invariants_hold());
}

TEST(threads, whose_first_action_is_to_free_a_dead_thread_s_block) {
  constexpr int rounds = is_sanitized ? 100 : 1500;
  for (int round = 0; round < rounds; ++round) {
    std::vector<parcel*> left;
    std::thread([&left] {
      for (std::size_t index = 0; index < 70; ++index)
        left.push_back(make_parcel(index * 8, index));
    }).join();
    std::thread([&left] {
      for (parcel* one : left)
        open_parcel(one);
    }).join();
  }
  EXPECT_TRUE(acre_test::invariants_hold());
}

TEST(threads, that_end_while_others_free_their_blocks) {
  constexpr int rounds = is_sanitized ? 40 : 400;
  for (int round = 0; round < rounds; ++round) {
    parcel_queue queue;
    std::thread consumer([&queue] {
      for (auto parcels = queue.take_all(); !parcels.empty(); parcels = queue.take_all()) {
        for (parcel* one : parcels)
          open_parcel(one);
      }
    });
    std::array<std::thread, 3> producers;
    for (std::thread& producer : producers) {
      producer = std::thread([&queue] {
        for (std::size_t index = 0; index < 200; ++index)
          queue.push(make_parcel(60, index));
      });
    }
    for (std::thread& producer : producers)
      producer.join();
    queue.close();
    consumer.join();
  }
  EXPECT_TRUE(acre_test::invariants_hold());
}

TEST(threads, align_reallocate_and_trim_at_once) {
  constexpr int step_count = is_sanitized ? 1000 : 10'000;
  std::vector<std::thread> threads;
  for (std::size_t thread = 0; thread < 4; ++thread) {
    threads.emplace_back([thread] {
      acre_test::random_source random(thread);
      for (int step = 0; step < step_count; ++step) {
        const std::size_t alignment = std::size_t{16} << random.below(13);
        const std::size_t size = random.size_up_to(17);
        void* block = family::memalign(alignment, size);
        if (reinterpret_cast<std::uintptr_t>(block) % alignment != 0) std::abort();
        fill_pattern(block, size, size);
        void* moved = family::realloc(block, size + 1 + random.below(100'000));
        if (!holds_pattern(moved, size, size)) std::abort();
        family::free(moved);
        if (thread == 0 && step % 500 == 0) family::malloc_trim(0);
      }
    });
  }
  for (std::thread& thread : threads)
    thread.join();
  EXPECT_TRUE(acre_test::invariants_hold());
}

}  // namespace
