#include "os/kernel.hpp"

#include "os/fake_kernel.hpp"

#include <cerrno>

#include <gtest/gtest.h>

namespace {

using acre::os::ask;
using acre::os::tell;
namespace calls = acre::os::calls;

TEST(kernel, gives_results_and_failures) {
  const auto close_nothing = tell(calls::close, -1);
  ASSERT_FALSE(close_nothing);
  EXPECT_EQ(close_nothing.error().number, EBADF);
  EXPECT_STREQ(close_nothing.error().call, "close");
  EXPECT_EQ(close_nothing.error().message(), "close: Bad file descriptor");
}

TEST(kernel, leaves_errno_alone) {
  errno = 4711;
  EXPECT_FALSE(tell(calls::close, -1));
  EXPECT_EQ(errno, 4711);
}

TEST(kernel, fails_where_the_fake_says) {
  acre_test::fake_kernel kernel;
  kernel.fail(calls::close, EIO, 2);
  kernel.answer(calls::getcpu, 17);
  EXPECT_EQ(tell(calls::close, -1).error().number, EBADF);
  EXPECT_EQ(tell(calls::close, -1).error().number, EIO);
  EXPECT_EQ(tell(calls::close, -1).error().number, EBADF);
  EXPECT_EQ(kernel.seen(calls::close), 3);
  EXPECT_EQ(ask(calls::getcpu, 0, 0, 0).value(), 17);
}

TEST(kernel, is_real_again_when_the_fake_is_gone) {
  {
    acre_test::fake_kernel kernel;
    kernel.fail(calls::close, EIO);
    EXPECT_EQ(tell(calls::close, -1).error().number, EIO);
  }
  EXPECT_EQ(tell(calls::close, -1).error().number, EBADF);
}

TEST(failure, says_what_is_behind_it) {
  const acre::failure refused{
      .number = ENOMEM, .call = "mlock", .why = "the limit is % bytes", .value = 65536};
  EXPECT_EQ(refused.message(), "mlock: Cannot allocate memory (the limit is 65536 bytes)");
}

TEST(failure, becomes_an_exception_on_demand) {
  EXPECT_EQ(acre::or_throw(acre::result<int>(7)), 7);
  try {
    acre::or_throw(acre::result<void>(std::unexpect, acre::failure{EACCES, "open"}));
    FAIL() << "nothing was thrown";
  } catch (const std::system_error& error) {
    EXPECT_EQ(error.code().value(), EACCES);
    EXPECT_NE(std::string(error.what()).find("open: Permission denied"), std::string::npos);
  }
}

}  // namespace
