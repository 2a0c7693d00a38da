#include <acre/os/aligned.hpp>
#include <acre/os/stack.hpp>

#include "support/sanitizer.hpp"

#include <cstring>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>
#include <pthread.h>
#include <signal.h>

namespace {

using namespace acre::os;

bool is_on_stack(std::span<std::byte> buffer) {
  return current_stack()->holds(buffer.data());
}

TEST(stack, knows_its_bounds) {
  const auto bounds = current_stack();
  ASSERT_TRUE(bounds) << bounds.error().message();
  EXPECT_GE(bounds->size(), 16U << 10U);
  EXPECT_FALSE(bounds->holds(bounds->highest));
  EXPECT_TRUE(bounds->holds(bounds->lowest));
  EXPECT_TRUE(bounds->holds(__builtin_frame_address(0)));
}

[[gnu::noinline]] std::size_t left_deeper() {
  // Not of a known size: AddressSanitizer keeps those elsewhere.
  volatile std::size_t size_bytes = 10'000;
  volatile auto* const deep = static_cast<volatile char*>(__builtin_alloca(size_bytes));
  deep[0] = 1;
  const std::size_t left = stack_left();
  deep[9'999] = deep[0];
  return left;
}

TEST(stack, shrinks_with_depth) {
  const std::size_t left = stack_left();
  const std::size_t deeper = left_deeper();
  EXPECT_GT(left, 0U);
  EXPECT_LE(deeper + 10'000, left);
}

TEST(stack, of_another_thread_is_another) {
  const auto own = current_stack().value();
  stack_bounds other;
  std::thread([&other] { other = current_stack().value(); }).join();
  EXPECT_NE(own.lowest, other.lowest);
  EXPECT_GT(other.size(), 0U);
}

std::size_t left_in_handler = 1;

TEST(stack, is_unknown_on_a_signal_s_own_stack) {
  std::vector<std::byte> memory(64 << 10U);
  const stack_t other{.ss_sp = memory.data(), .ss_flags = 0, .ss_size = memory.size()};
  stack_t before{};
  ASSERT_EQ(::sigaltstack(&other, &before), 0);
  struct sigaction action{}, old{};
  action.sa_handler = [](int) { left_in_handler = stack_left(); };
  action.sa_flags = SA_ONSTACK;
  ASSERT_TRUE(current_stack());
  ::sigaction(SIGUSR1, &action, &old);
  ::raise(SIGUSR1);
  ::sigaction(SIGUSR1, &old, nullptr);
  ::sigaltstack(&before, nullptr);
  EXPECT_EQ(left_in_handler, 0U);
}

TEST(stack_buffer, is_on_the_stack_when_small) {
  for (const std::size_t size : {0U, 1U, 100U, 4096U, 65536U}) {
    with_stack_buffer(size, [size](std::span<std::byte> buffer) {
      EXPECT_EQ(buffer.size(), size);
      EXPECT_TRUE(is_aligned(buffer.data(), stack_buffer_alignment));
      std::memset(buffer.data(), 1, buffer.size());
    });
  }
}

TEST(stack_buffer, takes_the_stack_up_to_its_limit) {
  EXPECT_TRUE(with_stack_buffer(stack_buffer_limit, &is_on_stack));
  EXPECT_FALSE(with_stack_buffer(stack_buffer_limit + 1, &is_on_stack));
}

TEST(stack_buffer, is_from_the_heap_when_the_stack_is_short) {
  pthread_attr_t attributes;
  ::pthread_attr_init(&attributes);
  ASSERT_EQ(::pthread_attr_setstacksize(&attributes, 256U << 10U), 0);
  pthread_t thread{};
  const auto descend = [](void*) -> void* {
    // Down to where less is left than the buffer and the reserve need.
    struct step {
      static int deeper(int wrong) {
        volatile std::size_t used_bytes = 4096;
        volatile auto* const used = static_cast<volatile char*>(__builtin_alloca(used_bytes));
        used[0] = 1;
        if (stack_left() < 16U << 10U) return wrong;
        const std::size_t left = stack_left();
        const bool on_stack = with_stack_buffer(60U << 10U, [](std::span<std::byte> buffer) {
          std::memset(buffer.data(), 1, buffer.size());
          return is_on_stack(buffer);
        });
        // The frames between here and there take some of what is left.
        const bool must_not = on_stack && left < (60U << 10U) + stack_reserve;
        const bool must = !acre_test::is_sanitized && !on_stack &&
                          left > (60U << 10U) + stack_reserve + (16U << 10U);
        return deeper(wrong + (must || must_not ? 1 : 0)) + (used[0] - 1);
      }
    };
    return reinterpret_cast<void*>(static_cast<std::intptr_t>(step::deeper(0)));
  };
  ASSERT_EQ(::pthread_create(&thread, &attributes, descend, nullptr), 0);
  void* wrong = nullptr;
  ::pthread_join(thread, &wrong);
  ::pthread_attr_destroy(&attributes);
  EXPECT_EQ(reinterpret_cast<std::intptr_t>(wrong), 0);
}

TEST(stack_buffer, passes_results_and_exceptions_on) {
  EXPECT_EQ(with_stack_buffer(10, [](auto buffer) { return buffer.size() * 2; }), 20U);
  EXPECT_EQ(with_stack_buffer(1U << 20U, [](auto buffer) { return buffer.size(); }), 1U << 20U);
  EXPECT_THROW(with_stack_buffer(10, [](auto) { throw std::runtime_error("x"); }),
               std::runtime_error);
  EXPECT_THROW(with_stack_buffer(1U << 20U, [](auto) { throw std::runtime_error("x"); }),
               std::runtime_error);
}

}  // namespace
