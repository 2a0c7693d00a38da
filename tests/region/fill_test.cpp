/// Fill patterns of checked builds: fresh memory is not zero by luck, freed memory not what it was.
#include <acre/region/arena.hpp>
#include <acre/region/pool.hpp>
#include <acre/region/shared_pool.hpp>
#include <acre/region/stack.hpp>

#include "support/pattern.hpp"
#include "support/sanitizer.hpp"

#include <cstddef>

#include <gtest/gtest.h>

namespace {

using namespace acre::region;

constexpr std::size_t block_bytes = 64;
constexpr unsigned char fresh = 0xcd;
constexpr unsigned char freed = 0xdd;

class fills : public testing::Test {
 protected:
  void SetUp() override {
    if (!ACRE_CHECKS) GTEST_SKIP() << "this build does not check contracts";
  }

  static void expect_fresh(const void* data) {
    EXPECT_TRUE(acre_test::holds_only(data, block_bytes, fresh));
  }
  /// The first two words of a free block may be links, the last one of a pool's is its state.
  static void expect_freed(const std::byte* data) {
    if (acre_test::is_sanitized) return;  // it may not be read at all
    EXPECT_TRUE(acre_test::holds_only(data + 16, block_bytes - 16, freed));
  }
};

TEST_F(fills, arenas) {
  arena tested;
  auto* const data = static_cast<std::byte*>(tested.allocate(block_bytes));
  expect_fresh(data);
  tested.deallocate(data, block_bytes);
  expect_freed(data);
  const arena::marker before = tested.mark();
  auto* const rolled_back = static_cast<std::byte*>(tested.allocate(block_bytes));
  expect_fresh(rolled_back);
  tested.rollback(before);
  expect_freed(rolled_back);
  auto* const large = static_cast<std::byte*>(tested.allocate(300'000));
  expect_fresh(large + 299'900);
  tested.deallocate(large, 300'000);
  expect_freed(large + 299'900);
  tested.reset();
  expect_freed(data);
}

TEST_F(fills, pools) {
  pool tested({.block_bytes = block_bytes});
  auto* const data = static_cast<std::byte*>(tested.allocate());
  expect_fresh(data);
  tested.deallocate(data);
  expect_freed(data);
  EXPECT_EQ(tested.allocate(), data);
  expect_fresh(data);
  tested.release();
}

TEST_F(fills, shared_pools) {
  shared_pool tested({.block_bytes = block_bytes});
  auto* const data = static_cast<std::byte*>(tested.allocate());
  expect_fresh(data);
  tested.deallocate(data);
  expect_freed(data);
}

TEST_F(fills, stacks) {
  stack_resource tested;
  auto* const data = static_cast<std::byte*>(tested.allocate(block_bytes));
  expect_fresh(data);
  tested.deallocate(data, block_bytes);
  expect_freed(data);
}

}  // namespace
