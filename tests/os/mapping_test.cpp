#include <acre/os/mapping.hpp>
#include <acre/os/page.hpp>

#include "os/fake_kernel.hpp"
#include "os/fault.hpp"
#include "os/kernel.hpp"
#include "support/sanitizer.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdio>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

namespace {

using namespace acre::os;
using acre_test::fake_kernel;
using acre_test::fault_at;

const std::size_t page = page_size();
constexpr std::size_t mib = std::size_t{1} << 20U;

mapping some_pages(std::size_t count, const mapping_options& options = {}) {
  return acre::or_throw(mapping::anonymous(count * page, options));
}

/// Reads the byte for certain.
std::byte touch(const std::byte* place) {
  return *static_cast<const volatile std::byte*>(place);
}

/// An anonymous file of so many bytes; the caller closes it.
int memory_file(std::size_t size_bytes) {
  const int file = ::memfd_create("acre-test", MFD_CLOEXEC);
  if (file >= 0 && ::ftruncate(file, static_cast<off_t>(size_bytes)) != 0) std::perror("ftruncate");
  return file;
}

// Life and death.

TEST(mapping, is_zeroed_writable_and_rounded_up) {
  auto made = mapping::anonymous(page + 1);
  ASSERT_TRUE(made);
  EXPECT_EQ(made->size(), 2 * page);
  EXPECT_TRUE(is_aligned(made->data(), page));
  EXPECT_TRUE(std::ranges::all_of(made->bytes(), [](std::byte b) { return b == std::byte{}; }));
  made->bytes().back() = std::byte{7};
  EXPECT_EQ(made->kind(), page_kind::ordinary);
  EXPECT_EQ(made->sharing(), page_sharing::own);
  EXPECT_FALSE(made->is_file());
}

TEST(mapping, is_gone_with_its_owner) {
  std::byte* place = nullptr;
  {
    const mapping made = some_pages(1);
    place = made.data();
    EXPECT_FALSE(fault_at(place));
  }
  EXPECT_TRUE(fault_at(place));
}

TEST(mapping, moved_from_is_empty) {
  mapping first = some_pages(2);
  std::byte* const data = first.data();
  mapping second = std::move(first);
  EXPECT_TRUE(first.empty());
  EXPECT_EQ(first.data(), nullptr);
  EXPECT_EQ(second.data(), data);
  mapping third = some_pages(1);
  std::byte* const replaced = third.data();
  third = std::move(second);
  EXPECT_EQ(third.data(), data);
  EXPECT_TRUE(fault_at(replaced));
  mapping& same = third;
  third = std::move(same);
  EXPECT_EQ(third.data(), data);
}

TEST(mapping, release_shows_the_error_that_the_destructor_hides) {
  mapping made = some_pages(1);
  {
    fake_kernel kernel;
    kernel.fail(calls::munmap, ENOMEM);
    const auto released = made.release();
    ASSERT_FALSE(released);
    EXPECT_EQ(released.error().number, ENOMEM);
    EXPECT_STREQ(released.error().call, "munmap");
  }
  EXPECT_FALSE(made.empty());
  EXPECT_TRUE(made.release());
  EXPECT_TRUE(made.empty());
  EXPECT_TRUE(made.release()) << "releasing nothing is fine";
}

TEST(mapping, detached_pages_can_be_adopted) {
  mapping first = some_pages(3);
  const auto pages = first.detach();
  EXPECT_TRUE(first.empty());
  ASSERT_EQ(pages.size(), 3 * page);
  mapping second = mapping::adopt(pages);
  EXPECT_EQ(second.data(), pages.data());
  EXPECT_TRUE(second.release());
}

TEST(mapping, passes_on_the_kernel_s_refusal) {
  fake_kernel kernel;
  kernel.fail(calls::mmap, ENFILE);
  const auto made = mapping::anonymous(page);
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().number, ENFILE);
  EXPECT_STREQ(made.error().call, "mmap");
}

TEST(mapping, refuses_what_cannot_be) {
  EXPECT_EQ(mapping::anonymous(0).error().message(),
            "mmap: Invalid argument (a mapping holds at least one byte)");
  EXPECT_EQ(mapping::anonymous(page, {.alignment_bytes = 48}).error().number, EINVAL);
  EXPECT_EQ(mapping::anonymous(SIZE_MAX).error().number, ENOMEM);
  EXPECT_EQ(mapping::anonymous(SIZE_MAX / 2).error().number, ENOMEM);
  EXPECT_EQ(mapping::anonymous(page, {.pages = {}}).error().number, EINVAL);
  EXPECT_EQ(mapping::file(-1, 0, page).error().number, EBADF);
  EXPECT_EQ(mapping::file(0, 1, page).error().number, EINVAL);
  EXPECT_EQ(mapping::file(0, 0, page, {.sharing = page_sharing::droppable}).error().number, EINVAL);
  EXPECT_EQ(mapping::file(0, 0, page, {.pages = page_kind::transparent_huge}).error().number,
            EOPNOTSUPP);
}

TEST(mapping, refuses_ranges_outside_or_askew) {
  mapping made = some_pages(4);
  const auto number = [&made](byte_range where) {
    const auto outcome = made.protect(page_access::read, where);
    return outcome ? 0 : outcome.error().number;
  };
  EXPECT_EQ(number({.offset_bytes = page, .size_bytes = page}), 0);
  EXPECT_EQ(number({.offset_bytes = page}), 0);
  EXPECT_EQ(number({.offset_bytes = 4 * page}), EINVAL);
  EXPECT_EQ(number({.offset_bytes = 5 * page}), EINVAL);
  EXPECT_EQ(number({.offset_bytes = page, .size_bytes = 4 * page}), EINVAL);
  EXPECT_EQ(number({.offset_bytes = page, .size_bytes = SIZE_MAX - 1}), EINVAL);
  EXPECT_EQ(number({.offset_bytes = 1, .size_bytes = page}), EINVAL);
  EXPECT_EQ(number({.size_bytes = 1}), EINVAL);
  EXPECT_EQ(number({.size_bytes = 0}), EINVAL);
}

TEST(mapping, an_empty_one_refuses_everything) {
  mapping none;
  EXPECT_FALSE(none.protect(page_access::read));
  EXPECT_FALSE(none.commit());
  EXPECT_FALSE(none.decommit());
  EXPECT_FALSE(none.advise(advice::normal));
  EXPECT_FALSE(none.resize(page, resize_policy::may_move));
  EXPECT_FALSE(none.populate(populate_for::reading));
  EXPECT_FALSE(none.residency());
  EXPECT_FALSE(none.backing());
  EXPECT_FALSE(none.track_writes());
  EXPECT_FALSE(none.dirty_since());
  EXPECT_FALSE(none.seal());
  EXPECT_FALSE(none.guard({}));
  EXPECT_FALSE(none.unguard({}, guard_kind::marker));
  EXPECT_FALSE(none.guard_all(std::array<byte_range, 1>{}));
  EXPECT_TRUE(none.detach().empty());
  EXPECT_EQ(none.protect(page_access::read).error().message(),
            "mprotect: Invalid argument (the mapping is empty)");
}

TEST(mapping, is_aligned_as_asked) {
  for (const std::size_t alignment : {page, 16 * page, mib, 64 * mib}) {
    const auto made = mapping::anonymous(3 * page, {.alignment_bytes = alignment});
    ASSERT_TRUE(made);
    EXPECT_TRUE(is_aligned(made->data(), alignment));
    EXPECT_EQ(made->size(), 3 * page);
  }
}

TEST(mapping, alignment_fails_cleanly) {
  for (const int nth : {1, 2, 3}) {
    fake_kernel kernel;
    kernel.fail(calls::munmap, ENOMEM, nth);
    const auto made = mapping::anonymous(3 * page, {.alignment_bytes = 64 * mib});
    EXPECT_EQ(made ? ENOMEM : made.error().number, ENOMEM);
  }
  fake_kernel kernel;
  kernel.fail(calls::mmap, ENOMEM, 2);
  const auto made = mapping::anonymous(3 * page, {.alignment_bytes = 64 * mib});
  EXPECT_STREQ(made ? "mmap" : made.error().call, "mmap");
}

TEST(mapping, uncharged_memory_asks_for_that) {
  fake_kernel kernel;
  static long flags = 0;
  kernel.listen(calls::mmap, [](long number, const call_arguments& arguments) noexcept {
    flags = arguments[3];
    return enter_kernel(number, arguments);
  });
  ASSERT_TRUE(mapping::anonymous(page, {.charged = false}));
  EXPECT_NE(flags & MAP_NORESERVE, 0);
  ASSERT_TRUE(mapping::anonymous(page));
  EXPECT_EQ(flags & MAP_NORESERVE, 0);
}

// Sharing.

TEST(mapping, shared_memory_is_seen_by_a_child) {
  mapping shared = some_pages(1, {.sharing = page_sharing::shared});
  mapping own = some_pages(1);
  const pid_t child = ::fork();
  if (child == 0) {
    shared.data()[0] = std::byte{1};
    own.data()[0] = std::byte{1};
    ::_exit(0);
  }
  ASSERT_EQ(::waitpid(child, nullptr, 0), child);
  EXPECT_EQ(shared.data()[0], std::byte{1});
  EXPECT_EQ(own.data()[0], std::byte{0});
}

TEST(mapping, droppable_memory_needs_a_kernel_that_has_it) {
  const auto made = mapping::anonymous(page, {.sharing = page_sharing::droppable});
  if (!made) {
    EXPECT_EQ(made.error().number, EINVAL);
    GTEST_SKIP() << made.error().message();
  }
  made->data()[0] = std::byte{1};
  EXPECT_EQ(made->sharing(), page_sharing::droppable);
}

TEST(mapping, maps_a_file_shared_and_private) {
  const int file = memory_file(3 * page);
  ASSERT_GE(file, 0);
  auto shared = mapping::file(file, page, 2 * page, {.sharing = page_sharing::shared});
  auto own = mapping::file(file, page, 2 * page);
  ::close(file);
  ASSERT_TRUE(shared);
  ASSERT_TRUE(own);
  EXPECT_TRUE(own->is_file());
  shared->data()[0] = std::byte{1};
  EXPECT_EQ(own->data()[0], std::byte{1});
  own->data()[0] = std::byte{2};
  EXPECT_EQ(shared->data()[0], std::byte{1});
}

TEST(mapping, file_pages_cannot_be_decommitted) {
  const int file = memory_file(page);
  auto made = mapping::file(file, 0, page);
  ::close(file);
  ASSERT_TRUE(made);
  EXPECT_EQ(made->decommit().error().number, EOPNOTSUPP);
  mapping shared = some_pages(1, {.sharing = page_sharing::shared});
  EXPECT_EQ(shared.decommit().error().number, EOPNOTSUPP);
}

// Reserve, commit, decommit, protect.

TEST(mapping, reserved_space_becomes_usable_and_is_given_back) {
  auto space = mapping::reserve(16 * page);
  ASSERT_TRUE(space);
  EXPECT_TRUE(fault_at(space->data()));
  ASSERT_TRUE(space->commit({.offset_bytes = 4 * page, .size_bytes = 2 * page}));
  std::byte* const usable = space->data() + 4 * page;
  EXPECT_FALSE(fault_at(usable));
  EXPECT_TRUE(fault_at(space->data() + 6 * page));
  *usable = std::byte{5};
  ASSERT_TRUE(space->decommit({.offset_bytes = 4 * page, .size_bytes = page}));
  EXPECT_TRUE(fault_at(usable));
  ASSERT_TRUE(space->commit({.offset_bytes = 4 * page, .size_bytes = page}));
  EXPECT_EQ(*usable, std::byte{0}) << "contents are gone";
}

TEST(mapping, a_whole_terabyte_can_be_reserved) {
  if (acre_test::is_sanitized) GTEST_SKIP() << "a sanitizer keeps shadow of address space";
  const auto space = mapping::reserve(std::size_t{1} << 40U, 2 * mib);
  if (!space) GTEST_SKIP() << "address space is limited: " << space.error().message();
  EXPECT_TRUE(is_aligned(space->data(), 2 * mib));
}

TEST(mapping, commit_and_decommit_pass_on_refusals) {
  mapping made = some_pages(1);
  fake_kernel kernel;
  kernel.fail(calls::mprotect, ENOMEM);
  kernel.fail(calls::mmap, ENOMEM);
  EXPECT_STREQ(made.commit().error().call, "mprotect");
  EXPECT_STREQ(made.decommit().error().call, "mmap");
}

TEST(mapping, protection_is_what_was_asked) {
  mapping made = some_pages(1);
  made.data()[0] = std::byte{3};
  ASSERT_TRUE(made.protect(page_access::read));
  EXPECT_FALSE(fault_at(made.data()));
  EXPECT_TRUE(acre_test::fault_writing(made.data()));
  ASSERT_TRUE(made.protect(page_access::none));
  EXPECT_TRUE(fault_at(made.data()));
  ASSERT_TRUE(made.protect(page_access::read_write));
  EXPECT_FALSE(acre_test::fault_writing(made.data()));
}

#if defined(__x86_64__)
TEST(mapping, code_runs_once_it_cannot_be_written) {
  mapping made = some_pages(1);
  // mov eax, 42; ret; not at the first byte, since a sanitizer looks before a function.
  constexpr std::array code{0xb8, 42, 0, 0, 0, 0xc3};
  std::byte* const place = made.data() + 64;
  std::ranges::transform(code, place, [](int b) { return static_cast<std::byte>(b); });
  const auto done = made.protect(page_access::read_execute);
  if (!done) GTEST_SKIP() << "executable memory is forbidden here: " << done.error().message();
  const auto function = reinterpret_cast<int (*)()>(place);
  EXPECT_EQ(function(), 42);
  EXPECT_TRUE(acre_test::fault_writing(made.data()));
}
#endif

// Resize.

TEST(mapping, grows_by_moving_and_keeps_contents) {
  mapping made = some_pages(2);
  made.data()[0] = std::byte{1};
  made.bytes().back() = std::byte{2};
  ASSERT_TRUE(made.resize(1000 * page, resize_policy::may_move));
  EXPECT_EQ(made.size(), 1000 * page);
  EXPECT_EQ(made.data()[0], std::byte{1});
  EXPECT_EQ(made.data()[2 * page - 1], std::byte{2});
  EXPECT_EQ(made.bytes().back(), std::byte{0});
  made.bytes().back() = std::byte{3};
  ASSERT_TRUE(made.resize(1, resize_policy::must_stay)) << "shrinking needs no room";
  EXPECT_EQ(made.size(), page);
  EXPECT_EQ(made.data()[0], std::byte{1});
}

TEST(mapping, stays_or_fails) {
  auto space = mapping::reserve(8 * page);
  ASSERT_TRUE(space);
  // The first half of a reservation: behind it is no room.
  const auto whole = space->detach();
  mapping first = mapping::adopt(whole.first(4 * page));
  mapping second = mapping::adopt(whole.subspan(4 * page));
  ASSERT_TRUE(second.commit());
  const auto grown = first.resize(8 * page, resize_policy::must_stay);
  ASSERT_FALSE(grown);
  EXPECT_EQ(grown.error().number, ENOMEM);
  EXPECT_EQ(first.size(), 4 * page);
  EXPECT_EQ(first.data(), whole.data());
  ASSERT_TRUE(second.release());
  EXPECT_TRUE(first.resize(8 * page, resize_policy::must_stay));
  EXPECT_EQ(first.data(), whole.data());
}

TEST(mapping, resize_refuses_nothing_and_too_much) {
  mapping made = some_pages(1);
  EXPECT_EQ(made.resize(0, resize_policy::may_move).error().number, EINVAL);
  EXPECT_EQ(made.resize(SIZE_MAX, resize_policy::may_move).error().number, ENOMEM);
  EXPECT_EQ(made.resize(std::size_t{1} << 46U, resize_policy::may_move).error().number, ENOMEM);
  fake_kernel kernel;
  kernel.fail(calls::mremap, EFAULT);
  EXPECT_NE(made.resize(2 * page, resize_policy::may_move).error().message().find("several"),
            std::string::npos);
  EXPECT_EQ(made.size(), page);
}

// Advice.

TEST(mapping, takes_every_advice_or_says_why_not) {
  for (int i = 0; i <= static_cast<int>(advice::hardware_poison); ++i) {
    const auto what = static_cast<advice>(i);
    // It would take memory from the machine for good.
    if (what == advice::soft_offline || what == advice::hardware_poison) continue;
    const bool shared = what == advice::remove;
    mapping made = some_pages(1024, {.sharing = shared ? page_sharing::shared : page_sharing::own});
    made.data()[0] = std::byte{1};
    const auto outcome = made.advise(what);
    if (!kernel_knows(what)) {
      ASSERT_FALSE(outcome) << i;
      EXPECT_EQ(outcome.error().number, EOPNOTSUPP) << i;
      EXPECT_STRNE(outcome.error().why, "") << i;
    } else if (!outcome) {
      // Collapsing fails when the kernel finds no free huge page.
      EXPECT_EQ(what, advice::collapse) << i << ' ' << outcome.error().message();
    }
  }
}

TEST(mapping, discarding_advice_discards) {
  for (const advice what : {advice::dont_need, advice::dont_need_locked}) {
    if (!kernel_knows(what)) continue;
    mapping made = some_pages(1);
    made.data()[0] = std::byte{9};
    ASSERT_TRUE(made.advise(what));
    EXPECT_EQ(made.data()[0], std::byte{0});
  }
}

TEST(mapping, an_advice_that_the_kernel_lacks_is_refused_with_its_version) {
  mapping made = some_pages(1);
  fake_kernel kernel;
  kernel.fail(calls::madvise, EINVAL);
  const auto outcome = made.advise(advice::cold);
  ASSERT_FALSE(outcome);
  EXPECT_EQ(outcome.error().message(),
            "madvise: Operation not supported (MADV_COLD came with Linux 5.4)");
  EXPECT_FALSE(kernel_knows(advice::cold));
  EXPECT_EQ(made.populate(populate_for::writing).error().number, EOPNOTSUPP);
}

TEST(mapping, an_advice_that_does_not_suit_says_so) {
  mapping made = some_pages(1, {.sharing = page_sharing::shared});
  const auto outcome = made.advise(advice::free);
  ASSERT_FALSE(outcome);
  EXPECT_EQ(outcome.error().number, EINVAL);
  EXPECT_STREQ(outcome.error().why, "this is for private anonymous memory only");
}

TEST(mapping, wiped_memory_is_zero_in_a_child) {
  mapping made = some_pages(1);
  made.data()[0] = std::byte{1};
  ASSERT_TRUE(made.advise(advice::wipe_on_fork));
  const pid_t child = ::fork();
  if (child == 0) ::_exit(static_cast<int>(made.data()[0]));
  int status = -1;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(WEXITSTATUS(status), 0);
  EXPECT_EQ(made.data()[0], std::byte{1});
}

// Populating and looking.

TEST(mapping, populates_and_tells_residency) {
  mapping made = some_pages(8);
  EXPECT_EQ(std::ranges::count(made.residency().value(), 1), 0);
  const auto done =
      made.populate(populate_for::writing, {.offset_bytes = 2 * page, .size_bytes = 3 * page});
  if (!done) GTEST_SKIP() << done.error().message();
  const auto pages = made.residency().value();
  EXPECT_EQ(pages, (std::vector<std::uint8_t>{0, 0, 1, 1, 1, 0, 0, 0}));
}

TEST(mapping, populating_beyond_a_file_is_an_error) {
  const int file = memory_file(page);
  auto made = mapping::file(file, 0, 2 * page, {.sharing = page_sharing::shared});
  ::close(file);
  ASSERT_TRUE(made);
  const auto done = made->populate(populate_for::reading);
  ASSERT_FALSE(done);
  if (done.error().number == EOPNOTSUPP) GTEST_SKIP() << done.error().message();
  EXPECT_EQ(done.error().number, EFAULT);
  EXPECT_STRNE(done.error().why, "");
}

TEST(mapping, populating_what_may_not_be_written_is_an_error) {
  mapping made = some_pages(1, {.access = page_access::read});
  const auto done = made.populate(populate_for::writing);
  ASSERT_FALSE(done);
  EXPECT_TRUE(done.error().number == EINVAL || done.error().number == EOPNOTSUPP);
}

TEST(mapping, residency_passes_on_refusals) {
  mapping made = some_pages(1);
  fake_kernel kernel;
  kernel.fail(calls::mincore, EAGAIN);
  EXPECT_EQ(made.residency().error().number, EAGAIN);
}

TEST(mapping, tells_what_is_behind_it) {
  mapping made = some_pages(8, {.pages = page_kind::ordinary});
  static_cast<void>(made.advise(advice::no_huge_page));
  made.data()[0] = std::byte{1};
  made.data()[3 * page] = std::byte{1};
  EXPECT_EQ(touch(made.data() + 5 * page), std::byte{0});
  const auto found = made.backing();
  if (!found) GTEST_SKIP() << found.error().message();
  EXPECT_EQ(found->present_bytes, 3 * page);
  EXPECT_EQ(found->zero_bytes, page);
  EXPECT_EQ(found->huge_bytes, 0U);
  EXPECT_EQ(found->file_bytes, 0U);
  const auto part = made.backing({.offset_bytes = 3 * page, .size_bytes = page});
  EXPECT_EQ(part->present_bytes, page);
}

TEST(mapping, looking_passes_on_refusals) {
  mapping made = some_pages(1);
  {
    fake_kernel kernel;
    kernel.fail(calls::ioctl, ENOTTY);
    EXPECT_EQ(made.backing().error().number, EOPNOTSUPP);
    EXPECT_STRNE(made.backing().error().why, "");
  }
  {
    fake_kernel kernel;
    kernel.fail(calls::ioctl, EFAULT);
    EXPECT_EQ(made.backing().error().number, EFAULT);
  }
  fake_kernel kernel;
  kernel.fail(calls::openat, EACCES);
  EXPECT_EQ(made.backing().error().number, EACCES);
}

// Writes.

TEST(mapping, notes_which_pages_are_written) {
  mapping made = some_pages(64);
  made.data()[0] = std::byte{1};
  const auto started = made.track_writes();
  if (!started) GTEST_SKIP() << started.error().message();
  EXPECT_EQ(made.track_writes().error().number, EBUSY);
  EXPECT_TRUE(made.dirty_since().value().empty());

  made.data()[0] = std::byte{2};
  for (std::size_t i = 10; i < 13; ++i)
    made.data()[i * page] = std::byte{1};
  const auto expected = std::vector<byte_range>{
      {.offset_bytes = 0, .size_bytes = page}, {.offset_bytes = 10 * page, .size_bytes = 3 * page}};
  EXPECT_EQ(made.dirty_since().value(), expected);
  EXPECT_TRUE(made.dirty_since().value().empty()) << "they count as unwritten again";
  EXPECT_EQ(touch(made.data() + 20 * page), std::byte{0});
  EXPECT_TRUE(made.dirty_since().value().empty()) << "a read is no write";
}

TEST(mapping, notes_writes_of_the_kernel_too) {
  mapping made = some_pages(4);
  const auto started = made.track_writes();
  if (!started) GTEST_SKIP() << started.error().message();
  const int zero = ::open("/dev/zero", O_RDONLY | O_CLOEXEC);
  ASSERT_GE(zero, 0);
  EXPECT_EQ(::read(zero, made.data() + page, 10), 10);
  ::close(zero);
  EXPECT_EQ(made.dirty_since().value(),
            (std::vector<byte_range>{{.offset_bytes = page, .size_bytes = page}}));
}

TEST(mapping, tracks_more_runs_than_one_scan_holds) {
  mapping made = some_pages(1200);
  const auto started = made.track_writes();
  if (!started) GTEST_SKIP() << started.error().message();
  for (std::size_t i = 0; i < 1200; i += 2)
    made.data()[i * page] = std::byte{1};
  EXPECT_EQ(made.dirty_since().value().size(), 600U);
}

TEST(mapping, tracking_ends_with_a_resize) {
  mapping made = some_pages(4);
  const auto started = made.track_writes();
  if (!started) GTEST_SKIP() << started.error().message();
  ASSERT_TRUE(made.resize(1024 * page, resize_policy::may_move));
  EXPECT_EQ(made.dirty_since().error().number, EINVAL);
  EXPECT_TRUE(made.track_writes());
}

TEST(mapping, tracking_passes_on_refusals) {
  mapping made = some_pages(1);
  {
    fake_kernel kernel;
    kernel.fail(calls::userfaultfd, EPERM);
    EXPECT_EQ(made.track_writes().error().number, EPERM);
  }
  if (const auto started = made.track_writes(); !started) GTEST_SKIP() << started.error().message();
  fake_kernel kernel;
  kernel.fail(calls::ioctl, EPERM);
  EXPECT_EQ(made.dirty_since().error().number, EPERM);
  mapping other = some_pages(1);
  EXPECT_EQ(other.track_writes().error().number, EOPNOTSUPP);
}

// Seals and guards.

TEST(mapping, sealed_memory_cannot_be_changed) {
  // In a child, since sealed memory stays until the process ends.
  EXPECT_EXIT(
      {
        mapping made = some_pages(1);
        const auto sealed = made.seal();
        if (!sealed) ::_exit(sealed.error().number == EOPNOTSUPP ? 0 : 1);
        const bool kept = made.protect(page_access::read).error().number == EPERM &&
                          made.release().error().number == EPERM && !made.empty() &&
                          made.resize(2 * page, resize_policy::may_move).error().number == EPERM;
        made.data()[0] = std::byte{1};
        ::_exit(kept ? 0 : 2);
      },
      testing::ExitedWithCode(0), "");
}

TEST(mapping, a_kernel_without_seals_is_named) {
  mapping made = some_pages(1);
  fake_kernel kernel;
  kernel.fail(calls::mseal, ENOSYS);
  EXPECT_EQ(made.seal().error().number, EOPNOTSUPP);
}

TEST(mapping, guards_catch_and_can_be_removed) {
  mapping made = some_pages(4);
  made.data()[page] = std::byte{1};
  const byte_range second{.offset_bytes = page, .size_bytes = page};
  const auto how = made.guard(second);
  ASSERT_TRUE(how);
  EXPECT_FALSE(fault_at(made.data()));
  EXPECT_TRUE(fault_at(made.data() + page));
  EXPECT_FALSE(fault_at(made.data() + 2 * page));
  ASSERT_TRUE(made.unguard(second, *how));
  EXPECT_FALSE(acre_test::fault_writing(made.data() + page));
  EXPECT_EQ(made.data()[page], std::byte{0});
}

TEST(mapping, guards_fall_back_to_protection) {
  mapping made = some_pages(4);
  made.data()[page] = std::byte{1};
  const byte_range second{.offset_bytes = page, .size_bytes = page};
  {
    fake_kernel kernel;
    kernel.fail(calls::madvise, EINVAL, 1);
    EXPECT_EQ(made.guard(second), guard_kind::protection);
  }
  EXPECT_TRUE(fault_at(made.data() + page));
  ASSERT_TRUE(made.unguard(second, guard_kind::protection));
  EXPECT_EQ(made.data()[page], std::byte{0});
}

TEST(mapping, guards_pass_on_refusals) {
  mapping made = some_pages(1);
  fake_kernel kernel;
  kernel.fail(calls::madvise, ENOMEM, 1);
  kernel.fail(calls::madvise, EINVAL, 2);
  kernel.fail(calls::madvise, EPERM, 3);
  kernel.fail(calls::mprotect, ENOMEM, 1);
  EXPECT_STREQ(made.guard({}).error().call, "madvise");
  EXPECT_STREQ(made.guard({}).error().call, "mprotect");
  EXPECT_EQ(made.unguard({}, guard_kind::marker).error().number, EPERM);
}

// Guards at many places.

/// Every second page from the second on.
std::vector<byte_range> odd_pages(const mapping& whole) {
  std::vector<byte_range> places;
  for (std::size_t at = page; at < whole.size(); at += 2 * page)
    places.push_back({.offset_bytes = at, .size_bytes = page});
  return places;
}

/// How many pages are not as they should be: odd ones fault, even ones hold a 1.
std::size_t pages_amiss(const mapping& whole) {
  std::size_t amiss = 0;
  for (std::size_t i = 0; i < whole.size() / page; ++i) {
    const std::byte* const start = whole.data() + i * page;
    const bool faults = fault_at(start) && fault_at(start + page - 1);
    if (faults != (i % 2 == 1) || (!faults && *start != std::byte{1})) ++amiss;
  }
  return amiss;
}

mapping filled_pages(std::size_t count, const mapping_options& options = {}) {
  mapping made = some_pages(count, options);
  std::ranges::fill(made.bytes(), std::byte{1});
  return made;
}

/// Undoes guards at the odd pages and says whether all of them are empty and writable again.
bool opens_again(mapping& whole, guard_kind how) {
  if (!whole.unguard_all(odd_pages(whole), how)) return false;
  return std::ranges::all_of(odd_pages(whole), [&](const byte_range& place) {
    std::byte* const start = whole.data() + place.offset_bytes;
    return *start == std::byte{0} && !acre_test::fault_writing(start);
  });
}

TEST(mapping, guards_many_places_and_none_between) {
  mapping made = filled_pages(2 * 700);  // more places than two system calls take
  const auto how = made.guard_all(odd_pages(made));
  ASSERT_TRUE(how);
  EXPECT_EQ(pages_amiss(made), 0U);
  EXPECT_TRUE(opens_again(made, *how));
  EXPECT_EQ(made.data()[0], std::byte{1});
}

TEST(mapping, guards_many_places_with_few_calls) {
  mapping made = some_pages(2 * 600);
  const auto probe = some_pages(1).guard({});
  fake_kernel kernel;
  kernel.fail(calls::madvise, ENOMEM);
  kernel.listen(calls::process_madvise, enter_kernel);
  const auto how = made.guard_all(odd_pages(made));
  if (!how) GTEST_SKIP() << "this kernel does not take many places at once (Linux 6.15)";
  EXPECT_EQ(kernel.seen(calls::process_madvise), 3);
  ASSERT_TRUE(probe);
  EXPECT_EQ(*how, *probe);
  EXPECT_EQ(kernel.seen(calls::madvise), 0);
}

TEST(mapping, guards_at_no_place_are_made) {
  mapping made = filled_pages(1);
  EXPECT_EQ(made.guard_all({}), guard_kind::marker);
  EXPECT_TRUE(made.unguard_all({}, guard_kind::marker));
  EXPECT_EQ(made.data()[0], std::byte{1});
}

TEST(mapping, checks_all_places_before_it_guards_one) {
  mapping made = filled_pages(4);
  const std::array<byte_range, 3> places{
      {{.offset_bytes = page, .size_bytes = page}, {}, {.offset_bytes = 4 * page}}};
  EXPECT_EQ(made.guard_all(places).error().number, EINVAL);
  EXPECT_EQ(made.unguard_all(places, guard_kind::marker).error().number, EINVAL);
  EXPECT_EQ(made.data()[page], std::byte{1});
}

/// What older or stricter kernels answer for many places at once.
class guards_many : public testing::TestWithParam<int> {};

TEST_P(guards_many, one_by_one_where_the_kernel_refuses_more) {
  mapping made = filled_pages(2 * 300);
  guard_kind how = guard_kind::marker;
  {
    fake_kernel kernel;
    kernel.fail(calls::process_madvise, GetParam());
    const auto guarded = made.guard_all(odd_pages(made));
    ASSERT_TRUE(guarded);
    how = *guarded;
  }
  EXPECT_EQ(pages_amiss(made), 0U);
  EXPECT_TRUE(opens_again(made, how));
}

INSTANTIATE_TEST_SUITE_P(mapping, guards_many, testing::Values(ENOSYS, EBADF, EINVAL, EPERM));

TEST(mapping, guards_on_after_a_part_of_them) {
  mapping made = filled_pages(20);
  if (some_pages(1).guard({}) != guard_kind::marker) GTEST_SKIP() << "no guards by markers here";
  {
    // The kernel stops in the middle of the fifth place; all before it are done.
    fake_kernel kernel;
    kernel.listen(calls::process_madvise, [](long number, const call_arguments& a) noexcept {
      if (a[3] != MADV_GUARD_INSTALL) return enter_kernel(number, a);
      const auto* const places = reinterpret_cast<const iovec*>(a[1]);  // NOLINT(*-int-to-ptr)
      for (std::size_t i = 0; i < 4; ++i) {
        const auto start = static_cast<long>(reinterpret_cast<std::uintptr_t>(places[i].iov_base));
        const auto length = static_cast<long>(places[i].iov_len);
        if (enter_kernel(SYS_madvise, {start, length, MADV_GUARD_INSTALL}) != 0) return -1L;
      }
      return static_cast<long>(4 * page + page / 2);
    });
    kernel.listen(calls::madvise, enter_kernel);
    EXPECT_EQ(made.guard_all(odd_pages(made)), guard_kind::marker);
    EXPECT_EQ(kernel.seen(calls::madvise), 6);
  }
  EXPECT_EQ(pages_amiss(made), 0U);
}

TEST(mapping, guards_all_by_protection_where_one_cannot_be_marked) {
  mapping made = filled_pages(20);
  const std::byte* const locked = made.data() + 9 * page;
  // The library's mlock does nothing under a sanitizer.
  if (!tell(calls::mlock, locked, page)) GTEST_SKIP() << "no page can be locked here";
  ASSERT_EQ(made.guard_all(odd_pages(made)), guard_kind::protection);
  EXPECT_EQ(pages_amiss(made), 0U);
  ASSERT_TRUE(made.unguard_all(odd_pages(made), guard_kind::protection));
  EXPECT_EQ(made.data()[page], std::byte{0});
  EXPECT_EQ(*locked, std::byte{1});
}

TEST(mapping, guards_many_pages_of_a_file) {
  const int file = memory_file(20 * page);
  auto made = mapping::file(file, 0, 20 * page, {.sharing = page_sharing::shared});
  ::close(file);
  ASSERT_TRUE(made);
  std::ranges::fill(made->bytes(), std::byte{1});
  const auto how = made->guard_all(odd_pages(*made));
  ASSERT_TRUE(how);
  EXPECT_EQ(pages_amiss(*made), 0U);
  ASSERT_TRUE(made->unguard_all(odd_pages(*made), *how));
  EXPECT_EQ(made->data()[page], std::byte{1});
}

TEST(mapping, guards_at_many_places_pass_on_refusals) {
  mapping made = some_pages(20);
  const auto places = odd_pages(made);
  {
    fake_kernel kernel;
    kernel.fail(calls::process_madvise, ENOSYS);
    kernel.fail(calls::madvise, ENOMEM, 3);
    EXPECT_EQ(made.guard_all(places).error().number, ENOMEM);
  }
  {
    fake_kernel kernel;  // two markers, one refusal, and then the first cannot be taken away
    kernel.fail(calls::process_madvise, ENOSYS);
    kernel.answer(calls::madvise, 0, 1);
    kernel.answer(calls::madvise, 0, 2);
    kernel.fail(calls::madvise, EINVAL, 3);
    kernel.fail(calls::madvise, EPERM, 4);
    EXPECT_EQ(made.guard_all(places).error().number, EPERM);
  }
  {
    fake_kernel kernel;
    kernel.fail(calls::process_madvise, ENOSYS);
    kernel.fail(calls::madvise, EINVAL);
    kernel.fail(calls::mprotect, ENOMEM, 2);
    EXPECT_STREQ(made.guard_all(places).error().call, "mprotect");
  }
  fake_kernel kernel;
  kernel.fail(calls::process_madvise, ENOSYS);
  kernel.fail(calls::madvise, EPERM);
  kernel.fail(calls::mprotect, ENOMEM);
  EXPECT_EQ(made.unguard_all(places, guard_kind::marker).error().number, EPERM);
  EXPECT_EQ(made.unguard_all(places, guard_kind::protection).error().number, ENOMEM);
}

// Huge pages.

TEST(mapping, gets_transparent_huge_pages) {
  const auto huge = transparent_huge_page_size();
  auto made = mapping::anonymous(8 * mib, {.pages = page_kind::transparent_huge});
  if (!made) GTEST_SKIP() << made.error().message();
  EXPECT_EQ(made->kind(), page_kind::transparent_huge);
  EXPECT_TRUE(is_aligned(made->data(), *huge));
  for (std::size_t i = 0; i < made->size(); i += page)
    made->data()[i] = std::byte{1};
  const auto found = made->backing();
  if (!found) GTEST_SKIP() << found.error().message();
  EXPECT_EQ(found->present_bytes, made->size());
  if (found->huge_bytes == 0) GTEST_SKIP() << "no free huge page on this machine now";
  EXPECT_EQ(found->huge_bytes % *huge, 0U);
}

TEST(mapping, collapses_to_huge_pages) {
  auto made = mapping::anonymous(4 * mib, {.alignment_bytes = 2 * mib});
  ASSERT_TRUE(made);
  static_cast<void>(made->advise(advice::no_huge_page));
  for (std::size_t i = 0; i < made->size(); i += page)
    made->data()[i] = std::byte{1};
  static_cast<void>(made->advise(advice::huge_page));
  const auto done = made->advise(advice::collapse);
  if (!done) GTEST_SKIP() << done.error().message();
  const auto found = made->backing();
  if (!found) GTEST_SKIP() << found.error().message();
  EXPECT_EQ(found->huge_bytes, made->size());
  EXPECT_EQ(made->data()[page], std::byte{1});
}

TEST(mapping, prefers_hugetlb_where_that_comes_first) {
  auto made = mapping::anonymous(
      4 * mib,
      {.pages = {page_kind::huge_2_mib, page_kind::transparent_huge, page_kind::ordinary}});
  ASSERT_TRUE(made);
  const auto pools = huge_page_pools();
  const auto pool = std::ranges::find(pools, 2 * mib, &huge_page_pool::page_size_bytes);
  if (pool != pools.end() && pool->free_pages - pool->reserved_pages >= 2) {
    EXPECT_EQ(made->kind(), page_kind::huge_2_mib);
  } else {
    EXPECT_NE(made->kind(), page_kind::huge_2_mib);
  }
}

TEST(mapping, does_not_fall_back_unasked) {
  fake_kernel kernel;
  kernel.fail(calls::mmap, ENOMEM, 1);
  kernel.fail(calls::mmap, EINVAL, 2);
  const auto made =
      mapping::anonymous(mib, {.pages = {page_kind::huge_1_gib, page_kind::huge_2_mib}});
  ASSERT_FALSE(made);
  EXPECT_EQ(made.error().message(),
            "mmap: Invalid argument (this machine has no reserved huge pages of 2097152 bytes)");
  EXPECT_EQ(kernel.seen(calls::mmap), 2);
}

TEST(mapping, says_when_the_pool_is_empty) {
  fake_kernel kernel;
  kernel.fail(calls::mmap, ENOMEM);
  const auto made = mapping::anonymous(mib, {.pages = page_kind::huge_2_mib});
  EXPECT_NE(made.error().message().find("too few free pages of 2097152 bytes"), std::string::npos);
}

TEST(mapping, uses_hugetlb_pages) {
  auto made = mapping::anonymous(mib, {.pages = page_kind::huge_2_mib});
  if (!made) GTEST_SKIP() << made.error().message();
  EXPECT_EQ(made->size(), 2 * mib);
  EXPECT_EQ(made->granule(), 2 * mib);
  made->data()[0] = std::byte{1};
  EXPECT_EQ(made->decommit().error().number, EOPNOTSUPP);
  const auto found = made->backing();
  EXPECT_EQ(found ? found->huge_bytes : 2 * mib, 2 * mib) << "where the kernel can tell";
}

TEST(mapping, transparent_huge_pages_refuse_where_they_cannot_be) {
  if (!transparent_huge_page_size()) GTEST_SKIP() << "this kernel has none";
  if (transparent_huge_page_mode() == transparent_huge_pages::never) GTEST_SKIP() << "switched off";
  EXPECT_NE(mapping::anonymous(page, {.pages = page_kind::transparent_huge})
                .error()
                .message()
                .find("smaller than one huge page"),
            std::string::npos);
  {
    fake_kernel kernel;
    kernel.fail(calls::openat, ENOENT);
    EXPECT_EQ(mapping::anonymous(4 * mib, {.pages = page_kind::transparent_huge}).error().number,
              ENOENT);
  }
  {
    fake_kernel kernel;
    kernel.listen(calls::read, [](long, const call_arguments& arguments) noexcept -> long {
      constexpr std::string_view text = "always madvise [never]\n";
      static bool at_end = false;
      at_end = !at_end;
      if (!at_end) return 0;
      std::ranges::copy(text, reinterpret_cast<char*>(arguments[1]));
      return static_cast<long>(text.size());
    });
    for (const auto sharing : {page_sharing::own, page_sharing::shared}) {
      const auto made =
          mapping::anonymous(4 * mib, {.sharing = sharing, .pages = page_kind::transparent_huge});
      EXPECT_EQ(made.error().number, EOPNOTSUPP);
    }
  }
  fake_kernel kernel;
  kernel.fail(calls::madvise, EINVAL);
  kernel.listen(calls::munmap, &enter_kernel);
  EXPECT_EQ(mapping::anonymous(4 * mib, {.pages = page_kind::transparent_huge}).error().number,
            EINVAL);
  EXPECT_GE(kernel.seen(calls::munmap), 1) << "what was mapped is given back";
}

}  // namespace
