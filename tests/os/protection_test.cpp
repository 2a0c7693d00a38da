#include <acre/os/mapping.hpp>
#include <acre/os/page.hpp>
#include <acre/os/protection.hpp>

#include "os/fake_kernel.hpp"
#include "os/fault.hpp"
#include "os/kernel.hpp"

#include <atomic>
#include <cerrno>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

namespace {

using namespace acre::os;
using acre_test::fake_kernel;
using acre_test::fault_at;
using acre_test::fault_writing;

const std::size_t page = page_size();

mapping some_pages(std::size_t count) {
  return acre::or_throw(mapping::anonymous(count * page));
}

TEST(protection, is_writable_inside_a_scope_only) {
  const mapping pages = some_pages(2);
  pages.data()[0] = std::byte{1};
  {
    auto guarded = protection::over(pages.bytes(), page_access::read);
    ASSERT_TRUE(guarded);
    EXPECT_EQ(guarded->means(), protection_means::pages) << "a key cannot leave reading to all";
    EXPECT_FALSE(fault_at(pages.data()));
    EXPECT_TRUE(fault_writing(pages.data()));
    {
      const auto open = guarded->open();
      ASSERT_TRUE(open);
      pages.data()[0] = std::byte{2};
    }
    EXPECT_TRUE(fault_writing(pages.data()));
    EXPECT_EQ(pages.data()[0], std::byte{2});
  }
  EXPECT_FALSE(fault_writing(pages.data())) << "as it was, when the protection is gone";
}

TEST(protection, closes_with_the_last_scope) {
  const mapping pages = some_pages(1);
  auto guarded = protection::over(pages.bytes(), page_access::none, protection_choice::pages_only);
  ASSERT_TRUE(guarded);
  EXPECT_TRUE(fault_at(pages.data()));
  std::optional<protection::scope> first = std::move(*guarded->open());
  auto second = guarded->open();
  first.reset();
  EXPECT_FALSE(fault_writing(pages.data()));
  EXPECT_TRUE(second->close());
  EXPECT_TRUE(fault_at(pages.data()));
  EXPECT_TRUE(second->close()) << "closing what is closed is fine";
}

TEST(protection, opens_in_many_threads) {
  const mapping pages = some_pages(1);
  auto guarded = protection::over(pages.bytes(), page_access::read, protection_choice::pages_only);
  std::atomic<int> wrong{0};
  std::vector<std::thread> threads;
  for (std::size_t i = 0; i < 4; ++i) {
    threads.emplace_back([&, i] {
      for (int round = 0; round < 200; ++round) {
        const auto open = guarded->open();
        if (!open) {
          ++wrong;
        } else {
          pages.data()[64 * i] = static_cast<std::byte>(round);
        }
      }
    });
  }
  for (auto& thread : threads)
    thread.join();
  EXPECT_EQ(wrong.load(), 0);
  EXPECT_TRUE(fault_writing(pages.data()));
}

TEST(protection, refuses_what_cannot_be) {
  const mapping pages = some_pages(1);
  EXPECT_EQ(protection::over({}, page_access::none).error().number, EINVAL);
  EXPECT_EQ(protection::over(pages.bytes().first(10), page_access::none).error().number, EINVAL);
  EXPECT_EQ(protection::over(pages.bytes(), page_access::read_write).error().number, EINVAL);
  EXPECT_EQ(protection::over(pages.bytes(), page_access::read, protection_choice::key_only)
                .error()
                .number,
            EOPNOTSUPP);
  protection none;
  EXPECT_TRUE(none.empty());
  EXPECT_EQ(none.open().error().number, EINVAL);
  EXPECT_TRUE(none.release());
}

TEST(protection, is_not_made_when_the_pages_cannot_be_closed) {
  const mapping pages = some_pages(1);
  fake_kernel kernel;
  kernel.fail(calls::mprotect, ENOMEM);
  EXPECT_EQ(protection::over(pages.bytes(), page_access::read).error().number, ENOMEM);
  EXPECT_FALSE(fault_writing(pages.data()));
}

TEST(protection, a_scope_tells_when_it_cannot_close) {
  const mapping pages = some_pages(1);
  auto guarded = protection::over(pages.bytes(), page_access::none, protection_choice::pages_only);
  {
    fake_kernel kernel;
    kernel.fail(calls::mprotect, EACCES, 1);
    kernel.fail(calls::mprotect, ENOMEM, 3);
    EXPECT_EQ(guarded->open().error().number, EACCES);
    auto open = guarded->open();
    ASSERT_TRUE(open);
    EXPECT_EQ(open->close().error().number, ENOMEM);
    EXPECT_FALSE(fault_at(pages.data()));
  }
  EXPECT_TRUE(fault_at(pages.data())) << "the destructor has tried again";
  fake_kernel kernel;
  kernel.fail(calls::mprotect, ENOMEM, 1);
  EXPECT_EQ(guarded->release().error().number, ENOMEM);
  EXPECT_TRUE(guarded->empty());
}

TEST(protection, says_when_there_are_no_keys) {
  const mapping pages = some_pages(1);
  fake_kernel kernel;
  kernel.fail(calls::pkey_alloc, EINVAL);
  EXPECT_FALSE(protection_keys_work());
  EXPECT_EQ(protection::over(pages.bytes(), page_access::none, protection_choice::key_only)
                .error()
                .number,
            EOPNOTSUPP);
  EXPECT_EQ(protection::over(pages.bytes(), page_access::none)->means(), protection_means::pages);
}

// Keys of the processor; few have them.

class protection_key : public testing::Test {
 protected:
  void SetUp() override {
    if (!protection_keys_work()) GTEST_SKIP() << "this processor or kernel has no protection keys";
  }
};

TEST_F(protection_key, opens_for_one_thread) {
  const mapping pages = some_pages(1);
  auto guarded = protection::over(pages.bytes(), page_access::none);
  ASSERT_TRUE(guarded);
  EXPECT_EQ(guarded->means(), protection_means::key);
  EXPECT_TRUE(fault_at(pages.data()));
  std::atomic<int> step{0};
  bool other_faults = false;
  std::thread other([&] {
    while (step.load() != 1)
      std::this_thread::yield();
    other_faults = fault_at(pages.data());
    step = 2;
  });
  {
    const auto open = guarded->open();
    pages.data()[0] = std::byte{1};
    step = 1;
    while (step.load() != 2)
      std::this_thread::yield();
  }
  other.join();
  EXPECT_TRUE(other_faults);
  EXPECT_TRUE(fault_at(pages.data()));
  EXPECT_TRUE(guarded->release());
  EXPECT_FALSE(fault_writing(pages.data()));
}

TEST_F(protection_key, closes_with_the_thread_s_last_scope) {
  const mapping pages = some_pages(1);
  auto guarded = protection::over(pages.bytes(), page_access::none, protection_choice::key_only);
  ASSERT_TRUE(guarded);
  std::optional<protection::scope> first = std::move(*guarded->open());
  auto second = guarded->open();
  first.reset();
  EXPECT_FALSE(fault_writing(pages.data()));
  EXPECT_TRUE(second->close());
  EXPECT_TRUE(fault_at(pages.data()));
}

TEST_F(protection_key, runs_out_and_comes_back) {
  const mapping pages = some_pages(32);
  std::vector<protection> all;
  for (std::size_t i = 0; i < 32; ++i) {
    auto one = protection::over(pages.bytes().subspan(i * page, page), page_access::none,
                                protection_choice::key_only);
    if (!one) {
      EXPECT_EQ(one.error().number, ENOSPC);
      break;
    }
    all.push_back(std::move(*one));
  }
  EXPECT_GT(all.size(), 0U);
  EXPECT_LT(all.size(), 16U);
  auto more = protection::over(pages.bytes().last(page), page_access::none);
  ASSERT_TRUE(more);
  EXPECT_EQ(more->means(), protection_means::pages) << "the best that is left";
  all.clear();
  EXPECT_TRUE(protection_keys_work());
}

TEST_F(protection_key, passes_on_refusals) {
  const mapping pages = some_pages(1);
  fake_kernel kernel;
  kernel.fail(calls::pkey_mprotect, ENOMEM, 1);
  EXPECT_EQ(protection::over(pages.bytes(), page_access::none, protection_choice::key_only)
                .error()
                .number,
            ENOMEM);
  auto guarded = protection::over(pages.bytes(), page_access::none, protection_choice::key_only);
  ASSERT_TRUE(guarded);
  kernel.fail(calls::pkey_free, EINVAL);
  EXPECT_EQ(guarded->release().error().number, EINVAL);
}

}  // namespace
