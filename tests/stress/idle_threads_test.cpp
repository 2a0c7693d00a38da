/// The caches of threads that wait go back, whatever they wait in, and the threads never notice.
///
/// malloc_trim(0) empties the caches of all threads that wait at that moment, so the tests call it
/// again and again while threads wait, wake, are interrupted by signals, fork and end. Every block
/// carries a pattern: two owners of one block, or a lost one, show.
#include "support/background.hpp"
#include "support/child.hpp"
#include "support/family.hpp"
#include "support/pattern.hpp"
#include "support/random.hpp"
#include "support/sanitizer.hpp"

#include <array>
#include <atomic>
#include <barrier>
#include <chrono>
#include <condition_variable>
#include <csignal>
#include <filesystem>
#include <functional>
#include <iterator>
#include <mutex>
#include <thread>
#include <vector>

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/select.h>
#include <time.h>
#include <unistd.h>

namespace {

using namespace std::chrono_literals;
using acre_test::is_sanitized;
using acre_test::is_tsan;
using clock_type = std::chrono::steady_clock;

constexpr auto stress_time = is_sanitized ? 400ms : 1000ms;

struct held_block {
  void* address = nullptr;
  std::size_t size = 0;
  std::uint64_t tag = 0;

  void fill(std::size_t bytes, std::uint64_t with) {
    size = bytes;
    tag = with;
    address = family::malloc(bytes);
    if (address != nullptr) acre_test::fill_pattern(address, bytes, with);
  }
  [[nodiscard]] bool is_whole() const {
    return address != nullptr && acre_test::holds_pattern(address, size, tag);
  }
  void drop() {
    family::free(address);
    address = nullptr;
  }
};

/// Leaves a few hundred kilobytes in the calling thread's caches, and its last block in `kept`.
void fill_caches(held_block& kept) {
  for (int round = 0; round < 6; ++round) {
    std::vector<void*> blocks;
    for (std::size_t size = 16; size <= 2048; size += 48)
      for (int count = 0; count < 40; ++count)
        blocks.push_back(family::malloc(size));
    for (void* block : blocks)
      family::free(block);
  }
  kept.fill(333, 7);
}

std::size_t cached_bytes() {
  return family::mallinfo2().fsmblks;
}

constexpr std::size_t few_bytes = 30000;

/// A thread that fills its caches, waits in `wait` and then goes on allocating.
class waiter {
 public:
  explicit waiter(std::function<void()> wait)
      : thread_([this, wait = std::move(wait)] {
          held_block kept;
          fill_caches(kept);
          ready_ = true;
          wait();
          whole_ = kept.is_whole();
          kept.drop();
          held_block again;
          for (int round = 0; round < 3; ++round) {
            fill_caches(again);
            whole_ = whole_ && again.is_whole();
            again.drop();
          }
        }) {
    while (!ready_)
      std::this_thread::yield();
  }
  ~waiter() {
    if (thread_.joinable()) thread_.join();
  }
  [[nodiscard]] bool ends_well() {
    thread_.join();
    return whole_;
  }
  [[nodiscard]] pthread_t handle() { return thread_.native_handle(); }

 private:
  std::atomic<bool> ready_{false};
  std::atomic<bool> whole_{false};
  std::thread thread_;
};

/// Calls malloc_trim until the other threads' caches are empty; false after two seconds.
bool trim_empties_caches() {
  const auto end = clock_type::now() + 2s;
  while (clock_type::now() < end) {
    family::malloc_trim(0);
    if (cached_bytes() < few_bytes) return true;
    std::this_thread::sleep_for(1ms);
  }
  return false;
}

class idle_threads : public testing::Test {
 protected:
  void SetUp() override {
    if (is_tsan) GTEST_SKIP() << "ThreadSanitizer cannot follow the proof; it is left out there";
    if (!family::is_acre()) GTEST_SKIP() << "only Acre promises it";
    if (::access("/proc/self/task", R_OK) != 0) GTEST_SKIP() << "no /proc";
  }

  /// Empties the caches of a thread in `wait`, which `wake` ends.
  static void expect_emptied(const std::function<void()>& wait,
                             const std::function<void(waiter&)>& wake) {
    waiter thread(wait);
    EXPECT_TRUE(trim_empties_caches()) << cached_bytes() << " bytes stay in caches";
    wake(thread);
    EXPECT_TRUE(thread.ends_well());
  }
};

TEST_F(idle_threads, waiting_for_a_condition_lose_their_caches) {
  std::mutex mutex;
  std::condition_variable condition;
  bool done = false;
  expect_emptied(
      [&] {
        std::unique_lock hold(mutex);
        condition.wait(hold, [&] { return done; });
      },
      [&](waiter&) {
        const std::scoped_lock hold(mutex);
        done = true;
        condition.notify_all();
      });
}

class pipe_pair {
 public:
  pipe_pair() { EXPECT_EQ(pipe2(ends_.data(), O_CLOEXEC), 0); }
  pipe_pair(const pipe_pair&) = delete;
  pipe_pair& operator=(const pipe_pair&) = delete;
  ~pipe_pair() {
    close(ends_[0]);
    close(ends_[1]);
  }
  [[nodiscard]] int out() const { return ends_[0]; }
  void write_byte() const { EXPECT_EQ(write(ends_[1], "x", 1), 1); }

 private:
  std::array<int, 2> ends_{};
};

void read_byte(int file) {
  char byte = 0;
  EXPECT_EQ(read(file, &byte, 1), 1);
}

TEST_F(idle_threads, waiting_for_input_lose_their_caches) {
  const pipe_pair pipe;
  const auto wake = [&](waiter&) { pipe.write_byte(); };
  expect_emptied([&] { read_byte(pipe.out()); }, wake);
  expect_emptied(
      [&] {
        pollfd file{.fd = pipe.out(), .events = POLLIN, .revents = 0};
        EXPECT_EQ(poll(&file, 1, -1), 1);
        read_byte(pipe.out());
      },
      wake);
  expect_emptied(
      [&] {
        fd_set files;
        FD_ZERO(&files);
        FD_SET(pipe.out(), &files);
        EXPECT_EQ(select(pipe.out() + 1, &files, nullptr, nullptr, nullptr), 1);
        read_byte(pipe.out());
      },
      wake);
  expect_emptied(
      [&] {
        const int queue = epoll_create1(EPOLL_CLOEXEC);
        epoll_event event{.events = EPOLLIN, .data = {}};
        EXPECT_EQ(epoll_ctl(queue, EPOLL_CTL_ADD, pipe.out(), &event), 0);
        EXPECT_EQ(epoll_wait(queue, &event, 1, -1), 1);
        close(queue);
        read_byte(pipe.out());
      },
      wake);
}

TEST_F(idle_threads, asleep_lose_their_caches) {
  std::atomic<bool> done{false};
  expect_emptied(
      [&] {
        while (!done)
          std::this_thread::sleep_for(20ms);
      },
      [&](waiter&) { done = true; });
}

void do_nothing(int /*number*/) {}

TEST_F(idle_threads, waiting_for_a_signal_lose_their_caches) {
  struct sigaction action{};
  action.sa_handler = do_nothing;
  sigaction(SIGUSR2, &action, nullptr);
  expect_emptied(
      [] {
        sigset_t none;
        sigemptyset(&none);
        sigsuspend(&none);
      },
      [](waiter& thread) { pthread_kill(thread.handle(), SIGUSR2); });
}

TEST_F(idle_threads, are_found_without_a_call) {
  if (is_sanitized) GTEST_SKIP() << "no background thread under sanitizers";
  const pipe_pair pipe;
  waiter thread([&] { read_byte(pipe.out()); });
  // More than enough free memory for the purging thread to start.
  std::vector<void*> blocks(100'000);
  for (void*& block : blocks)
    block = family::malloc(100);
  for (void* block : blocks)
    family::free(block);
  const auto end = clock_type::now() + 4s;
  family::free(family::malloc(4 << 20));
  while (cached_bytes() > few_bytes + 40000 && clock_type::now() < end)
    std::this_thread::sleep_for(20ms);
  EXPECT_LE(cached_bytes(), few_bytes + 40000);
  pipe.write_byte();
  EXPECT_TRUE(thread.ends_well());
}

/// They waited while their blocks lived, so nobody looks at them any more; what they free then fits
/// their caches. Nothing is called afterwards.
TEST_F(idle_threads, that_free_and_wait_again_are_found_without_a_call) {
  if (is_sanitized) GTEST_SKIP() << "no background thread under sanitizers";
  constexpr std::size_t thread_count = 32;
  constexpr std::size_t block_count = 300;
  std::barrier everyone(thread_count + 1);
  std::vector<std::thread> threads;
  for (std::size_t index = 0; index < thread_count; ++index) {
    threads.emplace_back([&] {
      std::array<void*, block_count> blocks{};
      for (std::size_t block = 0; block < block_count; ++block)
        blocks[block] = family::malloc(16 + block * 7);
      everyone.arrive_and_wait();
      everyone.arrive_and_wait();
      for (void* block : blocks)
        family::free(block);
      everyone.arrive_and_wait();
      everyone.arrive_and_wait();
    });
  }
  everyone.arrive_and_wait();
  std::this_thread::sleep_for(2500ms);
  everyone.arrive_and_wait();
  everyone.arrive_and_wait();
  const std::size_t before = cached_bytes();
  EXPECT_GT(before, 100 * few_bytes);
  const auto end = clock_type::now() + 20s;
  while (cached_bytes() > before / 10 && clock_type::now() < end)
    std::this_thread::sleep_for(100ms);
  EXPECT_LE(cached_bytes(), before / 10);
  everyone.arrive_and_wait();
  for (std::thread& each : threads)
    each.join();
}

/// One thread allocates a little now and then while many wait: the purging thread ends all the
/// same.
TEST_F(idle_threads, do_not_keep_the_purging_thread) {
  if (is_sanitized) GTEST_SKIP() << "no background thread under sanitizers";
  constexpr std::size_t thread_count = 20;
  constexpr std::size_t a_little = 32 << 10;
  const auto tasks = [] {
    return static_cast<std::size_t>(
        std::distance(std::filesystem::directory_iterator("/proc/self/task"), {}));
  };
  std::barrier everyone(thread_count + 1);
  std::vector<std::thread> threads;
  for (std::size_t index = 0; index < thread_count; ++index) {
    threads.emplace_back([&] {
      family::free(family::malloc(100));
      everyone.arrive_and_wait();
    });
  }
  const auto end = clock_type::now() + 30s;
  do {
    family::free(family::malloc(a_little));
    std::this_thread::sleep_for(700ms);
  } while (tasks() > thread_count + 1 && clock_type::now() < end);
  EXPECT_EQ(tasks(), thread_count + 1);
  everyone.arrive_and_wait();
  for (std::thread& each : threads)
    each.join();
}

TEST_F(idle_threads, counts_stay_exact_when_caches_are_emptied) {
  const pipe_pair pipe;
  const auto live_before = family::mallinfo2().uordblks;
  waiter thread([&] { read_byte(pipe.out()); });
  const auto live_full = family::mallinfo2().uordblks;
  EXPECT_TRUE(trim_empties_caches());
  EXPECT_EQ(family::mallinfo2().uordblks, live_full);
  EXPECT_GE(live_full, live_before);
  pipe.write_byte();
  EXPECT_TRUE(thread.ends_well());
}

/// Allocates, checks and frees; blocks of other threads come through `exchange`.
class worker {
 public:
  using exchange_type = std::array<std::atomic<held_block*>, 8>;

  worker(std::uint64_t stream, exchange_type& exchange) : random_(stream), exchange_(exchange) {}
  ~worker() {
    for (held_block& block : blocks_)
      if (block.address != nullptr) block.drop();
  }
  worker(const worker&) = delete;
  worker& operator=(const worker&) = delete;

  /// False when a block was not what it should be.
  bool work(int steps) {
    bool whole = true;
    for (int step = 0; step < steps; ++step) {
      held_block& block = blocks_[random_.below(blocks_.size())];
      if (block.address != nullptr) {
        whole = whole && block.is_whole();
        block.drop();
      } else {
        block.fill(1 + random_.size_up_to(12), random_.below(250));
      }
      if (step % 16 == 0) whole = give_and_take() && whole;
    }
    return whole;
  }

 private:
  bool give_and_take() {
    auto* const mine = static_cast<held_block*>(family::malloc(sizeof(held_block)));
    new (mine) held_block;
    mine->fill(1 + random_.size_up_to(9), random_.below(250));
    held_block* const theirs = exchange_[random_.below(exchange_.size())].exchange(mine);
    if (theirs == nullptr) return true;
    const bool whole = theirs->is_whole();
    theirs->drop();
    family::free(theirs);
    return whole;
  }

  acre_test::random_source random_;
  exchange_type& exchange_;
  std::array<held_block, 300> blocks_{};
};

void drop_rest(worker::exchange_type& exchange) {
  for (auto& slot : exchange)
    if (held_block* const left = slot.exchange(nullptr); left != nullptr) {
      left->drop();
      family::free(left);
    }
}

void sleep_us(long microseconds) {
  const timespec time{.tv_sec = 0, .tv_nsec = microseconds * 1000};
  nanosleep(&time, nullptr);
}

TEST_F(idle_threads, that_wait_for_moments_lose_no_block) {
  worker::exchange_type exchange{};
  std::atomic<bool> whole{true};
  {
    const acre_test::background_threads threads(4, [&](std::size_t index) {
      thread_local worker mine(index, exchange);
      thread_local acre_test::random_source random(index + 100);
      if (!mine.work(static_cast<int>(random.below(200)))) whole = false;
      sleep_us(static_cast<long>(random.below(300)));
    });
    const auto end = clock_type::now() + stress_time;
    while (clock_type::now() < end)
      family::malloc_trim(0);
  }
  drop_rest(exchange);
  EXPECT_TRUE(whole);
}

/// Waits, as a program's own handler for "stop the world" may.
void wait_in_handler(int /*number*/) {
  const int saved = errno;
  sleep_us(300);
  errno = saved;
}

/// Threads that allocate all the time are interrupted anywhere, the fast paths included.
void expect_handlers_respected(bool own_stack) {
  struct sigaction action{};
  action.sa_handler = wait_in_handler;
  action.sa_flags = SA_RESTART | (own_stack ? SA_ONSTACK : 0);
  sigaction(SIGUSR1, &action, nullptr);
  worker::exchange_type exchange{};
  std::atomic<bool> whole{true};
  std::atomic<bool> stop{false};
  std::vector<std::thread> threads;
  for (std::size_t index = 0; index < 3; ++index)
    threads.emplace_back([&, index] {
      std::array<char, 32768> stack;  // NOLINT: the kernel writes to it first
      const stack_t alternate{.ss_sp = stack.data(), .ss_flags = 0, .ss_size = stack.size()};
      if (own_stack) sigaltstack(&alternate, nullptr);
      worker mine(index, exchange);
      while (!stop) {
        if (!mine.work(50)) whole = false;
        // Mostly inside malloc and free: the same small block over and over.
        for (int count = 0; count < 2000; ++count)
          family::free(family::malloc(64));
      }
      const stack_t none{.ss_sp = nullptr, .ss_flags = SS_DISABLE, .ss_size = 0};
      if (own_stack) sigaltstack(&none, nullptr);
    });
  const auto end = clock_type::now() + stress_time;
  acre_test::random_source random(5);
  while (clock_type::now() < end) {
    for (std::thread& thread : threads)
      pthread_kill(thread.native_handle(), SIGUSR1);
    sleep_us(static_cast<long>(random.below(100)));
    family::malloc_trim(0);
  }
  stop = true;
  for (std::thread& thread : threads)
    thread.join();
  drop_rest(exchange);
  EXPECT_TRUE(whole);
}

TEST_F(idle_threads, in_a_signal_handler_keep_their_caches) {
  expect_handlers_respected(false);
}

TEST_F(idle_threads, in_a_handler_on_its_own_stack_keep_their_caches) {
  expect_handlers_respected(true);
}

TEST_F(idle_threads, that_end_or_start_meanwhile_are_left_alone) {
  worker::exchange_type exchange{};
  std::atomic<bool> whole{true};
  std::atomic<bool> stop{false};
  std::thread trimmer([&] {
    while (!stop)
      family::malloc_trim(0);
  });
  const auto end = clock_type::now() + stress_time;
  while (clock_type::now() < end) {
    std::vector<std::thread> threads;
    for (std::size_t index = 0; index < 8; ++index)
      threads.emplace_back([&, index] {
        worker mine(index, exchange);
        if (!mine.work(100)) whole = false;
        sleep_us(50);
      });
    for (std::thread& thread : threads)
      thread.join();
  }
  stop = true;
  trimmer.join();
  drop_rest(exchange);
  EXPECT_TRUE(whole);
}

TEST_F(idle_threads, a_child_of_fork_goes_on_with_a_heap_that_was_taken) {
  const pipe_pair pipe;
  waiter thread([&] { read_byte(pipe.out()); });
  // The forking thread's own heap is taken by another's trim while it waits.
  std::atomic<bool> stop{false};
  std::thread trimmer([&] {
    while (!stop)
      family::malloc_trim(0);
  });
  worker::exchange_type exchange{};
  {
    worker mine(1, exchange);
    for (int count = 0; count < (is_sanitized ? 10 : 60); ++count) {
      EXPECT_TRUE(mine.work(100));
      sleep_us(500);
      const auto child = acre_test::run_in_child([&] {
        if (!mine.work(200)) return 2;
        family::malloc_trim(0);
        std::thread other([&] {
          held_block kept;
          fill_caches(kept);
          sleep_us(1000);
          kept.drop();
        });
        family::malloc_trim(0);
        if (!is_sanitized) other.join();
        if (is_sanitized) other.detach();
        return mine.work(200) ? 0 : 3;
      });
      EXPECT_TRUE(child.is_clean()) << child.text();
    }
  }
  stop = true;
  trimmer.join();
  drop_rest(exchange);
  pipe.write_byte();
  EXPECT_TRUE(thread.ends_well());
}

}  // namespace
