/// Every form of operator new and delete, and the new-handler's part in them.
///
/// The operators are called as functions, because the compiler may leave out a new-expression.
#include "support/family.hpp"
#include "support/pattern.hpp"

#include <cstdint>
#include <memory>
#include <new>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace {

using family::keep;
using family::opaque;

constexpr std::size_t impossible = SIZE_MAX / 2;
int handler_calls = 0;

void give_up_after_three() {
  if (++handler_calls == 3) std::set_new_handler(nullptr);
}

/// Installs a handler that leaves after three calls, and the old one when it dies.
class counting_handler {
 public:
  counting_handler() : previous_(std::set_new_handler(&give_up_after_three)) { handler_calls = 0; }
  counting_handler(const counting_handler&) = delete;
  counting_handler& operator=(const counting_handler&) = delete;
  ~counting_handler() { std::set_new_handler(previous_); }

 private:
  std::new_handler previous_;
};

void expect_aligned(void* block, std::size_t alignment, std::size_t size) {
  ASSERT_NE(block, nullptr);
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(block) % alignment, 0U);
  std::memset(block, 0xa5, size);
}

TEST(operator_new, plain_forms_pair_with_every_plain_delete) {
  for (std::size_t size : {std::size_t{0}, std::size_t{1}, std::size_t{16}, std::size_t{100},
                           std::size_t{5000}, std::size_t{100'000}, std::size_t{3} << 20U}) {
    for (int round = 0; round < 20; ++round) {
      void* block = ::operator new(opaque(size));
      expect_aligned(block, size >= 16 ? 16 : 1, size);
      ::operator delete(block);
      ::operator delete(::operator new(opaque(size)), size);
      ::operator delete(::operator new(opaque(size), std::nothrow), std::nothrow);
      ::operator delete[](::operator new[](opaque(size)));
      ::operator delete[](::operator new[](opaque(size)), size);
      ::operator delete[](::operator new[](opaque(size), std::nothrow), std::nothrow);
    }
  }
}

TEST(operator_new, aligned_forms_pair_with_every_aligned_delete) {
  for (std::size_t bytes = 8; bytes <= 1U << 22U; bytes *= 2) {
    const std::align_val_t alignment{bytes};
    for (std::size_t size : {std::size_t{1}, std::size_t{200}, std::size_t{70'000}}) {
      void* block = ::operator new(opaque(size), alignment);
      expect_aligned(block, bytes, size);
      ::operator delete(block, alignment);
      block = ::operator new(opaque(size), alignment, std::nothrow);
      expect_aligned(block, bytes, size);
      ::operator delete(block, alignment, std::nothrow);
      ::operator delete(::operator new(opaque(size), alignment), size, alignment);
      block = ::operator new[](opaque(size), alignment);
      expect_aligned(block, bytes, size);
      ::operator delete[](block, alignment);
      block = ::operator new[](opaque(size), alignment, std::nothrow);
      expect_aligned(block, bytes, size);
      ::operator delete[](block, alignment, std::nothrow);
      ::operator delete[](::operator new[](opaque(size), alignment), size, alignment);
    }
  }
}

TEST(operator_new, zero_bytes_give_distinct_blocks) {
  void* first = ::operator new(opaque(0));
  void* second = ::operator new(opaque(0));
  EXPECT_NE(first, nullptr);
  EXPECT_NE(first, second);
  ::operator delete(first);
  ::operator delete(second);
}

TEST(operator_new, delete_of_null_does_nothing) {
  void* const none = nullptr;
  ::operator delete(none);
  ::operator delete[](none);
  ::operator delete(none, std::size_t{8});
  ::operator delete[](none, std::size_t{8});
  ::operator delete(none, std::align_val_t{64});
  ::operator delete(none, std::size_t{8}, std::align_val_t{64});
  ::operator delete[](none, std::align_val_t{64});
  ::operator delete[](none, std::size_t{8}, std::align_val_t{64});
  ::operator delete(none, std::nothrow);
  ::operator delete[](none, std::nothrow);
}

TEST(operator_new, without_a_handler_failure_throws_bad_alloc) {
  EXPECT_THROW(keep(::operator new(opaque(impossible))), std::bad_alloc);
  EXPECT_THROW(keep(::operator new[](opaque(impossible))), std::bad_alloc);
  EXPECT_THROW(keep(::operator new(opaque(impossible), std::align_val_t{64})), std::bad_alloc);
  EXPECT_THROW(keep(::operator new[](opaque(impossible), std::align_val_t{64})), std::bad_alloc);
  EXPECT_THROW(keep(::operator new(opaque(SIZE_MAX))), std::bad_alloc);
}

TEST(operator_new, without_a_handler_nothrow_forms_give_null) {
  EXPECT_EQ(::operator new(opaque(impossible), std::nothrow), nullptr);
  EXPECT_EQ(::operator new[](opaque(impossible), std::nothrow), nullptr);
  EXPECT_EQ(::operator new(opaque(impossible), std::align_val_t{64}, std::nothrow), nullptr);
  EXPECT_EQ(::operator new[](opaque(impossible), std::align_val_t{64}, std::nothrow), nullptr);
}

TEST(operator_new, the_handler_is_called_until_there_is_none) {
  {
    const counting_handler handler;
    EXPECT_THROW(keep(::operator new(opaque(impossible))), std::bad_alloc);
    EXPECT_EQ(handler_calls, 3);
  }
  {
    const counting_handler handler;
    EXPECT_THROW(keep(::operator new[](opaque(impossible), std::align_val_t{32})), std::bad_alloc);
    EXPECT_EQ(handler_calls, 3);
  }
  {
    const counting_handler handler;
    EXPECT_EQ(::operator new(opaque(impossible), std::nothrow), nullptr);
    EXPECT_EQ(handler_calls, 3);
  }
  {
    const counting_handler handler;
    EXPECT_EQ(::operator new[](opaque(impossible), std::align_val_t{32}, std::nothrow), nullptr);
    EXPECT_EQ(handler_calls, 3);
  }
}

struct handler_error : std::bad_alloc {};

TEST(operator_new, what_the_handler_throws_reaches_the_caller) {
  const std::new_handler previous = std::set_new_handler([] { throw handler_error{}; });
  EXPECT_THROW(keep(::operator new(opaque(impossible))), handler_error);
  // A nothrow form swallows it and returns null.
  EXPECT_EQ(::operator new(opaque(impossible), std::nothrow), nullptr);
  EXPECT_EQ(::operator new[](opaque(impossible), std::align_val_t{64}, std::nothrow), nullptr);
  std::set_new_handler(previous);
}

TEST(operator_new, blocks_of_new_and_malloc_are_of_one_heap) {
  void* block = ::operator new(100);
  EXPECT_GE(family::malloc_usable_size(block), 100U);
  ::operator delete(block);
}

struct alignas(128) wide {
  char bytes[300];
};

TEST(operator_new, expressions_and_containers_work) {
  for (int round = 0; round < 100; ++round) {
    auto many = std::make_unique<wide[]>(5);
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(many.get()) % 128, 0U);
    std::vector<std::string> texts(50, std::string(100, 'x'));
    texts.resize(500);
    EXPECT_EQ(texts[49], std::string(100, 'x'));
  }
  EXPECT_THROW(std::vector<char>(opaque(impossible - 100)), std::exception);
}

}  // namespace
