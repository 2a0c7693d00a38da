// Small secrets: slots that do not touch, are wiped and fenced, in one thread and several.
#include <acre/os/secret_pool.hpp>

#include "os/child.hpp"
#include "os/fake_kernel.hpp"
#include "support/sanitizer.hpp"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdint>
#include <fstream>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>
#include <unistd.h>

namespace {

using acre::os::secret;
using acre::os::secret_level;
using acre::os::secret_pool;
using acre_test::in_child;
namespace calls = acre::os::calls;

secret_pool pool_of(secret_level level) {
  return acre::or_throw(secret_pool::create({.wanted = level, .required = level}));
}

bool is_zero(std::span<const std::byte> bytes) {
  return std::ranges::all_of(bytes, [](std::byte one) { return one == std::byte{0}; });
}

TEST(secret_pool, gives_out_zeros_that_do_not_overlap) {
  auto pool = pool_of(secret_level::guarded);
  std::vector<secret> secrets;
  for (std::size_t size = 1; size <= secret_pool::size_bytes_max; ++size) {
    auto made = pool.make(size);
    ASSERT_TRUE(made) << made.error().message();
    EXPECT_EQ(made->bytes().size(), size);
    EXPECT_TRUE(is_zero(made->bytes()));
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(made->bytes().data()) % 16, 0U);
    std::ranges::fill(made->bytes(), static_cast<std::byte>(size));
    secrets.push_back(std::move(*made));
  }
  EXPECT_EQ(pool.secrets(), secret_pool::size_bytes_max);
  for (auto& one : secrets) {
    const auto expected = static_cast<std::byte>(one.bytes().size());
    EXPECT_TRUE(std::ranges::all_of(one.bytes(), [&](std::byte b) { return b == expected; }));
    EXPECT_TRUE(one.close());
  }
  EXPECT_EQ(pool.secrets(), 0U);
}

TEST(secret_pool, wipes_a_slot_and_gives_it_out_again) {
  auto pool = pool_of(secret_level::guarded);
  const auto keep = pool.make(32);
  auto made = pool.make(32);
  ASSERT_TRUE(keep && made);
  std::byte* const place = made->bytes().data();
  std::ranges::fill(made->bytes(), std::byte{0x5a});
  ASSERT_TRUE(made->close());
  // The pool still has the page: what was there can be looked at.
  EXPECT_TRUE(is_zero({place, 48}));
  auto again = pool.make(32);
  ASSERT_TRUE(again);
  EXPECT_EQ(again->bytes().data(), place);
}

TEST(secret_pool, notices_an_overrun_on_either_side) {
  auto pool = pool_of(secret_level::guarded);
  auto first = pool.make(32);
  auto second = pool.make(30);
  auto third = pool.make(32);
  ASSERT_TRUE(first && second && third);
  second->bytes().data()[30] ^= std::byte{1};
  EXPECT_EQ(second->close().error().number, EOVERFLOW);
  second = pool.make(32);
  ASSERT_TRUE(second);
  third->bytes().data()[-1] ^= std::byte{1};
  EXPECT_EQ(third->close().error().number, EOVERFLOW);
  EXPECT_EQ(second->close().error().number, EOVERFLOW);
  EXPECT_TRUE(first->close());
  EXPECT_EQ(pool.secrets(), 0U);
}

TEST(secret_pool, notices_a_write_to_a_closed_secret) {
  auto pool = pool_of(secret_level::guarded);
  const auto keep = pool.make(64);
  auto made = pool.make(64);
  ASSERT_TRUE(keep && made);
  std::byte* const place = made->bytes().data();
  ASSERT_TRUE(made->close());
  place[3] = std::byte{1};
  const auto refused = pool.make(64);
  ASSERT_FALSE(refused);
  EXPECT_STREQ(refused.error().call, "secret slot");
  EXPECT_TRUE(pool.make(64));
}

TEST(secret_pool, gives_empty_chunks_back) {
  auto pool = pool_of(secret_level::guarded);
  std::vector<secret> secrets;
  for (int i = 0; i < 5000; ++i)
    secrets.push_back(acre::or_throw(pool.make(32)));
  acre_test::fake_kernel kernel;
  kernel.listen(calls::munmap, acre::os::enter_kernel);
  secrets.clear();
  // 5000 secrets of 48 bytes with their fences are four chunks, of which one is kept.
  EXPECT_EQ(kernel.seen(calls::munmap), 3);
  EXPECT_TRUE(pool.make(32));
}

TEST(secret_pool, may_go_before_its_secrets) {
  secret last;
  {
    auto pool = pool_of(secret_level::guarded);
    last = acre::or_throw(pool.make(16));
    auto moved = std::move(pool);
    EXPECT_TRUE(moved.make(16));
  }
  last.bytes()[0] = std::byte{1};
  secret moved = std::move(last);
  EXPECT_TRUE(last.bytes().empty());
  EXPECT_TRUE(last.close());
  EXPECT_TRUE(moved.close());
  EXPECT_TRUE(moved.close());
}

TEST(secret_pool, refuses_sizes_that_it_has_no_slots_for) {
  auto pool = pool_of(secret_level::guarded);
  EXPECT_EQ(pool.make(0).error().number, EINVAL);
  const auto large = pool.make(1025);
  ASSERT_FALSE(large);
  EXPECT_EQ(large.error().value, 1024U);
}

TEST(secret_pool, belongs_to_its_process) {
  auto pool = pool_of(secret_level::guarded);
  auto made = pool.make(32);
  ASSERT_TRUE(made);
  std::ranges::fill(made->bytes(), std::byte{0x5a});
  const auto ended = in_child([&] {
    if (pool.make(32).error().number != EPERM) return 1;
    if (!is_zero(made->bytes())) return 2;
    if (!made->close()) return 3;
    auto own =
        secret_pool::create({.wanted = secret_level::guarded, .required = secret_level::guarded});
    if (!own || !own->make(32)) return 4;
    const secret_pool gone = std::move(pool);
    return 0;
  });
  EXPECT_EQ(ended.code, 0) << "signal " << ended.signal;
  EXPECT_EQ(made->bytes()[31], std::byte{0x5a});
}

TEST(secret_pool, keeps_its_level_or_fails) {
  const auto hidden =
      secret_pool::create({.wanted = secret_level::hidden, .required = secret_level::hidden});
  if (!hidden) GTEST_SKIP() << hidden.error().message();
  EXPECT_EQ(hidden->level(), secret_level::hidden);
  acre_test::fake_kernel kernel;
  kernel.fail(calls::memfd_secret, EMFILE);
  auto pool = secret_pool::create();
  if (pool) {
    EXPECT_EQ(pool->level(), secret_level::locked);
  }
  secret_pool moved = std::move(*const_cast<secret_pool*>(&*hidden));
  const auto refused = moved.make(16);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().number, EMFILE);
}

TEST(secret_pool, passes_on_whatever_the_kernel_refuses) {
  acre_test::fake_kernel kernel;
  kernel.fail(calls::munmap, EAGAIN, 1);
  EXPECT_EQ(
      secret_pool::create({.wanted = secret_level::guarded, .required = secret_level::guarded})
          .error()
          .number,
      EAGAIN);
  kernel.fail(calls::mprotect, ENOMEM);
  EXPECT_EQ(
      secret_pool::create({.wanted = secret_level::guarded, .required = secret_level::guarded})
          .error()
          .number,
      ENOMEM);
}

TEST(secret_pool, is_for_all_threads) {
  auto pool = pool_of(secret_level::guarded);
  std::atomic<int> wrong{0};
  const auto work = [&](unsigned seed) {
    std::vector<secret> held;
    for (unsigned i = 0; i < 3000; ++i) {
      seed = seed * 1664525 + 1013904223;
      auto made = pool.make(1 + seed / 65536 % 200);
      if (!made || !is_zero(made->bytes())) ++wrong;
      std::ranges::fill(made->bytes(), static_cast<std::byte>(seed));
      held.push_back(std::move(*made));
      if (seed / 4 % 3 != 0) {
        std::swap(held[seed / 8 % held.size()], held.back());
        held.pop_back();
      }
    }
  };
  std::vector<std::jthread> threads;
  for (unsigned i = 0; i < 4; ++i)
    threads.emplace_back(work, i);
  threads.clear();
  EXPECT_EQ(wrong, 0);
  EXPECT_EQ(pool.secrets(), 0U);
}

/// Pages in memory, in bytes.
std::size_t resident_bytes() {
  std::ifstream file("/proc/self/statm");
  std::size_t size = 0;
  std::size_t resident = 0;
  file >> size >> resident;
  return resident * 4096;
}

TEST(secret_pool, holds_a_hundred_thousand_keys_in_8_mib) {
  if (acre_test::is_sanitized) GTEST_SKIP() << "a sanitizer's shadow is counted, too";
  constexpr std::size_t count = 100'000;
  auto pool =
      secret_pool::create({.wanted = secret_level::hidden, .required = secret_level::guarded});
  ASSERT_TRUE(pool) << pool.error().message();
  const std::size_t before = resident_bytes();
  std::vector<secret> secrets(count);  // with what refers to them
  for (secret& one : secrets) {
    auto made = pool->make(32);
    if (!made && made.error().call == std::string("mlock2")) GTEST_SKIP() << made.error().message();
    ASSERT_TRUE(made) << made.error().message();
    one = std::move(*made);
  }
  EXPECT_LE(resident_bytes() - before, 8U << 20U) << "level " << static_cast<int>(pool->level());
}

}  // namespace
