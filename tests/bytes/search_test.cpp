/// Searches agree with std::string_view's, on inputs that are easy, hard and hostile, with each
/// instruction set, right behind and right before memory that must not be read.
#include <acre/bytes/find.hpp>
#include <acre/bytes/instruction_set.hpp>

#include "bytes/guarded.hpp"
#include "support/random.hpp"
#include "support/sanitizer.hpp"

#include <algorithm>
#include <array>
#include <optional>
#include <ostream>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

namespace acre::bytes {

void PrintTo(instruction_set set, std::ostream* out) {
  *out << name(set);
}

}  // namespace acre::bytes

namespace {

using acre::bytes::finder;
using acre::bytes::instruction_set;
using acre_test::random_source;
using bytes_test::guarded_memory;

std::optional<std::size_t> as_optional(std::size_t position) {
  return position == std::string_view::npos ? std::nullopt : std::optional(position);
}

/// Matches that share no byte, by the model.
std::vector<std::size_t> model_find_all(std::string_view haystack, std::string_view needle) {
  std::vector<std::size_t> found;
  if (needle.empty()) return found;
  for (std::size_t at = haystack.find(needle); at != std::string_view::npos;
       at = haystack.find(needle, at + needle.size()))
    found.push_back(at);
  return found;
}

template <class Matches>
std::vector<std::size_t> positions(Matches&& matches) {
  std::vector<std::size_t> found;
  for (const std::size_t at : matches)
    found.push_back(at);
  return found;
}

/// All six ways to search against the model.
void expect_agreement(std::string_view haystack, std::string_view needle) {
  const auto first = as_optional(haystack.find(needle));
  const auto last = as_optional(haystack.rfind(needle));
  const auto all = model_find_all(haystack, needle);
  const auto about = [&] {
    return testing::Message() << "haystack of " << haystack.size() << " bytes, needle of "
                              << needle.size();
  };
  ASSERT_EQ(acre::bytes::find(haystack, needle), first) << about();
  ASSERT_EQ(acre::bytes::rfind(haystack, needle), last) << about();
  ASSERT_EQ(positions(acre::bytes::find_all(haystack, needle)), all) << about();
  const finder prepared(needle);
  ASSERT_EQ(prepared.find(haystack), first) << about();
  ASSERT_EQ(prepared.rfind(haystack), last) << about();
  ASSERT_EQ(positions(prepared.find_all(haystack)), all) << about();
}

class each_instruction_set : public testing::TestWithParam<instruction_set> {
 protected:
  void SetUp() override {
    before_ = acre::bytes::instruction_set_in_use();
    if (!acre::bytes::use_instruction_set(GetParam()))
      GTEST_SKIP() << "this processor or build has no " << acre::bytes::name(GetParam());
    ASSERT_EQ(acre::bytes::instruction_set_in_use(), GetParam());
  }
  void TearDown() override { ASSERT_TRUE(acre::bytes::use_instruction_set(before_)); }

  /// Both copies of the haystack touch pages that must not be; so do those of the needle.
  void expect_agreement_at_page_ends(std::string_view haystack, std::string_view needle) {
    expect_agreement(haystacks_.at_front(haystack), needles_.at_back(needle));
    expect_agreement(haystacks_.at_back(haystack), needles_.at_front(needle));
  }

  guarded_memory haystacks_{1U << 18U};
  guarded_memory needles_{1U << 18U};

 private:
  instruction_set before_ = instruction_set::portable;
};

std::string letters(random_source& random, std::size_t size_bytes, std::size_t alphabet) {
  std::string text(size_bytes, ' ');
  for (char& letter : text)
    letter = static_cast<char>('a' + random.below(alphabet));
  return text;
}

/// Text that repeats itself every `period` bytes but for a few bytes.
std::string periodic(random_source& random, std::size_t size_bytes, std::size_t alphabet) {
  std::string text = letters(random, size_bytes, alphabet);
  const std::size_t period = 1 + random.below(40);
  for (std::size_t at = period; at < size_bytes; ++at)
    text[at] = text[at - period];
  for (std::size_t wrong = random.below(4); wrong != 0 && size_bytes != 0; --wrong)
    text[random.below(size_bytes)] = static_cast<char>('a' + random.below(alphabet));
  return text;
}

/// Words as in text, so that letters and pairs of letters have uneven frequencies.
std::string english(random_source& random, std::size_t size_bytes) {
  constexpr std::array<std::string_view, 16> words{
      "the ", "of ",   "and ",    "memory ", "a ",  "page ", "to ",      "in ",
      "is ",  "that ", "mapped ", "it, ",    "by ", "Zero ", "through ", "this. "};
  std::string text;
  while (text.size() < size_bytes)
    text += words[std::min(random.below(16), random.below(16))];
  text.resize(size_bytes);
  return text;
}

std::string any_text(random_source& random, std::size_t size_bytes) {
  constexpr std::array<std::size_t, 5> alphabets{1, 2, 4, 26, 100};
  const std::size_t alphabet = alphabets[random.below(alphabets.size())];
  switch (random.below(4)) {
    case 0:
      return periodic(random, size_bytes, alphabet);
    case 1:
      return english(random, size_bytes);
    default:
      return letters(random, size_bytes, alphabet);
  }
}

/// A piece of the haystack, sometimes with a byte changed; or something else.
std::string any_needle(random_source& random, std::string_view haystack) {
  if (haystack.empty() || random.below(5) == 0) return any_text(random, random.below(100));
  const std::size_t from = random.below(haystack.size());
  const std::size_t rest = haystack.size() - from;
  const std::size_t size =
      random.below(3) == 0 ? 1 + random.below(rest) : std::min(rest, 1 + random.below(90));
  std::string needle(haystack.substr(from, size));
  if (random.below(2) == 0) needle[random.below(size)] = 'a';
  return needle;
}

TEST_P(each_instruction_set, agrees_with_the_model_on_small_random_texts) {
  random_source random(1);
  for (int round = 0; round < 4000 && !HasFatalFailure(); ++round) {
    const std::string haystack = any_text(random, random.below(400));
    expect_agreement_at_page_ends(haystack, any_needle(random, haystack));
  }
}

TEST_P(each_instruction_set, agrees_with_the_model_on_larger_random_texts) {
  random_source random(2);
  for (int round = 0; round < 60 && !HasFatalFailure(); ++round) {
    const std::string haystack = any_text(random, random.below(60'000));
    expect_agreement_at_page_ends(haystack, any_needle(random, haystack));
  }
}

TEST_P(each_instruction_set, finds_each_size_of_needle_at_each_place_of_small_haystacks) {
  for (std::size_t size = 1; size <= 140 && !HasFatalFailure(); size += 1 + size / 24) {
    for (std::size_t needle_bytes = 1; needle_bytes <= size; needle_bytes += 1 + size / 9) {
      for (std::size_t at = 0; at + needle_bytes <= size; at += 1 + size / 13) {
        std::string haystack(size, '.');
        std::string needle(needle_bytes, 'x');
        needle.back() = 'y';
        haystack.replace(at, needle_bytes, needle);
        expect_agreement_at_page_ends(haystack, needle);
      }
    }
  }
}

TEST_P(each_instruction_set, finds_at_every_alignment) {
  const std::string text = std::string(70, 'e') + "needle" + std::string(300, 'e') + "needle";
  for (std::size_t shift = 0; shift < 130; ++shift) {
    std::string moved(shift, '#');
    moved += text;
    const std::string_view haystack = std::string_view(moved).substr(shift);
    expect_agreement(haystack, "needle");
    expect_agreement(haystack, "edle");
    expect_agreement(haystack, "en");
    expect_agreement(haystack, std::string(71, 'e') + "n");
  }
}

/// Thousands of candidates of which few are matches, and thousands of matches: batches end, and
/// searches look at more of the needle.
TEST_P(each_instruction_set, agrees_with_the_model_where_candidates_are_many) {
  random_source random(4);
  for (int round = 0; round < 12 && !HasFatalFailure(); ++round) {
    const std::string text = letters(random, 20'000 + random.below(60'000), 1 + random.below(4));
    const std::string_view haystack = haystacks_.at_back(text);
    for (const std::size_t bytes : {1U, 2U, 3U, 4U, 5U, 6U, 7U, 9U, 17U, 64U}) {
      const std::string_view needle = haystack.substr(random.below(10'000), bytes);
      ASSERT_EQ(positions(acre::bytes::find_all(haystack, needle)),
                model_find_all(haystack, needle))
          << "needle '" << needle << "'";
    }
  }
}

/// Runs of the needle's only byte begin and end anywhere, so that matches share bytes across
/// blocks.
TEST_P(each_instruction_set, chooses_matches_apart_in_runs) {
  random_source random(5);
  for (int round = 0; round < 30 && !HasFatalFailure(); ++round) {
    std::string text(1000 + random.below(3000), 'a');
    for (std::size_t breaks = random.below(30); breaks != 0; --breaks)
      text[random.below(text.size())] = 'b';
    const std::string_view haystack = std::string_view(text).substr(random.below(70));
    for (const std::size_t bytes : {2U, 3U, 4U, 5U, 8U, 20U, 64U, 65U}) {
      const std::string needle(bytes, 'a');
      ASSERT_EQ(positions(acre::bytes::find_all(haystack, needle)),
                model_find_all(haystack, needle))
          << "needle of " << bytes;
    }
  }
}

/// Haystacks and needles that make careless searches quadratic, and this one change its method.
TEST_P(each_instruction_set, agrees_with_the_model_on_hostile_texts) {
  constexpr std::size_t size = acre_test::is_sanitized ? 6'000 : 20'000;
  const auto repeated = [](std::string_view unit, std::size_t size_bytes) {
    std::string text;
    while (text.size() < size_bytes)
      text += unit;
    text.resize(size_bytes);
    return text;
  };
  std::string fibonacci = "ab";
  for (std::string before = "a"; fibonacci.size() < size;)
    before = std::exchange(fibonacci, fibonacci + before);
  for (const std::size_t bytes : {1U, 2U, 3U, 5U, 6U, 7U, 8U, 9U, 16U, 33U, 63U, 64U, 65U, 80U,
                                  128U, 129U, 300U, 1000U, 4096U}) {
    if (HasFatalFailure()) break;
    const std::string a(bytes, 'a');
    std::string b_last = a;
    b_last.back() = 'b';
    std::string b_first = a;
    b_first.front() = 'b';
    std::string b_middle = a;
    b_middle[bytes / 2] = 'b';
    for (const std::string& unit : {std::string("a"), b_last, b_first, b_middle, a + "b",
                                    std::string("ab"), std::string("aab"), std::string("abc")}) {
      const std::string haystack = repeated(unit, size);
      for (const std::string& needle : {a, b_last, b_first, b_middle, haystack.substr(3, bytes)})
        expect_agreement(haystack, needle);
      std::string wrong = haystack.substr(1, bytes);
      wrong[bytes / 3] = wrong[bytes / 3] == 'a' ? 'b' : 'a';
      expect_agreement(haystack, wrong);
      // Its only match is where the haystack ends.
      expect_agreement_at_page_ends(haystack + wrong, wrong);
    }
    std::string word = fibonacci.substr(100, bytes);
    expect_agreement(fibonacci, word);
    word.back() = word.back() == 'a' ? 'b' : 'a';
    expect_agreement(fibonacci, word);
  }
}

TEST_P(each_instruction_set, counts_and_finds_bytes_as_the_model_does) {
  random_source random(3);
  for (int round = 0; round < 3000; ++round) {
    const std::string text = any_text(random, random.below(300));
    for (const std::string_view haystack : {haystacks_.at_front(text), haystacks_.at_back(text)}) {
      const auto value = static_cast<char>('a' + random.below(5));
      ASSERT_EQ(acre::bytes::count(haystack, value),
                static_cast<std::size_t>(std::count(haystack.begin(), haystack.end(), value)));
      ASSERT_EQ(acre::bytes::find(haystack, value), as_optional(haystack.find(value)));
      ASSERT_EQ(acre::bytes::rfind(haystack, value), as_optional(haystack.rfind(value)));
    }
  }
}

INSTANTIATE_TEST_SUITE_P(search, each_instruction_set,
                         testing::Values(instruction_set::portable, instruction_set::neon,
                                         instruction_set::sse2, instruction_set::avx2,
                                         instruction_set::avx512),
                         [](const auto& set) { return std::string(name(set.param)); });

TEST(search, of_nothing_and_in_nothing) {
  using std::literals::operator""sv;
  EXPECT_EQ(acre::bytes::find(""sv, ""sv), 0U);
  EXPECT_EQ(acre::bytes::rfind(""sv, ""sv), 0U);
  EXPECT_EQ(acre::bytes::find("abc"sv, ""sv), 0U);
  EXPECT_EQ(acre::bytes::rfind("abc"sv, ""sv), 3U);
  EXPECT_EQ(acre::bytes::find(""sv, "a"sv), std::nullopt);
  EXPECT_EQ(acre::bytes::find(""sv, 'a'), std::nullopt);
  EXPECT_EQ(acre::bytes::rfind(""sv, 'a'), std::nullopt);
  EXPECT_EQ(acre::bytes::count(""sv, 'a'), 0U);
  EXPECT_TRUE(positions(acre::bytes::find_all("abc"sv, ""sv)).empty());
  EXPECT_TRUE(positions(acre::bytes::find_all(""sv, "abc"sv)).empty());
  const finder nothing(""sv);
  EXPECT_TRUE(positions(nothing.find_all("abc"sv)).empty());
}

TEST(search, takes_every_kind_of_bytes) {
  const std::vector<std::byte> bytes{std::byte{1}, std::byte{2}, std::byte{2}};
  const std::array<unsigned char, 2> needle{2, 2};
  EXPECT_EQ(acre::bytes::find(bytes, needle), 1U);
  EXPECT_EQ(acre::bytes::find(bytes, std::byte{2}), 1U);
  EXPECT_EQ(acre::bytes::find(std::string("xyz"), std::u8string(u8"z")), 2U);
  static_assert(!acre::bytes::byte_range<const char(&)[4]>, "a literal's zero is ambiguous");
  static_assert(!acre::bytes::byte_range<std::vector<int>&>);
}

TEST(search, finder_keeps_its_own_needle) {
  std::string needle = "abc";
  const finder first(needle);
  needle = "xxx";
  const finder second = first;
  EXPECT_EQ(first.find(std::string_view("xxxabc")), 3U);
  EXPECT_EQ(second.find(std::string_view("xxxabc")), 3U);
  ASSERT_EQ(second.needle().size(), 3U);
}

TEST(search, finder_serves_many_threads) {
  std::string needle(100, 'a');
  needle[60] = 'b';
  std::string haystack(30'000, 'a');
  haystack.replace(20'000, needle.size(), needle);
  const finder shared(needle);
  std::array<std::optional<std::size_t>, 4> found;
  {
    std::vector<std::jthread> threads;
    for (auto& result : found)
      threads.emplace_back([&] { result = shared.find(haystack); });
  }
  for (const auto& result : found)
    EXPECT_EQ(result, 20'000U);
}

TEST(search, refuses_an_instruction_set_that_is_not_there) {
  EXPECT_TRUE(acre::bytes::is_supported(instruction_set::portable));
  EXPECT_FALSE(acre::bytes::is_supported(static_cast<instruction_set>(200)));
  EXPECT_FALSE(acre::bytes::use_instruction_set(static_cast<instruction_set>(200)));
  EXPECT_EQ(acre::bytes::name(static_cast<instruction_set>(200)), "unknown");
}

}  // namespace
