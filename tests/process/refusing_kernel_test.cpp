/// Goal: what the kernel refuses reaches the caller unchanged, and interruptions do not.
/// Method: the stand-in for the kernel that the os values share.
#include <acre/os/process.hpp>

#include "os/fake_kernel.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include <gtest/gtest.h>

namespace {

using namespace acre::os;
using acre_test::fake_kernel;

template <class Answer>
int number_of(const Answer& answer) {
  return answer ? 0 : answer.error().number;
}

TEST(refusing_kernel, opening_fails_as_the_kernel_says) {
  fake_kernel kernel;
  kernel.fail(calls::openat, EACCES);
  const auto refused = process::open(1);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().number, EACCES);
}

TEST(refusing_kernel, each_file_that_cannot_be_opened_is_named) {
  const auto self = process::self();
  ASSERT_TRUE(self);
  fake_kernel kernel;
  kernel.fail(calls::openat, EPERM);
  const auto refusal = [](const auto& answer) {
    return answer ? "nothing" : std::string(answer.error().call);
  };
  EXPECT_EQ(refusal(self->maps()), "maps");
  EXPECT_EQ(refusal(self->smaps()), "smaps");
  EXPECT_EQ(refusal(self->status()), "status");
  EXPECT_EQ(refusal(self->limits()), "limits");
  EXPECT_EQ(refusal(self->pages()), "pagemap");
  EXPECT_EQ(refusal(self->clear_references(process::forget::referenced)), "clear_refs");
  std::byte byte{};
  EXPECT_EQ(refusal(self->read_memory(1, {&byte, 1})), "mem");
  EXPECT_EQ(number_of(self->maps()), EPERM);
}

TEST(refusing_kernel, reading_that_fails_half_way_is_a_failure) {
  const auto self = process::self();
  fake_kernel kernel;
  kernel.fail(calls::read, EIO, 2);
  const auto maps = self->maps();
  ASSERT_FALSE(maps);
  EXPECT_EQ(maps.error().number, EIO);
}

TEST(refusing_kernel, an_interruption_is_not_seen) {
  const auto self = process::self();
  fake_kernel kernel;
  kernel.fail(calls::read, EINTR, 1);
  kernel.fail(calls::pread, EINTR, 1);
  EXPECT_TRUE(self->maps());
  page_entry entry;
  const auto map = self->pages();
  ASSERT_TRUE(map);
  EXPECT_TRUE(map->read(reinterpret_cast<std::uint64_t>(&entry), {&entry, 1}));
}

TEST(refusing_kernel, a_process_that_ends_between_two_files_has_ended) {
  const auto self = process::self();
  fake_kernel kernel;
  // "maps" can be opened and is read; then the entry is gone.
  kernel.fail(calls::openat, ENOENT, 2);
  kernel.fail(calls::openat, ENOENT, 3);
  EXPECT_EQ(number_of(self->maps()), ESRCH);
}

TEST(refusing_kernel, memory_that_is_gone_is_no_empty_page_map) {
  const auto map = process::self()->pages();
  ASSERT_TRUE(map);
  fake_kernel kernel;
  kernel.answer(calls::pread, 0);
  page_entry entry;
  EXPECT_EQ(number_of(map->read(0, {&entry, 1})), ESRCH);
  kernel.fail(calls::ioctl, ENOTTY);
  EXPECT_EQ(number_of(map->scan(0, 4096)), ENOTTY);
}

/// A kernel of 6.7 to 6.14, which refuses the category that came later.
long without_guard(long number, const call_arguments& arguments) noexcept {
  constexpr std::size_t return_mask = 11;
  std::array<std::uint64_t, 12> words{};
  std::memcpy(words.data(), reinterpret_cast<const void*>(arguments[2]), sizeof words);
  const auto guard = static_cast<std::uint64_t>(page_category::guard);
  if ((words[return_mask] & guard) != 0) return -EINVAL;
  return enter_kernel(number, arguments);
}

TEST(refusing_kernel, an_older_page_scan_is_asked_for_what_it_knows) {
  const auto map = process::self()->pages();
  ASSERT_TRUE(map);
  int local = 0;
  const auto address = reinterpret_cast<std::uint64_t>(&local) / 4096 * 4096;
  if (number_of(map->scan(address, address + 4096)) == ENOTTY)
    GTEST_SKIP() << "no PAGEMAP_SCAN before Linux 6.7";
  fake_kernel kernel;
  kernel.listen(calls::ioctl, without_guard);
  const auto spans = map->scan(address, address + 4096);
  ASSERT_TRUE(spans);
  EXPECT_EQ(spans->size(), 1U);
}

TEST(refusing_kernel, a_scan_without_progress_ends) {
  const auto map = process::self()->pages();
  fake_kernel kernel;
  kernel.answer(calls::ioctl, 0);
  const auto spans = map->scan(0, 4096);
  ASSERT_TRUE(spans);
  EXPECT_TRUE(spans->empty());
}

TEST(refusing_kernel, frames_without_permission_are_refused) {
  fake_kernel kernel;
  kernel.fail(calls::openat, EACCES);
  const std::array<std::uint64_t, 1> frames{1};
  std::array<std::uint64_t, 1> flags{};
  EXPECT_EQ(number_of(read_frame_flags(frames, flags)), EACCES);
}

TEST(refusing_kernel, pressure_that_is_disabled_says_so) {
  fake_kernel kernel;
  kernel.fail(calls::read, EOPNOTSUPP);
  EXPECT_NE(number_of(read_pressure("memory")), 0);
}

}  // namespace
