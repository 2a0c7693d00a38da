#include <acre/os/file_mapping.hpp>
#include <acre/os/guarded_copy.hpp>
#include <acre/os/page.hpp>

#include "os/fake_kernel.hpp"
#include "os/fault_copy.hpp"
#include "os/kernel.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <csetjmp>
#include <csignal>
#include <cstdlib>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

namespace {

using namespace acre::os;
using acre_test::fake_kernel;

const std::size_t page = page_size();

/// A file that is gone when the test is over, with bytes 0, 1, 2, … modulo 251.
class scratch_file {
 public:
  explicit scratch_file(std::size_t size_bytes) : path_(make_name()) {
    descriptor_ = ::mkostemp(path_.data(), O_CLOEXEC);
    std::vector<char> contents(size_bytes);
    for (std::size_t i = 0; i < size_bytes; ++i)
      contents[i] = static_cast<char>(i % 251);
    if (descriptor_ < 0 ||
        ::write(descriptor_, contents.data(), size_bytes) != static_cast<ssize_t>(size_bytes)) {
      throw std::system_error(errno, std::system_category(), path_);
    }
  }
  ~scratch_file() {
    ::close(descriptor_);
    ::unlink(path_.c_str());
  }
  scratch_file(const scratch_file&) = delete;
  scratch_file& operator=(const scratch_file&) = delete;

  [[nodiscard]] const char* path() const { return path_.c_str(); }
  [[nodiscard]] int descriptor() const { return descriptor_; }
  [[nodiscard]] int byte_at(std::size_t offset) const {
    unsigned char byte = 0;
    return ::pread(descriptor_, &byte, 1, static_cast<off_t>(offset)) == 1 ? byte : -1;
  }
  [[nodiscard]] std::size_t size() const {
    struct stat facts{};
    ::fstat(descriptor_, &facts);
    return static_cast<std::size_t>(facts.st_size);
  }
  void truncate(std::size_t size_bytes) const {
    ASSERT_EQ(::ftruncate(descriptor_, static_cast<off_t>(size_bytes)), 0);
  }

 private:
  static std::string make_name() { return testing::TempDir() + "acre-file-mapping-XXXXXX"; }

  std::string path_;
  int descriptor_ = -1;
};

int number_of(const auto& outcome) {
  return outcome ? 0 : outcome.error().number;
}

TEST(file_mapping, maps_any_offset) {
  const scratch_file file(3 * page + 100);
  for (const std::size_t offset : {std::size_t{0}, std::size_t{1}, page - 1, page, 2 * page + 77}) {
    const auto made =
        file_mapping::open(file.path(), file_access::read_only, {.offset_bytes = offset});
    ASSERT_TRUE(made) << made.error().message();
    EXPECT_EQ(made->size(), 3 * page + 100 - offset);
    EXPECT_EQ(made->offset(), offset);
    EXPECT_EQ(static_cast<std::size_t>(made->bytes().front()), offset % 251);
    EXPECT_EQ(static_cast<std::size_t>(made->bytes().back()), (3 * page + 99) % 251);
  }
  const auto part = file_mapping::open(file.path(), file_access::read_only,
                                       {.offset_bytes = 5, .size_bytes = 10});
  EXPECT_EQ(part->size(), 10U);
}

TEST(file_mapping, refuses_parts_outside_the_file) {
  const scratch_file file(100);
  const auto number = [&file](file_part part) {
    return number_of(file_mapping::open(file.path(), file_access::read_only, part));
  };
  EXPECT_EQ(number({.offset_bytes = 100}), 0) << "an empty part at the end";
  EXPECT_EQ(number({.offset_bytes = 101}), EINVAL);
  EXPECT_EQ(number({.size_bytes = 101}), EINVAL);
  EXPECT_EQ(number({.offset_bytes = 50, .size_bytes = 51}), EINVAL);
  EXPECT_EQ(number({.offset_bytes = 50, .size_bytes = SIZE_MAX - 10}), EINVAL);
  EXPECT_EQ(number_of(file_mapping::open("/nowhere/at/all", file_access::read_only)), ENOENT);
  EXPECT_EQ(number_of(file_mapping::open("/dev/zero", file_access::read_only)), EINVAL);
  EXPECT_EQ(number_of(file_mapping::of(-1, file_access::read_only)), EBADF);
  EXPECT_EQ(number_of(file_mapping::open("/tmp", file_access::read_only, {.size_bytes = 10})),
            ENODEV);
}

TEST(file_mapping, writes_go_to_the_file_or_stay) {
  const scratch_file file(page);
  auto shared = file_mapping::open(file.path(), file_access::read_write, {.offset_bytes = 10});
  auto copy = file_mapping::open(file.path(), file_access::copy_on_write);
  ASSERT_TRUE(shared);
  ASSERT_TRUE(copy);
  shared->data()[0] = std::byte{200};
  copy->data()[20] = std::byte{201};
  EXPECT_EQ(file.byte_at(10), 200);
  EXPECT_EQ(file.byte_at(20), 20);
  EXPECT_EQ(copy->data()[20], std::byte{201});
}

TEST(file_mapping, copies_on_write_what_may_only_be_read) {
  const scratch_file file(page);
  const int reading = ::open(file.path(), O_RDONLY | O_CLOEXEC);
  auto copy = file_mapping::of(reading, file_access::copy_on_write);
  ASSERT_TRUE(copy);
  copy->data()[0] = std::byte{1};
  EXPECT_EQ(number_of(file_mapping::of(reading, file_access::read_write)), EACCES);
  ::close(reading);
  EXPECT_EQ(copy->data()[1], std::byte{1}) << "it has a descriptor of its own";
}

TEST(file_mapping, an_empty_file_is_open_and_can_grow) {
  const scratch_file file(0);
  auto made = file_mapping::open(file.path(), file_access::read_write);
  ASSERT_TRUE(made) << made.error().message();
  EXPECT_TRUE(made->is_open());
  EXPECT_TRUE(made->empty());
  EXPECT_EQ(made->data(), nullptr);
  EXPECT_TRUE(made->sync());
  std::array<std::byte, 4> buffer{};
  EXPECT_EQ(made->guarded_read(0, buffer), 0U);
  ASSERT_TRUE(made->resize(10));
  made->data()[9] = std::byte{9};
  EXPECT_EQ(file.size(), 10U);
  EXPECT_EQ(file.byte_at(9), 9);
  ASSERT_TRUE(made->resize(0));
  EXPECT_EQ(made->data(), nullptr);
  EXPECT_EQ(file.size(), 0U);
}

TEST(file_mapping, grows_and_shrinks_with_its_file) {
  const scratch_file file(100);
  auto made = file_mapping::open(file.path(), file_access::read_write, {.offset_bytes = 50});
  ASSERT_TRUE(made);
  for (const file_space space : {file_space::sparse, file_space::reserved}) {
    const auto grown = made->resize(5 * page, resize_policy::may_move, space);
    if (number_of(grown) == EOPNOTSUPP) continue;
    ASSERT_TRUE(grown) << grown.error().message();
    EXPECT_EQ(file.size(), 5 * page + 50);
    EXPECT_EQ(made->data()[0], std::byte{50});
    made->bytes().back() = std::byte{77};
    EXPECT_EQ(file.byte_at(5 * page + 49), 77);
    ASSERT_TRUE(made->resize(10));
    EXPECT_EQ(file.size(), 60U);
    EXPECT_EQ(made->size(), 10U);
  }
}

TEST(file_mapping, does_not_cut_off_what_is_behind_its_part) {
  const scratch_file file(100);
  auto made = file_mapping::open(file.path(), file_access::read_write, {.size_bytes = 50});
  ASSERT_TRUE(made);
  EXPECT_EQ(number_of(made->resize(60)), EINVAL);
  EXPECT_EQ(file.size(), 100U);
}

TEST(file_mapping, follows_a_file_that_others_change) {
  const scratch_file file(100);
  auto made = file_mapping::open(file.path(), file_access::read_only, {.offset_bytes = 10});
  ASSERT_TRUE(made);
  EXPECT_EQ(number_of(made->resize(200)), EACCES);
  file.truncate(3 * page);
  ASSERT_TRUE(made->follow());
  EXPECT_EQ(made->size(), 3 * page - 10);
  EXPECT_EQ(made->bytes().back(), std::byte{0});
  file.truncate(5);
  ASSERT_TRUE(made->follow());
  EXPECT_TRUE(made->empty());
}

TEST(file_mapping, creates_files) {
  const std::string path = testing::TempDir() + "acre-created-" + std::to_string(::getpid());
  {
    auto made = file_mapping::create(path.c_str(), 1000);
    ASSERT_TRUE(made) << made.error().message();
    made->data()[999] = std::byte{1};
    EXPECT_EQ(number_of(file_mapping::create(path.c_str(), 1000)), EEXIST);
    EXPECT_TRUE(made->close());
  }
  EXPECT_EQ(file_mapping::open(path.c_str(), file_access::read_only)->size(), 1000U);
  ::unlink(path.c_str());
  fake_kernel kernel;
  kernel.fail(calls::fallocate, ENOSPC);
  EXPECT_EQ(number_of(file_mapping::create(path.c_str(), 1000, file_space::reserved)), ENOSPC);
  EXPECT_NE(::access(path.c_str(), F_OK), 0) << "the failed file is removed";
}

TEST(file_mapping, syncs_ranges) {
  const scratch_file file(3 * page);
  auto made = file_mapping::open(file.path(), file_access::read_write, {.offset_bytes = 100});
  ASSERT_TRUE(made);
  made->data()[0] = std::byte{1};
  EXPECT_TRUE(made->sync());
  EXPECT_TRUE(made->sync({.offset_bytes = page, .size_bytes = 1}));
  EXPECT_TRUE(made->sync({.offset_bytes = page}, sync_until::started));
  EXPECT_EQ(number_of(made->sync({.offset_bytes = 3 * page})), EINVAL);
  EXPECT_EQ(number_of(made->sync({.size_bytes = 3 * page})), EINVAL);
  const auto copy = file_mapping::open(file.path(), file_access::copy_on_write);
  EXPECT_EQ(number_of(file_mapping::open(file.path(), file_access::copy_on_write)->sync()), EINVAL);
  EXPECT_TRUE(file_mapping::open(file.path(), file_access::read_only)->sync());
}

TEST(file_mapping, syncs_whole_pages_and_passes_on_refusals) {
  const scratch_file file(3 * page);
  auto made = file_mapping::open(file.path(), file_access::read_write);
  fake_kernel kernel;
  static call_arguments seen{};
  kernel.listen(calls::msync, [](long, const call_arguments& arguments) noexcept -> long {
    seen = arguments;
    return -EIO;
  });
  kernel.fail(calls::sync_file_range, ENOSPC);
  const auto outcome = made->sync({.offset_bytes = page + 5, .size_bytes = 10});
  EXPECT_EQ(number_of(outcome), EIO);
  EXPECT_EQ(seen[0], static_cast<long>(reinterpret_cast<std::uintptr_t>(made->data() + page)));
  EXPECT_EQ(seen[1], 15);
  EXPECT_EQ(number_of(made->sync({}, sync_until::started)), ENOSPC);
}

TEST(file_mapping, passes_on_every_refusal) {
  const scratch_file file(page);
  const auto open = [&file] {
    return number_of(file_mapping::open(file.path(), file_access::read_write));
  };
  for (const auto& call : {calls::openat, calls::fstat, calls::mmap}) {
    fake_kernel kernel;
    kernel.fail(call, EMFILE);
    EXPECT_EQ(open(), EMFILE) << call.name;
  }
  fake_kernel kernel;
  kernel.fail(calls::openat, EINTR, 1);
  kernel.fail(calls::fcntl, EMFILE);
  kernel.fail(calls::ftruncate, EINTR, 1);
  kernel.fail(calls::ftruncate, EFBIG, 2);
  kernel.fail(calls::mremap, ENOMEM);
  EXPECT_EQ(open(), 0) << "an interrupted open is tried again";
  EXPECT_EQ(number_of(file_mapping::of(file.descriptor(), file_access::read_only)), EMFILE);
  auto made = file_mapping::open(file.path(), file_access::read_write);
  EXPECT_EQ(number_of(made->resize(2 * page)), EFBIG);
  EXPECT_EQ(number_of(made->resize(2 * page)), ENOMEM);
  EXPECT_EQ(made->size(), page);
}

TEST(file_mapping, moved_from_and_closed_are_empty) {
  const scratch_file file(page);
  auto made = file_mapping::open(file.path(), file_access::read_write);
  file_mapping moved = std::move(*made);
  EXPECT_FALSE(made->is_open());
  EXPECT_EQ(made->data(), nullptr);
  EXPECT_EQ(made->size(), 0U);
  EXPECT_TRUE(made->close()) << "closing nothing is fine";
  EXPECT_EQ(number_of(made->resize(10)), EACCES);
  EXPECT_TRUE(moved.close());
  EXPECT_FALSE(moved.is_open());
  EXPECT_TRUE(moved.empty());
}

TEST(file_mapping, close_tells_what_the_destructor_hides) {
  const scratch_file file(page);
  {
    auto made = file_mapping::open(file.path(), file_access::read_write);
    fake_kernel kernel;
    kernel.fail(calls::close, EIO, 1);
    EXPECT_EQ(number_of(made->close()), EIO);
    EXPECT_FALSE(made->is_open());
  }
  auto made = file_mapping::open(file.path(), file_access::read_write);
  const auto pages = made->bytes();
  fake_kernel kernel;
  kernel.fail(calls::munmap, ENOMEM, 1);
  EXPECT_EQ(number_of(made->close()), ENOMEM);
  EXPECT_EQ(made->data(), nullptr);
  ::munmap(pages.data(), page);
}

// Truncation.

TEST(guarded_copy, copies) {
  std::vector<std::byte> from(10'000);
  for (std::size_t i = 0; i < from.size(); ++i)
    from[i] = static_cast<std::byte>(i * 7);
  std::vector<std::byte> to(from.size());
  for (const std::size_t size : {0U, 1U, 7U, 4096U, 10'000U}) {
    std::ranges::fill(to, std::byte{});
    EXPECT_EQ(guarded_copy(std::span(to).first(size), from), size);
    EXPECT_TRUE(std::equal(from.begin(), from.begin() + static_cast<long>(size), to.begin()));
  }
  EXPECT_EQ(guarded_copy(to, std::span(from).first(5)), 5U);
}

TEST(guarded_copy, tells_where_a_file_ends) {
  const scratch_file file(4 * page);
  auto made = file_mapping::open(file.path(), file_access::read_write);
  ASSERT_TRUE(made);
  file.truncate(page);
  std::vector<std::byte> to(4 * page);
  const auto copied = guarded_copy(to, made->bytes());
  ASSERT_FALSE(copied);
  EXPECT_EQ(copied.error().number, EIO);
  EXPECT_EQ(copied.error().value, page);
  EXPECT_TRUE(std::equal(to.begin(), to.begin() + static_cast<long>(page), made->data()));
  EXPECT_EQ(guarded_copy(made->bytes().subspan(page), to).error().value, 0U) << "as a target too";
}

TEST(guarded_copy, through_the_kernel_is_the_same) {
  const scratch_file file(4 * page);
  auto made = file_mapping::open(file.path(), file_access::read_write);
  std::vector<std::byte> to(4 * page);
  EXPECT_EQ(copy_through_kernel(to.data(), made->data(), to.size()).copied_bytes, to.size());
  EXPECT_TRUE(std::ranges::equal(to, made->bytes()));
  file.truncate(page);
  const auto cut = copy_through_kernel(to.data(), made->data(), to.size());
  EXPECT_EQ(cut.copied_bytes, page);
  EXPECT_EQ(cut.fault, EIO);
  EXPECT_EQ(copy_through_kernel(made->data() + page, to.data(), 10).fault, EIO);
  fake_kernel kernel;
  kernel.fail(calls::process_vm_readv, EPERM);
  EXPECT_EQ(copy_through_kernel(to.data(), made->data(), 1).fault, EPERM);
}

TEST(file_mapping, reads_and_writes_guarded) {
  const scratch_file file(4 * page);
  auto made = file_mapping::open(file.path(), file_access::read_write, {.offset_bytes = 100});
  ASSERT_TRUE(made);
  std::array<std::byte, 10> buffer{};
  EXPECT_EQ(made->guarded_read(1, buffer), 10U);
  EXPECT_EQ(buffer[0], std::byte{101});
  buffer[0] = std::byte{250};
  EXPECT_EQ(made->guarded_write(1, buffer), 10U);
  EXPECT_EQ(file.byte_at(101), 250);
  EXPECT_EQ(made->guarded_read(made->size() - 4, buffer), 4U) << "up to the end";
  EXPECT_EQ(number_of(made->guarded_read(made->size() + 1, buffer)), EINVAL);
  EXPECT_EQ(number_of(made->guarded_write(made->size() + 1, buffer)), EINVAL);

  file.truncate(2 * page);
  EXPECT_EQ(made->guarded_read(0, buffer), 10U);
  EXPECT_EQ(number_of(made->guarded_read(3 * page, buffer)), EIO);
  EXPECT_EQ(number_of(made->guarded_write(3 * page, buffer)), EIO);
  file.truncate(page + 50);
  EXPECT_EQ(number_of(made->guarded_read(page, buffer)), EIO)
      << "zeros behind the end in the last page are no contents";
  fake_kernel kernel;
  kernel.fail(calls::fstat, EIO);
  EXPECT_EQ(number_of(made->guarded_read(0, buffer)), EIO);
}

TEST(file_mapping, read_only_ones_cannot_be_written_guarded) {
  const scratch_file file(page);
  auto made = file_mapping::open(file.path(), file_access::read_only);
  std::array<std::byte, 10> buffer{};
  EXPECT_EQ(number_of(made->guarded_write(0, buffer)), EACCES);
}

TEST(guarded_copy, works_in_many_threads_at_once) {
  const scratch_file file(8 * page);
  auto made = file_mapping::open(file.path(), file_access::read_only);
  ASSERT_TRUE(made);
  file.truncate(page);
  std::atomic<int> wrong{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&made, &wrong] {
      std::vector<std::byte> to(2 * page);
      for (int round = 0; round < 300; ++round) {
        if (!made->guarded_read(0, std::span(to).first(page))) ++wrong;
        if (number_of(made->guarded_read(page, to)) != EIO) ++wrong;
        if (number_of(made->guarded_read(0, to)) != EIO) ++wrong;
      }
    });
  }
  for (auto& thread : threads)
    thread.join();
  EXPECT_EQ(wrong.load(), 0);
}

// Handlers of the program's own. Each runs in a program started anew, where no guarded copy has
// been made before.

#if defined(__x86_64__)

class guarded_copy_death : public testing::Test {
 protected:
  void SetUp() override { GTEST_FLAG_SET(death_test_style, "threadsafe"); }
  void TearDown() override { GTEST_FLAG_SET(death_test_style, "fast"); }
};

sigjmp_buf jump_back;
volatile sig_atomic_t own_signals = 0;

void count_and_jump(int) {
  own_signals = own_signals + 1;
  ::siglongjmp(jump_back, 1);
}

void count_and_step_over(int, siginfo_t* info, void*) {
  own_signals = own_signals + (info->si_code == BUS_ADRERR ? 1 : 0);
  ::siglongjmp(jump_back, 1);
}

/// Installs the handler, makes a guarded copy fail, then touches the missing page itself.
int guarded_then_own(const struct sigaction& action) {
  ::sigaction(SIGBUS, &action, nullptr);
  const scratch_file file(2 * page);
  auto made = file_mapping::open(file.path(), file_access::read_only);
  ::unlink(file.path());  // here, as the signal that is expected may end the process
  file.truncate(0);
  std::array<std::byte, 10> buffer{};
  for (int round = 1; round <= 3; ++round) {
    if (number_of(made->guarded_read(page, buffer)) != EIO) return 1;
    if (::sigsetjmp(jump_back, 1) == 0) {
      static_cast<void>(*static_cast<volatile std::byte*>(made->data() + page));
      return 2;
    }
    if (own_signals != round) return 3;
  }
  return 0;
}

TEST_F(guarded_copy_death, leaves_other_faults_to_the_program_s_handler) {
  EXPECT_EXIT(
      {
        struct sigaction action{};
        action.sa_handler = &count_and_jump;
        std::_Exit(guarded_then_own(action));
      },
      testing::ExitedWithCode(0), "");
  EXPECT_EXIT(
      {
        struct sigaction action{};
        action.sa_sigaction = &count_and_step_over;
        action.sa_flags = SA_SIGINFO | SA_NODEFER;
        std::_Exit(guarded_then_own(action));
      },
      testing::ExitedWithCode(0), "");
}

TEST_F(guarded_copy_death, leaves_other_faults_to_the_default) {
  EXPECT_EXIT(
      {
        struct sigaction action{};
        action.sa_handler = SIG_DFL;
        guarded_then_own(action);
      },
      testing::KilledBySignal(SIGBUS), "");
}

TEST_F(guarded_copy_death, a_fault_is_not_ignored) {
  EXPECT_EXIT(
      {
        struct sigaction action{};
        action.sa_handler = SIG_IGN;
        guarded_then_own(action);
      },
      testing::KilledBySignal(SIGBUS), "");
}

TEST_F(guarded_copy_death, a_handler_for_one_signal_has_one) {
  EXPECT_EXIT(
      {
        struct sigaction action{};
        action.sa_handler = &count_and_jump;
        action.sa_flags = static_cast<int>(SA_RESETHAND);
        guarded_then_own(action);
      },
      testing::KilledBySignal(SIGBUS), "");
}

TEST_F(guarded_copy_death, sent_signals_are_treated_as_before) {
  EXPECT_EXIT(
      {
        struct sigaction action{};
        action.sa_handler = SIG_IGN;
        ::sigaction(SIGBUS, &action, nullptr);
        const bool ready = prepare_guarded_copies().has_value();
        ::raise(SIGBUS);
        std::_Exit(ready ? 0 : 1);
      },
      testing::ExitedWithCode(0), "");
  EXPECT_EXIT(
      {
        struct sigaction action{};
        action.sa_handler = SIG_DFL;
        ::sigaction(SIGBUS, &action, nullptr);
        static_cast<void>(prepare_guarded_copies());
        ::raise(SIGBUS);
        std::_Exit(0);
      },
      testing::KilledBySignal(SIGBUS), "");
}

#endif

}  // namespace
