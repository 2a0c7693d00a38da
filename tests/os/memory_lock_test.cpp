#include <acre/os/mapping.hpp>
#include <acre/os/memory_lock.hpp>
#include <acre/os/page.hpp>

#include "os/fake_kernel.hpp"
#include "os/kernel.hpp"

#include <cerrno>
#include <cstdlib>
#include <string>

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

namespace {

using namespace acre::os;
using acre_test::fake_kernel;

const std::size_t page = page_size();

TEST(memory_lock, locks_whole_pages_for_its_life) {
  const auto pages = acre::or_throw(mapping::anonymous(4 * page));
  const std::size_t before = locked_memory().value();
  {
    auto lock = memory_lock::lock(pages.bytes().subspan(page + 5, page));
    if (!lock) GTEST_SKIP() << lock.error().message();
    EXPECT_EQ(lock->pages().data(), pages.data() + page);
    EXPECT_EQ(lock->pages().size(), 2 * page);
    EXPECT_EQ(locked_memory().value(), before + 2 * page);
    EXPECT_EQ(pages.residency().value(), (std::vector<std::uint8_t>{0, 1, 1, 0}));
    memory_lock moved = std::move(*lock);
    EXPECT_TRUE(lock->pages().empty());
    EXPECT_EQ(moved.pages().size(), 2 * page);
  }
  EXPECT_EQ(locked_memory().value(), before);
}

TEST(memory_lock, on_fault_brings_nothing_in) {
  const auto pages = acre::or_throw(mapping::anonymous(4 * page));
  const auto lock = memory_lock::lock(pages.bytes(), lock_time::on_fault);
  if (!lock) GTEST_SKIP() << lock.error().message();
  EXPECT_EQ(pages.residency().value(), (std::vector<std::uint8_t>{0, 0, 0, 0}));
}

TEST(memory_lock, release_shows_the_error_that_the_destructor_hides) {
  const auto pages = acre::or_throw(mapping::anonymous(page));
  auto lock = memory_lock::lock(pages.bytes());
  if (!lock) GTEST_SKIP() << lock.error().message();
  {
    fake_kernel kernel;
    kernel.fail(calls::munlock, ENOMEM);
    EXPECT_EQ(lock->release().error().number, ENOMEM);
    EXPECT_FALSE(lock->pages().empty());
  }
  EXPECT_TRUE(lock->release());
  EXPECT_TRUE(lock->pages().empty());
  EXPECT_TRUE(lock->release());
}

TEST(memory_lock, refuses_nothing_and_what_is_not_mapped) {
  EXPECT_EQ(memory_lock::lock({}).error().number, EINVAL);
  auto gone = acre::or_throw(mapping::anonymous(page));
  const auto place = gone.bytes();
  ASSERT_TRUE(gone.release());
  const auto lock = memory_lock::lock(place);
  ASSERT_FALSE(lock);
  EXPECT_EQ(lock.error().number, ENOMEM);
  EXPECT_NE(lock.error().message().find("not mapped"), std::string::npos);
}

/// Ends the process with 0 when locking one page too many names the limit.
void lock_beyond_the_limit() {
  const std::size_t limit_bytes = locked_memory().value_or(0) + 8 * page;
  const rlimit limit{.rlim_cur = limit_bytes, .rlim_max = limit_bytes};
  if (::setrlimit(RLIMIT_MEMLOCK, &limit) != 0) std::_Exit(1);
  // Root may lock without limit.
  if (::geteuid() == 0 && ::setuid(65534) != 0) std::_Exit(2);
  const auto pages = mapping::anonymous(16 * page);
  const auto lock = memory_lock::lock(pages->bytes());
  if (lock) std::_Exit(3);
  const std::string text = lock.error().message();
  const bool named = lock.error().value == limit_bytes &&
                     text.find("RLIMIT_MEMLOCK is " + std::to_string(limit_bytes)) != text.npos;
  if (!named) std::_Exit(4);
  const auto all = process_lock::lock();
  if (all || all.error().value != limit_bytes) std::_Exit(5);
  std::_Exit(memory_lock::lock(pages->bytes().first(page)) ? 0 : 6);
}

TEST(memory_lock, names_the_limit) {
  EXPECT_EXIT(lock_beyond_the_limit(), testing::ExitedWithCode(0), "");
}

TEST(memory_lock, passes_on_refusals) {
  const auto pages = acre::or_throw(mapping::anonymous(page));
  fake_kernel kernel;
  kernel.fail(calls::mlock, EAGAIN);
  kernel.fail(calls::mlock2, ENOSYS);
  EXPECT_EQ(memory_lock::lock(pages.bytes()).error().number, EAGAIN);
  EXPECT_EQ(memory_lock::lock(pages.bytes(), lock_time::on_fault).error().number, EOPNOTSUPP);
  kernel.fail(calls::prlimit, EPERM);
  EXPECT_EQ(memory_lock_limit().error().number, EPERM);
  kernel.fail(calls::openat, ENOENT);
  EXPECT_EQ(locked_memory().error().number, ENOENT);
}

TEST(process_lock, locks_everything) {
  // In a child, since locking all of a sanitized or instrumented program may take long.
  EXPECT_EXIT(
      {
        auto lock = process_lock::lock({.when = lock_time::on_fault});
        if (!lock) std::_Exit(0);
        const bool locked = locked_memory().value() > 0 && lock->holds();
        process_lock moved = std::move(*lock);
        const bool moved_well = !lock->holds() && moved.holds();
        const bool released = moved.release() && locked_memory().value() == 0;
        std::_Exit(locked && moved_well && released ? 0 : 1);
      },
      testing::ExitedWithCode(0), "");
}

TEST(process_lock, passes_on_refusals) {
  EXPECT_EQ(process_lock::lock({.present = false, .future = false}).error().number, EINVAL);
  fake_kernel kernel;
  kernel.fail(calls::mlockall, EINVAL, 1);
  kernel.fail(calls::mlockall, EAGAIN, 2);
  kernel.answer(calls::mlockall, 0, 3);
  kernel.fail(calls::munlockall, EPERM, 1);
  kernel.answer(calls::munlockall, 0, 2);
  EXPECT_EQ(process_lock::lock({.when = lock_time::on_fault}).error().number, EOPNOTSUPP);
  EXPECT_EQ(process_lock::lock().error().number, EAGAIN);
  auto lock = process_lock::lock();
  ASSERT_TRUE(lock);
  EXPECT_EQ(lock->release().error().number, EPERM);
  EXPECT_TRUE(lock->holds());
  EXPECT_TRUE(lock->release());
}

}  // namespace
