/// Copies, fills and comparisons agree with the C library's at every size and alignment, touch
/// nothing beside their ranges, and refuse what does not fit.
#include <acre/bytes/compare.hpp>
#include <acre/bytes/copy.hpp>
#include <acre/bytes/secure_zero.hpp>

#include "bytes/guarded.hpp"
#include "support/random.hpp"

#include <array>
#include <cstring>
#include <numeric>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

namespace {

using acre::bytes::copy_error;
using acre::bytes::copy_refused;
using acre_test::random_source;
using bytes_test::guarded_memory;
using std::literals::operator""sv;

constexpr std::size_t largest = 300;

std::string numbers(std::size_t size_bytes) {
  std::string text(size_bytes, ' ');
  std::iota(text.begin(), text.end(), static_cast<char>(1));
  return text;
}

TEST(copy, of_every_size_at_page_ends) {
  const guarded_memory from(largest);
  const guarded_memory to(largest);
  for (std::size_t size = 0; size <= largest; ++size) {
    const std::string text = numbers(size);
    for (char* const target : {to.front(), to.back(size)}) {
      acre::bytes::fill(std::span(target, size), '#');
      ASSERT_EQ(std::string(target, size), std::string(size, '#'));
      acre::bytes::copy(std::span(target, size), from.at_back(text));
      ASSERT_EQ(std::string_view(target, size), text);
      acre::bytes::fill(std::span(target, size), std::byte{0});
      acre::bytes::copy(std::span(target, size), from.at_front(text));
      ASSERT_EQ(std::string_view(target, size), text);
    }
  }
}

TEST(copy, touches_nothing_beside_its_destination) {
  for (std::size_t size = 0; size <= 100; ++size) {
    for (std::size_t shift = 0; shift < 16; ++shift) {
      std::string target(200, '.');
      acre::bytes::copy(std::span(target).subspan(shift, size), numbers(size));
      ASSERT_EQ(target,
                std::string(shift, '.') + numbers(size) + std::string(200 - size - shift, '.'));
      acre::bytes::fill(std::span(target).subspan(shift, size), '!');
      ASSERT_EQ(target, std::string(shift, '.') + std::string(size, '!') +
                            std::string(200 - size - shift, '.'));
    }
  }
}

TEST(move, between_ranges_that_overlap) {
  for (std::size_t size = 0; size <= 150; ++size) {
    for (std::size_t from = 0; from <= 20; from += 4) {
      for (std::size_t to = 0; to <= 20; ++to) {
        std::string ours = numbers(200);
        std::string expected = ours;
        std::memmove(expected.data() + to, expected.data() + from, size);
        acre::bytes::move(std::span(ours).subspan(to, size), std::span(ours).subspan(from, size));
        ASSERT_EQ(ours, expected) << size << " bytes from " << from << " to " << to;
      }
    }
  }
}

TEST(copy, refuses_different_sizes_with_both_in_the_message) {
  std::string target(8, '.');
  try {
    acre::bytes::copy(target, "123456789"sv);
    FAIL() << "copied 9 bytes into 8";
  } catch (const copy_refused& refused) {
    EXPECT_EQ(refused.error().destination_bytes, 8U);
    EXPECT_EQ(refused.error().source_bytes, 9U);
    EXPECT_STREQ(refused.what(),
                 "acre::bytes::copy: the destination has 8 bytes and the source 9; they must have "
                 "the same size: take a subspan of the larger");
  }
  EXPECT_EQ(target, "........");
  EXPECT_THROW(acre::bytes::move(target, "1"sv), copy_refused);
  EXPECT_THROW(acre::bytes::copy_streaming(target, "1"sv), copy_refused);
  const auto refused = acre::bytes::try_move(target, "1"sv);
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().why, copy_error::reason::size_mismatch);
  EXPECT_STREQ(refused.error().operation, "move");
  EXPECT_EQ(target, "........");
}

TEST(copy, refuses_ranges_that_overlap_but_not_neighbours) {
  std::string text = "abcdef";
  const std::span<char> all(text);
  const auto refused = acre::bytes::try_copy(all.first(4), all.last(4));
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().why, copy_error::reason::overlap);
  EXPECT_EQ(refused.error().message(),
            "acre::bytes::copy: destination and source, of 4 bytes each, overlap; use "
            "acre::bytes::move");
  EXPECT_FALSE(acre::bytes::try_copy(all, all).has_value());
  EXPECT_EQ(text, "abcdef");
  EXPECT_TRUE(acre::bytes::try_copy(all.first(3), all.last(3)).has_value());
  EXPECT_EQ(text, "defdef");
  EXPECT_TRUE(acre::bytes::try_copy(all.first(0), all.first(0)).has_value());
}

TEST(copy, of_fixed_sizes) {
  std::array<std::byte, 16> target{};
  std::array<unsigned char, 16> source{};
  source.fill(7);
  acre::bytes::copy(target, source);
  EXPECT_EQ(target[15], std::byte{7});
  static_assert(
      !acre::bytes::detail::sizes_may_agree<std::array<std::byte, 16>&, std::span<const char, 15>>);
}

TEST(copy_streaming, below_and_above_the_cache) {
  const std::size_t cache_bytes = acre::bytes::last_level_cache_bytes();
  EXPECT_GE(cache_bytes, std::size_t{64} << 10U);
  EXPECT_LE(cache_bytes, std::size_t{4} << 30U);
  if (cache_bytes > std::size_t{128} << 20U) GTEST_SKIP() << "the cache is too large to exceed";
  for (const std::size_t size : {std::size_t{0}, std::size_t{1000}, cache_bytes + 12'345}) {
    std::vector<std::byte> source(size + 100);
    for (std::size_t at = 0; at < source.size(); at += 61)
      source[at] = static_cast<std::byte>(at);
    std::vector<std::byte> target(size + 100);
    for (const std::size_t shift : {0U, 1U, 63U}) {
      acre::bytes::fill(target, std::byte{9});
      acre::bytes::copy_streaming(std::span(target).subspan(shift, size),
                                  std::span(source).subspan(17, size));
      ASSERT_TRUE(acre::bytes::equal(std::span(target).subspan(shift, size),
                                     std::span(source).subspan(17, size)));
      ASSERT_EQ(target[shift + size], std::byte{9});
      if (shift != 0) {
        ASSERT_EQ(target[shift - 1], std::byte{9});
      }
    }
  }
}

TEST(compare, agrees_with_string_view) {
  const guarded_memory left(largest);
  const guarded_memory right(largest);
  random_source random(1);
  for (int round = 0; round < 20'000; ++round) {
    std::string a(random.below(130), 'x');
    for (char& letter : a)
      letter = static_cast<char>(random.next());
    std::string b = a;
    if (random.below(2) == 0) b.resize(random.below(130), 'y');
    if (!b.empty() && random.below(2) == 0) b[random.below(b.size())] ^= static_cast<char>(0x80);
    const std::string_view first = left.at_back(a);
    const std::string_view second = random.below(2) == 0 ? right.at_back(b) : right.at_front(b);
    ASSERT_EQ(acre::bytes::equal(first, second), a == b);
    ASSERT_EQ(acre::bytes::equal_constant_time(first, second), a == b);
    ASSERT_EQ(acre::bytes::compare(first, second), a <=> b) << a.size() << " and " << b.size();
  }
}

TEST(secure_zero, sets_every_byte_and_no_other) {
  const guarded_memory memory(largest);
  for (std::size_t size = 0; size <= largest; ++size) {
    for (char* const target : {memory.front(), memory.back(size)}) {
      acre::bytes::fill(std::span(target, size), 'k');
      acre::bytes::secure_zero(std::span(target, size));
      ASSERT_EQ(std::string(target, size), std::string(size, '\0'));
    }
  }
  struct keys {
    std::uint64_t encrypt = 1;
    std::uint64_t sign = 2;
  } secret;
  acre::bytes::secure_zero(secret);
  EXPECT_EQ(secret.encrypt + secret.sign, 0U);
}

}  // namespace
