// Secrets on pages of their own: what each level really gives, seen from /proc, from a child and at
// the edges; and a kernel that refuses.
#include <acre/os/secret_memory.hpp>

#include "os/child.hpp"
#include "os/fake_kernel.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <string>

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

namespace {

using acre::os::secret_access;
using acre::os::secret_level;
using acre::os::secret_memory;
using acre::os::secret_request;
using acre_test::in_child;
namespace calls = acre::os::calls;

constexpr secret_request exactly(secret_level level) {
  return {.wanted = level, .required = level};
}

class secret_levels : public testing::TestWithParam<secret_level> {
 protected:
  /// A secret of the level, or a skip with the kernel's reason.
  void make(std::size_t size_bytes) {
    auto made = secret_memory::create(size_bytes, exactly(GetParam()));
    if (!made) GTEST_SKIP() << made.error().message();
    memory_ = std::move(*made);
    std::ranges::fill(memory_.bytes(), std::byte{0x5a});
  }

  secret_memory memory_;
};

/// The field of the mapping at `address` in /proc/self/smaps.
std::string smaps_field(const void* address, const std::string& field) {
  std::ifstream file("/proc/self/smaps");
  std::string line;
  bool is_inside = false;
  while (std::getline(file, line)) {
    std::uintptr_t first = 0;
    std::uintptr_t last = 0;
    if (std::sscanf(line.c_str(), "%lx-%lx ", &first, &last) == 2) {
      const auto at = reinterpret_cast<std::uintptr_t>(address);
      is_inside = first <= at && at < last;
    } else if (is_inside && line.starts_with(field)) {
      return line.substr(field.size());
    }
  }
  return "";
}

/// What a debugger would read there: the byte, or -1.
int read_from_outside(const std::byte* address) {
  const int file = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
  unsigned char byte = 0;
  const auto got =
      pread(file, &byte, 1, static_cast<off_t>(reinterpret_cast<std::uintptr_t>(address)));
  close(file);
  return got == 1 ? byte : -1;
}

TEST_P(secret_levels, reach_what_is_required_and_say_so) {
  make(100);
  if (IsSkipped()) return;
  EXPECT_EQ(memory_.level(), GetParam());
  EXPECT_EQ(memory_.bytes().size(), 100U);
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(memory_.bytes().data()) % 16, 0U);
  const std::string flags = smaps_field(memory_.bytes().data(), "VmFlags:");
  EXPECT_NE(flags.find(" dd"), std::string::npos) << "not left out of core dumps:" << flags;
  // Hidden pages are never swapped, whether the kernel calls them locked (6.18) or not (6.1).
  if (GetParam() != secret_level::hidden) {
    const bool is_locked = flags.find(" lo") != std::string::npos;
    EXPECT_EQ(is_locked, GetParam() == secret_level::locked) << flags;
  }
  const bool is_hidden = read_from_outside(memory_.bytes().data()) == -1;
  EXPECT_EQ(is_hidden, GetParam() == secret_level::hidden);
  EXPECT_TRUE(memory_.close());
}

TEST_P(secret_levels, keep_the_secret_from_a_child) {
  make(4096);
  if (IsSkipped()) return;
  const auto ended = in_child([&] {
    const auto bytes = memory_.bytes();
    return std::ranges::all_of(bytes, [](std::byte one) { return one == std::byte{0}; }) ? 0 : 1;
  });
  if (GetParam() == secret_level::hidden) {
    EXPECT_NE(ended.code, 1);
    EXPECT_NE(ended.code, 0);
  } else {
    EXPECT_EQ(ended.code, 0);
  }
  EXPECT_EQ(memory_.bytes()[0], std::byte{0x5a});
}

TEST_P(secret_levels, leave_a_childs_memory_alone_when_destroyed_there) {
  make(64);
  if (IsSkipped()) return;
  std::byte* const place = memory_.bytes().data();
  const auto ended = in_child([&] {
    auto* const page =
        reinterpret_cast<void*>(reinterpret_cast<std::uintptr_t>(place) / 4096 * 4096);
    const bool is_absent = GetParam() == secret_level::hidden;
    // What the child maps where the parent's secret was is the child's own.
    if (is_absent && mmap(page, 4096, PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) != page) {
      return 2;
    }
    if (is_absent) *place = std::byte{7};
    if (!memory_.close()) return 3;
    return !is_absent || *place == std::byte{7} ? 0 : 4;
  });
  EXPECT_EQ(ended.code, 0) << "signal " << ended.signal;
}

TEST_P(secret_levels, stand_between_guards) {
  make(64);
  if (IsSkipped()) return;
  volatile std::byte* const end = memory_.bytes().data() + memory_.bytes().size();
  EXPECT_NE(in_child([&] { return std::to_integer<int>(*end); }).signal, 0);
  volatile std::byte* const before = memory_.bytes().data() - 4096;
  EXPECT_NE(in_child([&] { return std::to_integer<int>(*before); }).signal, 0);
}

TEST_P(secret_levels, notice_an_overrun_and_an_underrun) {
  make(5);  // leaves 11 bytes before the guard page
  if (IsSkipped()) return;
  memory_.bytes().data()[5] ^= std::byte{1};
  const auto closed = memory_.close();
  ASSERT_FALSE(closed);
  EXPECT_EQ(closed.error().message(),
            "secret fence: Value too large for defined data type (bytes beside a secret of 5 bytes "
            "were overwritten)");
  EXPECT_TRUE(memory_.close());
  EXPECT_TRUE(memory_.bytes().empty());
  make(32);
  memory_.bytes().data()[-1] ^= std::byte{1};
  EXPECT_FALSE(memory_.close());
}

TEST_P(secret_levels, let_access_be_taken_away_and_given_back) {
  make(32);
  if (IsSkipped()) return;
  ASSERT_TRUE(memory_.allow(secret_access::read));
  EXPECT_EQ(memory_.bytes()[31], std::byte{0x5a});
  ASSERT_TRUE(memory_.allow(secret_access::none));
  // In the process itself, since a child has no such memory.
  const std::byte* const data = memory_.bytes().data();
  EXPECT_NE(in_child([&] {
              return std::to_integer<int>(*static_cast<const volatile std::byte*>(data));
            }).signal,
            0);
  ASSERT_TRUE(memory_.allow(secret_access::read_write));
  EXPECT_EQ(memory_.bytes()[31], std::byte{0x5a});
  ASSERT_TRUE(memory_.allow(secret_access::none));
  EXPECT_TRUE(memory_.close());
}

std::string level_name(const testing::TestParamInfo<secret_level>& level) {
  constexpr std::array names{"", "guarded", "locked", "hidden"};
  return names[static_cast<unsigned>(level.param)];
}

INSTANTIATE_TEST_SUITE_P(secret, secret_levels,
                         testing::Values(secret_level::guarded, secret_level::locked,
                                         secret_level::hidden),
                         level_name);

TEST(secret_memory, is_empty_when_moved_from) {
  auto made = secret_memory::create(10, exactly(secret_level::guarded));
  ASSERT_TRUE(made) << made.error().message();
  secret_memory moved = std::move(*made);
  EXPECT_TRUE(made->bytes().empty());
  EXPECT_EQ(moved.bytes().size(), 10U);
  moved = secret_memory();
  EXPECT_TRUE(moved.bytes().empty());
  EXPECT_TRUE(moved.close());
}

TEST(secret_memory, refuses_what_makes_no_sense) {
  EXPECT_EQ(secret_memory::create(0).error().number, EINVAL);
  EXPECT_EQ(secret_memory::create(SIZE_MAX, exactly(secret_level::guarded)).error().number, ENOMEM);
  const auto upside_down =
      secret_memory::create(1, {.wanted = secret_level::guarded, .required = secret_level::locked});
  EXPECT_EQ(upside_down.error().number, EINVAL);
}

TEST(secret_memory, falls_back_only_as_far_as_allowed) {
  acre_test::fake_kernel kernel;
  kernel.fail(calls::memfd_secret, ENOSYS);
  kernel.fail(calls::mlock2, ENOMEM);
  const auto less = secret_memory::create(
      32, {.wanted = secret_level::hidden, .required = secret_level::guarded});
  ASSERT_TRUE(less) << less.error().message();
  EXPECT_EQ(less->level(), secret_level::guarded);
  const auto locked = secret_memory::create(32);
  ASSERT_FALSE(locked);
  EXPECT_STREQ(locked.error().call, "mlock2");
  const auto hidden = secret_memory::create(32, exactly(secret_level::hidden));
  ASSERT_FALSE(hidden);
  EXPECT_EQ(hidden.error().number, ENOSYS);
  EXPECT_STREQ(hidden.error().call, "memfd_secret");
}

TEST(secret_memory, names_the_limit_that_stopped_it) {
  acre_test::fake_kernel kernel;
  kernel.fail(calls::mlock2, ENOMEM);
  kernel.listen(calls::prlimit, [](long, const acre::os::call_arguments& arguments) noexcept {
    *reinterpret_cast<rlimit*>(arguments[3]) = {.rlim_cur = 65536, .rlim_max = 65536};
    return 0L;
  });
  const auto locked = secret_memory::create(32, exactly(secret_level::locked));
  ASSERT_FALSE(locked);
  EXPECT_EQ(
      locked.error().message(),
      "mlock2: Cannot allocate memory (RLIMIT_MEMLOCK is 65536 bytes; raise it with ulimit -l)");
}

TEST(secret_memory, passes_on_whatever_the_kernel_refuses) {
  // Whichever call is refused, the failure carries its number and nothing stays mapped.
  for (const auto& call : {calls::mmap, calls::mprotect, calls::madvise, calls::mlock2}) {
    acre_test::fake_kernel kernel;
    kernel.fail(call, EAGAIN);
    const auto made = secret_memory::create(32, exactly(secret_level::locked));
    ASSERT_FALSE(made) << call.name;
    EXPECT_EQ(made.error().number, EAGAIN);
    EXPECT_STREQ(made.error().call, call.name);
  }
  for (const auto& call : {calls::ftruncate, calls::madvise}) {
    acre_test::fake_kernel kernel;
    kernel.fail(call, EAGAIN);
    kernel.answer(calls::memfd_secret, memfd_create("secret", MFD_CLOEXEC));
    // With an ordinary file in its place the test needs no secret memory.
    const auto made = secret_memory::create(32, exactly(secret_level::hidden));
    ASSERT_FALSE(made) << call.name;
    EXPECT_STREQ(made.error().call, call.name);
  }
}

TEST(secret_memory, stays_when_the_kernel_refuses_to_let_it_go) {
  auto made = secret_memory::create(32, exactly(secret_level::guarded));
  ASSERT_TRUE(made);
  {
    acre_test::fake_kernel kernel;
    kernel.fail(calls::mprotect, ENOMEM, 1);
    kernel.fail(calls::munmap, ENOMEM, 1);
    EXPECT_STREQ(made->close().error().call, "mprotect");
    EXPECT_EQ(made->bytes().size(), 32U);
    EXPECT_STREQ(made->close().error().call, "munmap");
  }
  EXPECT_TRUE(made->close());
}

TEST(secret_memory, ends_the_program_when_an_overrun_was_not_looked_for) {
  testing::FLAGS_gtest_death_test_style = "threadsafe";
  EXPECT_DEATH(
      {
        auto made = secret_memory::create(5, exactly(secret_level::guarded));
        made->bytes().data()[5] ^= std::byte{1};
      },
      "a secret was overrun");
}

}  // namespace
