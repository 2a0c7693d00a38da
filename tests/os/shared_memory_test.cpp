// Segments by name and by descriptor, between real processes that come, go and are killed; and a
// kernel that refuses.
#include <acre/os/shared_memory.hpp>

#include "os/child.hpp"
#include "os/fake_kernel.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <string>
#include <vector>

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

namespace {

using acre::os::segment_access;
using acre::os::segment_layout;
using acre::os::segment_options;
using acre::os::segment_seals;
using acre::os::shared_memory;
using acre::os::taken_name;
using acre_test::in_child;
namespace calls = acre::os::calls;

constexpr segment_layout layout{.version = 3, .layout_hash = 77};
constexpr segment_options options{.size_bytes = 10000, .layout = layout, .permissions = 0600};

/// A name of this process and test, taken away at the end whatever happened.
class name {
 public:
  name() {
    static int count = 0;
    text_ = "/acre-test-" + std::to_string(getpid()) + "-" + std::to_string(++count);
  }
  ~name() { (void)shared_memory::remove(c_str()); }
  name(const name&) = delete;
  name& operator=(const name&) = delete;
  [[nodiscard]] const char* c_str() const { return text_.c_str(); }

 private:
  std::string text_;
};

/// Skips where there is no place for named segments.
#define NEEDS_NAMES()                                                                   \
  do {                                                                                  \
    const auto probe = shared_memory::prepare(options);                                 \
    if (!probe) GTEST_SKIP() << "no segments in /dev/shm: " << probe.error().message(); \
  } while (false)

int failure_of(const acre::result<shared_memory>& made) {
  return made ? 0 : made.error().number;
}

TEST(shared_memory, is_seen_by_another_process) {
  NEEDS_NAMES();
  const name here;
  auto owner = shared_memory::create(here.c_str(), options);
  ASSERT_TRUE(owner) << owner.error().message();
  EXPECT_TRUE(owner->is_owner());
  EXPECT_EQ(owner->bytes().size(), 10000U);
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(owner->bytes().data()) % 4096, 0U);
  owner->bytes()[9999] = std::byte{1};
  const auto ended = in_child([&] {
    auto opened = shared_memory::open(here.c_str(), layout);
    if (!opened || opened->is_owner() || opened->bytes()[9999] != std::byte{1}) return 1;
    opened->bytes()[0] = std::byte{2};
    return *opened->is_owner_alive() == true ? 0 : 2;
  });
  EXPECT_EQ(ended.code, 0);
  EXPECT_EQ(owner->bytes()[0], std::byte{2});
  EXPECT_EQ(owner->owner_process(), getpid());
}

TEST(shared_memory, loses_its_name_with_its_owner_and_stays_for_its_users) {
  NEEDS_NAMES();
  const name here;
  auto owner = shared_memory::create(here.c_str(), options);
  ASSERT_TRUE(owner);
  auto user = shared_memory::open(here.c_str(), layout, segment_access::read);
  ASSERT_TRUE(user) << user.error().message();
  EXPECT_EQ(user->is_owner_alive().value(), true);
  owner->bytes()[5] = std::byte{9};
  EXPECT_TRUE(owner->close());
  EXPECT_TRUE(owner->close());
  EXPECT_TRUE(owner->bytes().empty());
  EXPECT_EQ(failure_of(shared_memory::open(here.c_str(), layout)), ENOENT);
  EXPECT_EQ(user->bytes()[5], std::byte{9});
  EXPECT_EQ(user->is_owner_alive().value(), false);
}

TEST(shared_memory, cannot_be_opened_before_it_is_whole) {
  NEEDS_NAMES();
  const name here;
  auto segment = shared_memory::prepare(options);
  ASSERT_TRUE(segment);
  EXPECT_EQ(failure_of(shared_memory::open(here.c_str(), layout)), ENOENT);
  EXPECT_EQ(segment->is_owner_alive().value(), std::nullopt);
  std::ranges::fill(segment->bytes(), std::byte{0x5a});
  ASSERT_TRUE(segment->publish(here.c_str()));
  EXPECT_EQ(segment->publish(here.c_str()).error().number, EALREADY);
  const auto opened = shared_memory::open(here.c_str(), layout);
  ASSERT_TRUE(opened);
  EXPECT_TRUE(
      std::ranges::all_of(opened->bytes(), [](std::byte b) { return b == std::byte{0x5a}; }));
}

std::size_t names_in_dev_shm() {
  return static_cast<std::size_t>(
      std::distance(std::filesystem::directory_iterator("/dev/shm"), {}));
}

TEST(shared_memory, leaves_nothing_behind_when_its_maker_is_killed_on_the_way) {
  NEEDS_NAMES();
  const std::size_t before = names_in_dev_shm();
  const name here;
  // In the moment before the kernel would give it the name.
  const auto ended = in_child([&] {
    acre_test::fake_kernel kernel;
    kernel.listen(calls::linkat, [](long, const acre::os::call_arguments&) noexcept {
      return static_cast<long>(kill(getpid(), SIGKILL));
    });
    return shared_memory::create(here.c_str(), options) ? 1 : 2;
  });
  EXPECT_EQ(ended.signal, SIGKILL);
  EXPECT_EQ(failure_of(shared_memory::open(here.c_str(), layout)), ENOENT);
  EXPECT_EQ(names_in_dev_shm(), before);
}

TEST(shared_memory, is_whole_whenever_it_can_be_opened) {
  NEEDS_NAMES();
  const name here;
  const pid_t maker = fork();
  if (maker == 0) {
    for (;;) {
      auto segment = shared_memory::prepare(options);
      if (!segment) _exit(1);
      std::ranges::fill(segment->bytes(), std::byte{0x5a});
      if (!segment->publish(here.c_str())) _exit(2);
    }
  }
  int opened = 0;
  int torn = 0;
  for (int i = 0; i < 3000 && opened < 500; ++i) {
    const auto segment = shared_memory::open(here.c_str(), layout, segment_access::read);
    if (!segment && segment.error().number == ENOENT) {
      usleep(50);
      continue;
    }
    EXPECT_TRUE(segment) << segment.error().message();
    ++opened;
    torn +=
        segment->bytes().front() != std::byte{0x5a} || segment->bytes().back() != std::byte{0x5a};
  }
  kill(maker, SIGKILL);
  int status = 0;
  waitpid(maker, &status, 0);
  EXPECT_TRUE(WIFSIGNALED(status)) << "the maker ended by itself";
  EXPECT_GT(opened, 0);
  EXPECT_EQ(torn, 0);
}

TEST(shared_memory, of_a_dead_owner_is_stale_and_can_be_replaced) {
  NEEDS_NAMES();
  const name here;
  const auto ended = in_child([&] {
    auto made = shared_memory::create(here.c_str(), options);
    return made ? kill(getpid(), SIGKILL) : 1;
  });
  ASSERT_EQ(ended.signal, SIGKILL);
  const auto stale = shared_memory::open(here.c_str(), layout);
  ASSERT_TRUE(stale) << stale.error().message();
  EXPECT_EQ(stale->is_owner_alive().value(), false);
  EXPECT_EQ(failure_of(shared_memory::create(here.c_str(), options)), EEXIST);
  auto fresh = shared_memory::create(here.c_str(), options, taken_name::replace_stale);
  ASSERT_TRUE(fresh) << fresh.error().message();
  const auto opened = shared_memory::open(here.c_str(), layout);
  ASSERT_TRUE(opened);
  EXPECT_EQ(opened->is_owner_alive().value(), true);
  EXPECT_EQ(opened->owner_process(), getpid());
}

TEST(shared_memory, of_a_living_owner_is_not_replaced) {
  NEEDS_NAMES();
  const name here;
  auto owner = shared_memory::create(here.c_str(), options);
  ASSERT_TRUE(owner);
  const auto other = shared_memory::create(here.c_str(), options, taken_name::replace_stale);
  ASSERT_FALSE(other);
  EXPECT_EQ(other.error().number, EEXIST);
  EXPECT_EQ(other.error().value, static_cast<std::uint64_t>(getpid()));
  // What is not a segment is not ours to remove.
  const name foreign;
  const int file = shm_open(foreign.c_str(), O_RDWR | O_CREAT | O_EXCL, 0600);
  ASSERT_GE(file, 0);
  ASSERT_EQ(ftruncate(file, 20000), 0);
  close(file);
  EXPECT_EQ(failure_of(shared_memory::create(foreign.c_str(), options, taken_name::replace_stale)),
            EEXIST);
  EXPECT_EQ(failure_of(shared_memory::open(foreign.c_str(), layout)), EBADMSG);
}

TEST(shared_memory, is_replaced_by_one_of_many_that_try) {
  NEEDS_NAMES();
  const name here;
  ASSERT_EQ(in_child([&] {
              auto made = shared_memory::create(here.c_str(), options);
              return made ? kill(getpid(), SIGKILL) : 1;
            }).signal,
            SIGKILL);
  std::vector<pid_t> children;
  std::array<int, 2> gate{};
  ASSERT_EQ(pipe(gate.data()), 0);
  for (int i = 0; i < 6; ++i) {
    children.push_back(fork());
    if (children.back() != 0) continue;
    auto made = shared_memory::create(here.c_str(), options, taken_name::replace_stale);
    // The winner stays until all have tried.
    char end = 0;
    close(gate[1]);
    if (made) (void)!read(gate[0], &end, 1);
    _exit(made ? 0 : made.error().number);
  }
  close(gate[0]);
  int losers = 0;
  while (losers < 5) {
    int status = 0;
    if (waitpid(-1, &status, 0) < 0) break;
    EXPECT_EQ(WEXITSTATUS(status), EEXIST);
    ++losers;
  }
  close(gate[1]);
  int status = 1;
  EXPECT_GT(waitpid(-1, &status, 0), 0);
  EXPECT_EQ(status, 0);
}

TEST(shared_memory, keeps_its_name_when_a_child_ends) {
  NEEDS_NAMES();
  const name here;
  auto owner = shared_memory::create(here.c_str(), options);
  ASSERT_TRUE(owner);
  EXPECT_EQ(in_child([&] { return owner->close() ? 0 : 1; }).code, 0);
  const auto opened = shared_memory::open(here.c_str(), layout);
  ASSERT_TRUE(opened);
  EXPECT_EQ(opened->is_owner_alive().value(), true);
}

TEST(shared_memory, does_not_take_another_ones_name_away) {
  NEEDS_NAMES();
  const name here;
  auto first = shared_memory::create(here.c_str(), options);
  ASSERT_TRUE(first);
  ASSERT_TRUE(shared_memory::remove(here.c_str()));
  auto second = shared_memory::create(here.c_str(), options);
  ASSERT_TRUE(second);
  EXPECT_TRUE(first->close());
  EXPECT_TRUE(shared_memory::open(here.c_str(), layout));
  shared_memory moved = std::move(*second);
  EXPECT_FALSE(second->is_owner());
  moved = shared_memory();
  EXPECT_EQ(failure_of(shared_memory::open(here.c_str(), layout)), ENOENT);
}

TEST(shared_memory, must_agree_on_version_and_layout) {
  NEEDS_NAMES();
  const name here;
  const auto owner = shared_memory::create(here.c_str(), options);
  ASSERT_TRUE(owner);
  const auto older = shared_memory::open(here.c_str(), {.version = 2, .layout_hash = 77});
  ASSERT_FALSE(older);
  EXPECT_EQ(older.error().number, EPROTONOSUPPORT);
  EXPECT_EQ(older.error().value, 3U);
  const auto other = shared_memory::open(here.c_str(), {.version = 3, .layout_hash = 78});
  EXPECT_EQ(failure_of(other), EPROTOTYPE);
  struct one {
    int a;
  };
  struct two {
    long a;
  };
  static_assert(acre::os::layout_hash_of<one>() != acre::os::layout_hash_of<two>());
  static_assert(acre::os::layout_hash_of<one>() == acre::os::layout_hash_of<one>());
}

TEST(shared_memory, refuses_bad_names_and_sizes) {
  NEEDS_NAMES();
  for (const char* bad : {"", "/", "/a/b", "..", "/."}) {
    EXPECT_EQ(failure_of(shared_memory::create(bad, options)), EINVAL) << bad;
    EXPECT_EQ(failure_of(shared_memory::open(bad, layout)), EINVAL) << bad;
    EXPECT_EQ(shared_memory::remove(bad).error().number, EINVAL) << bad;
  }
  EXPECT_EQ(failure_of(shared_memory::create(("/" + std::string(256, 'a')).c_str(), options)),
            EINVAL);
  EXPECT_EQ(failure_of(shared_memory::prepare({})), EINVAL);
  EXPECT_EQ(failure_of(shared_memory::prepare(
                {.size_bytes = SIZE_MAX, .layout = {}, .permissions = 0600})),
            EINVAL);
  EXPECT_EQ(failure_of(shared_memory::unnamed("x", {})), EINVAL);
  EXPECT_EQ(shared_memory().publish("/a").error().number, EINVAL);
}

TEST(shared_memory, has_its_permissions_whatever_the_mask) {
  NEEDS_NAMES();
  const mode_t before = umask(077);
  const name here;
  const auto owner =
      shared_memory::create(here.c_str(), {.size_bytes = 1, .layout = layout, .permissions = 0664});
  umask(before);
  ASSERT_TRUE(owner);
  struct stat status{};
  ASSERT_EQ(fstat(owner->descriptor(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777U, 0664U);
}

TEST(shared_memory, cut_short_is_noticed_when_it_is_opened) {
  NEEDS_NAMES();
  const name here;
  const auto owner = shared_memory::create(here.c_str(), options);
  ASSERT_TRUE(owner);
  ASSERT_EQ(ftruncate(owner->descriptor(), 8192), 0);
  EXPECT_EQ(failure_of(shared_memory::open(here.c_str(), layout)), EBADMSG);
  ASSERT_EQ(ftruncate(owner->descriptor(), 10), 0);
  EXPECT_EQ(failure_of(shared_memory::open(here.c_str(), layout)), EBADMSG);
  // Put back, since closing looks at nothing in it but the sanitizer may.
  ASSERT_EQ(ftruncate(owner->descriptor(), 4096 + 10000), 0);
}

TEST(shared_memory, goes_over_a_socket) {
  std::array<int, 2> ends{};
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()), 0);
  auto made = shared_memory::unnamed("acre-test", options);
  ASSERT_TRUE(made) << made.error().message();
  ASSERT_TRUE(made->seal({.no_shrink = true, .no_grow = true}));
  made->bytes()[1] = std::byte{4};
  ASSERT_TRUE(made->send(ends[0]));
  const auto ended = in_child([&] {
    auto got =
        shared_memory::receive(ends[1], layout, segment_access::read_write, {.no_shrink = true});
    if (!got || got->bytes()[1] != std::byte{4}) return 1;
    got->bytes()[1] = std::byte{5};
    if (ftruncate(got->descriptor(), 0) == 0 || errno != EPERM) return 2;
    return got->is_owner_alive()->has_value() ? 3 : 0;
  });
  EXPECT_EQ(ended.code, 0);
  EXPECT_EQ(made->bytes()[1], std::byte{5});
  ASSERT_TRUE(made->send(ends[0]));
  const auto strict =
      shared_memory::receive(ends[1], layout, segment_access::read, {.no_write = true});
  EXPECT_EQ(failure_of(strict), EPERM);
  ASSERT_EQ(write(ends[0], "x", 1), 1);
  EXPECT_EQ(failure_of(shared_memory::receive(ends[1], layout)), EBADMSG);
  close(ends[0]);
  EXPECT_EQ(failure_of(shared_memory::receive(ends[1], layout)), EPIPE);
  EXPECT_EQ(made->send(ends[1]).error().number, EPIPE);
  close(ends[1]);
}

TEST(shared_memory, can_be_frozen) {
  auto made = shared_memory::unnamed("acre-test", options);
  ASSERT_TRUE(made);
  made->bytes()[3] = std::byte{8};
  std::byte* const place = made->bytes().data();
  auto writer = shared_memory::adopt(dup(made->descriptor()), layout);
  ASSERT_TRUE(writer);
  EXPECT_EQ(made->seal({.no_write = true}).error().number, EBUSY);
  made->bytes()[4] = std::byte{9};
  ASSERT_TRUE(writer->close());
  const auto sealed = made->seal({.no_write = true, .no_more_seals = true});
  ASSERT_TRUE(sealed) << sealed.error().message();
  EXPECT_EQ(made->bytes().data(), place);
  EXPECT_EQ(made->bytes()[4], std::byte{9});
  EXPECT_EQ(in_child([&] { return made->bytes()[4] = std::byte{1}, 0; }).signal, SIGSEGV);
  const segment_seals expected{.no_write = true, .no_more_seals = true};
  EXPECT_EQ(made->seals(), expected);
  EXPECT_EQ(made->seal({.no_grow = true}).error().number, EPERM);
  const auto reader = shared_memory::adopt(dup(made->descriptor()), layout, segment_access::read,
                                           {.no_write = true});
  ASSERT_TRUE(reader) << reader.error().message();
  EXPECT_EQ(reader->bytes()[3], std::byte{8});
  EXPECT_EQ(failure_of(shared_memory::adopt(dup(made->descriptor()), layout)), EPERM);
}

TEST(shared_memory, with_a_name_takes_no_seals) {
  NEEDS_NAMES();
  auto made = shared_memory::prepare(options);
  ASSERT_TRUE(made);
  EXPECT_EQ(made->seal({.no_shrink = true}).error().number, EPERM);
}

TEST(shared_memory, adopts_only_segments) {
  EXPECT_EQ(failure_of(shared_memory::adopt(open("/dev/null", O_RDWR | O_CLOEXEC), layout)),
            EBADMSG);
  EXPECT_EQ(failure_of(shared_memory::adopt(-1, layout)), EBADF);
}

TEST(shared_memory, passes_on_whatever_the_kernel_refuses) {
  NEEDS_NAMES();
  const name here;
  for (const auto& call :
       {calls::openat, calls::fchmod, calls::fallocate, calls::mmap, calls::fcntl, calls::linkat}) {
    acre_test::fake_kernel kernel;
    kernel.fail(call, ENOSPC);
    const auto made = shared_memory::create(here.c_str(), options);
    ASSERT_FALSE(made) << call.name;
    EXPECT_EQ(made.error().number, ENOSPC);
    EXPECT_STREQ(made.error().call, call.name);
  }
  auto owner = shared_memory::create(here.c_str(), options);
  ASSERT_TRUE(owner);
  for (const auto& call : {calls::openat, calls::fstat, calls::mmap}) {
    acre_test::fake_kernel kernel;
    kernel.fail(call, EMFILE);
    EXPECT_EQ(failure_of(shared_memory::open(here.c_str(), layout)), EMFILE) << call.name;
  }
  {
    acre_test::fake_kernel kernel;
    kernel.fail(calls::fcntl, EINVAL);
    EXPECT_EQ(owner->is_owner_alive().error().number, EINVAL);
    EXPECT_EQ(owner->seals().error().number, EINVAL);
  }
  {
    acre_test::fake_kernel kernel;
    kernel.fail(calls::unlinkat, EACCES, 1);
    EXPECT_EQ(owner->close().error().number, EACCES);
  }
  EXPECT_TRUE(shared_memory::remove(here.c_str()));
}

TEST(shared_memory, passes_on_refusals_while_replacing) {
  NEEDS_NAMES();
  const name here;
  ASSERT_EQ(in_child([&] {
              auto made = shared_memory::create(here.c_str(), options);
              return made ? kill(getpid(), SIGKILL) : 1;
            }).signal,
            SIGKILL);
  for (const auto& call : {calls::pread, calls::fstat, calls::unlinkat}) {
    acre_test::fake_kernel kernel;
    kernel.fail(call, EIO);
    const auto made = shared_memory::create(here.c_str(), options, taken_name::replace_stale);
    EXPECT_EQ(failure_of(made), EIO) << call.name;
  }
}

TEST(shared_memory, without_names_passes_on_refusals_too) {
  {
    acre_test::fake_kernel kernel;
    kernel.fail(calls::memfd_create, EINVAL, 1);
    EXPECT_TRUE(shared_memory::unnamed("acre-test", options));
    EXPECT_EQ(kernel.seen(calls::memfd_create), 2);
  }
  auto made = shared_memory::unnamed("acre-test", options);
  ASSERT_TRUE(made);
  acre_test::fake_kernel kernel;
  kernel.fail(calls::memfd_create, EMFILE);
  kernel.fail(calls::sendmsg, EINTR, 1);
  kernel.fail(calls::sendmsg, EAGAIN, 2);
  kernel.fail(calls::recvmsg, EINTR, 1);
  kernel.fail(calls::recvmsg, ECONNRESET, 2);
  EXPECT_EQ(failure_of(shared_memory::unnamed("acre-test", options)), EMFILE);
  EXPECT_EQ(made->send(-1).error().number, EAGAIN);
  EXPECT_EQ(failure_of(shared_memory::receive(-1, layout)), ECONNRESET);
  kernel.fail(calls::mmap, ENOMEM, 1);
  EXPECT_EQ(made->seal({.no_write = true}).error().number, ENOMEM);
  kernel.fail(calls::munmap, EINVAL, 1);
  EXPECT_EQ(made->close().error().number, EINVAL);
}

}  // namespace
