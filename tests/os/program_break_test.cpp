// The program break beside the C library's malloc, in children, since a process has one break.
#include <acre/os/program_break.hpp>

#include "os/child.hpp"
#include "os/fake_kernel.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

namespace {

using acre::os::break_users;
using acre::os::program_break;
using acre_test::in_child;
namespace calls = acre::os::calls;

constexpr auto vouched = break_users::caller_vouches;
constexpr std::size_t mib = 1U << 20U;

bool is_zero(std::span<const std::byte> bytes) {
  return std::ranges::all_of(bytes, [](std::byte one) { return one == std::byte{0}; });
}

TEST(program_break, is_claimed_handed_out_and_given_back) {
  const std::uintptr_t before = program_break::position();
  auto claimed = program_break::claim(mib, vouched);
  ASSERT_TRUE(claimed) << claimed.error().message();
  EXPECT_EQ(claimed->size_bytes(), mib);
  EXPECT_GE(program_break::position(), before + mib);
  const auto first = claimed->extend(100);
  const auto second = claimed->extend(5000, 64);
  ASSERT_TRUE(first && second);
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(second->data()) % 64, 0U);
  EXPECT_GE(second->data(), first->data() + 100);
  EXPECT_EQ(first->size(), 100U);
  EXPECT_TRUE(is_zero(*second));
  std::memset(claimed->bytes().data(), 0x5a, claimed->bytes().size());
  ASSERT_TRUE(claimed->shrink_to(second->data()));
  EXPECT_EQ(first->back(), std::byte{0x5a});
  const auto again = claimed->extend(20000, 64);
  ASSERT_TRUE(again);
  EXPECT_EQ(again->data(), second->data());
  EXPECT_TRUE(is_zero(*again));
  EXPECT_EQ(claimed->release().value(), program_break::outcome::given_back);
  EXPECT_EQ(program_break::position(), before);
  EXPECT_EQ(claimed->release().value(), program_break::outcome::nothing_held);
}

TEST(program_break, ends_where_the_claim_ends) {
  auto claimed = program_break::claim(10000, vouched);
  ASSERT_TRUE(claimed);
  EXPECT_EQ(claimed->size_bytes(), 12288U);
  ASSERT_TRUE(claimed->extend(12000));
  const auto refused = claimed->extend(1000);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().message(),
            "program_break: Cannot allocate memory (288 bytes of the claim are left)");
  EXPECT_FALSE(claimed->extend(SIZE_MAX));
  EXPECT_FALSE(claimed->extend(1, std::size_t{1} << 40U));
  std::byte outside{};
  EXPECT_EQ(claimed->shrink_to(&outside).error().number, EINVAL);
}

TEST(program_break, has_one_claim_at_a_time) {
  auto claimed = program_break::claim(1, vouched);
  ASSERT_TRUE(claimed);
  EXPECT_EQ(program_break::claim(1, vouched).error().number, EBUSY);
  program_break moved = std::move(*claimed);
  EXPECT_EQ(claimed->size_bytes(), 0U);
  EXPECT_FALSE(claimed->extend(1));
  EXPECT_EQ(program_break::claim(1, vouched).error().number, EBUSY);
  moved = program_break();
  EXPECT_TRUE(program_break::claim(1, vouched));
}

TEST(program_break, leaves_malloc_working) {
  const auto ended = in_child([] {
    auto claimed = program_break::claim(8 * mib, vouched);
    if (!claimed) return 1;
    const auto ours = claimed->extend(8 * mib);
    if (!ours) return 2;
    std::memset(ours->data(), 0x5a, ours->size());
    // Far more than what malloc may have in hand from the break below the claim.
    std::vector<void*> blocks;
    for (int i = 0; i < 20000; ++i) {
      auto* const block = static_cast<std::byte*>(std::malloc(1000));
      if (block == nullptr) return 3;
      if (block + 1000 > ours->data() && block < ours->data() + ours->size()) return 4;
      std::memset(block, i, 1000);
      blocks.push_back(block);
    }
    if (::sbrk(4096) != reinterpret_cast<void*>(-1)) return 5;
    for (void* block : blocks)
      std::free(block);
    const bool is_whole =
        std::ranges::all_of(*ours, [](std::byte one) { return one == std::byte{0x5a}; });
    if (!is_whole) return 6;
    if (claimed->release() != program_break::outcome::given_back) return 7;
    for (int i = 0; i < 20000; ++i) {
      if (std::malloc(1000) == nullptr) return 8;
    }
    return ::sbrk(4096) == reinterpret_cast<void*>(-1) ? 9 : 0;
  });
  EXPECT_EQ(ended.code, 0) << "signal " << ended.signal;
}

TEST(program_break, that_was_moved_by_another_is_left_where_it_is) {
  const auto ended = in_child([] {
    auto claimed = program_break::claim(mib, vouched);
    if (!claimed || !claimed->extend(mib)) return 1;
    if (::sbrk(-8192) == reinterpret_cast<void*>(-1)) return 2;
    const std::uintptr_t lower = program_break::position();
    if (claimed->release() != program_break::outcome::contents_only) return 3;
    return program_break::position() == lower ? 0 : 4;
  });
  EXPECT_EQ(ended.code, 0) << "signal " << ended.signal;
}

TEST(program_break, is_not_claimed_beside_other_threads_unless_vouched_for) {
  std::jthread other([](const std::stop_token& stop) {
    while (!stop.stop_requested())
      std::this_thread::yield();
  });
  const auto refused = program_break::claim(1);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().number, EBUSY);
  EXPECT_GE(refused.error().value, 2U);
  EXPECT_TRUE(program_break::claim(1, vouched));
}

TEST(program_break, names_the_limit_that_stops_it) {
  const auto ended = in_child([] {
    const rlimit limit{.rlim_cur = mib, .rlim_max = mib};
    if (setrlimit(RLIMIT_DATA, &limit) != 0) return 1;
    const auto refused = program_break::claim(64 * mib, vouched);
    if (refused || refused.error().number != ENOMEM) return 2;
    return refused.error().value == mib ? 0 : 3;
  });
  EXPECT_EQ(ended.code, 0);
}

TEST(program_break, stops_at_another_mapping) {
  const auto ended = in_child([] {
    const std::uintptr_t place = (program_break::position() / mib + 2) * mib;
    void* const there = mmap(reinterpret_cast<void*>(place), 4096, PROT_NONE,
                             MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    if (there == MAP_FAILED) return 1;
    const auto refused = program_break::claim(16 * mib, vouched);
    return !refused && refused.error().number == ENOMEM ? 0 : 2;
  });
  EXPECT_EQ(ended.code, 0);
}

TEST(program_break, refuses_what_makes_no_sense) {
  EXPECT_EQ(program_break::claim(0, vouched).error().number, EINVAL);
  EXPECT_EQ(program_break::claim(SIZE_MAX, vouched).error().number, ENOMEM);
  EXPECT_EQ(program_break::claim(SIZE_MAX / 2, vouched).error().number, ENOMEM);
}

TEST(program_break, passes_on_whatever_the_kernel_refuses) {
  const std::uintptr_t before = program_break::position();
  {
    acre_test::fake_kernel kernel;
    kernel.fail(calls::openat, EMFILE);
    EXPECT_EQ(program_break::claim(1).error().number, EMFILE);
  }
  {
    acre_test::fake_kernel kernel;
    kernel.fail(calls::mmap, ENOMEM);
    const auto refused = program_break::claim(1, vouched);
    EXPECT_STREQ(refused.error().call, "mmap");
    EXPECT_EQ(program_break::position(), before);
  }
  {
    acre_test::fake_kernel kernel;
    kernel.answer(calls::brk, 4096);
    EXPECT_EQ(program_break::claim(1, vouched).error().number, EBUSY);
  }
  auto claimed = program_break::claim(8192, vouched);
  ASSERT_TRUE(claimed) << claimed.error().message();
  ASSERT_TRUE(claimed->extend(8192));
  {
    acre_test::fake_kernel kernel;
    kernel.fail(calls::madvise, EINVAL);
    EXPECT_STREQ(claimed->shrink_to(claimed->bytes().data()).error().call, "madvise");
    EXPECT_EQ(claimed->used_bytes(), 8192U);
    kernel.fail(calls::munmap, EINVAL);
    EXPECT_STREQ(claimed->release().error().call, "munmap");
  }
  EXPECT_EQ(program_break::position(), before);
}

}  // namespace
