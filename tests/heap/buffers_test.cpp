/// Buffers of 64 KiB to 1 MiB that come and go at random find pages that are resident.
#include "support/family.hpp"
#include "support/random.hpp"
#include "support/sanitizer.hpp"

#include <cstddef>
#include <vector>

#include <gtest/gtest.h>
#include <sys/resource.h>

namespace {

long faults() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return usage.ru_minflt;
}

class buffers {
 public:
  buffers(std::size_t count, std::size_t least, std::size_t most)
      : blocks_(count), least_(least), most_(most) {}
  buffers(const buffers&) = delete;
  buffers& operator=(const buffers&) = delete;
  ~buffers() {
    for (void* block : blocks_)
      family::free(block);
  }

  void replace(int times) {
    constexpr std::size_t page = 4096;
    for (; times > 0; --times) {
      void*& block = blocks_[random_.below(blocks_.size())];
      family::free(block);
      const std::size_t size = least_ + random_.below(most_ - least_);
      block = family::malloc(size);
      ASSERT_NE(block, nullptr);
      for (std::size_t at = 0; at < size; at += page)
        static_cast<volatile unsigned char*>(block)[at] = 1;
    }
  }

 private:
  std::vector<void*> blocks_;
  std::size_t least_, most_;
  acre_test::random_source random_{1};
};

TEST(buffers, that_are_replaced_at_random_are_not_faulted_in_again) {
  if (acre_test::is_sanitized) GTEST_SKIP() << "a sanitizer touches pages of its own";
  if (!family::is_acre()) GTEST_SKIP() << "only Acre promises it";
  buffers some(200, 65'000, 165'000);
  some.replace(4000);
  const long before = faults();
  some.replace(4000);
  // Of 28 pages each: one in a hundred. Two or three each are what this was made against.
  EXPECT_LT(faults() - before, 4000 * 28 / 100);
}

}  // namespace
