#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <initializer_list>
#include <iterator>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace acre::os {

/// A set of small numbers, such as those of processors or memory nodes.
///
/// Units:          things counted from 0, below `capacity`.
/// Thread-safety:  that of an array.
template <std::size_t Capacity>
class index_set {
  static constexpr std::size_t word_bits = 64;
  static_assert(Capacity % word_bits == 0);

 public:
  static constexpr std::size_t capacity = Capacity;
  using value_type = unsigned;

  constexpr index_set() noexcept = default;

  /// Numbers that do not fit are left out; `insert` tells.
  constexpr index_set(std::initializer_list<unsigned> members) noexcept {
    for (const unsigned member : members)
      (void)insert(member);
  }

  /// False when the number is not below `capacity`.
  constexpr bool insert(unsigned member) noexcept {
    if (member >= Capacity) return false;
    words_[member / word_bits] |= bit(member);
    return true;
  }

  constexpr void erase(unsigned member) noexcept {
    if (member < Capacity) words_[member / word_bits] &= ~bit(member);
  }

  [[nodiscard]] constexpr bool contains(unsigned member) const noexcept {
    return member < Capacity && (words_[member / word_bits] & bit(member)) != 0;
  }

  [[nodiscard]] constexpr std::size_t size() const noexcept {
    std::size_t count = 0;
    for (const unsigned long word : words_)
      count += static_cast<std::size_t>(std::popcount(word));
    return count;
  }

  [[nodiscard]] constexpr bool empty() const noexcept { return next(0) == Capacity; }

  /// The smallest member. Requires: not empty.
  [[nodiscard]] constexpr unsigned front() const noexcept { return next(0); }

  constexpr index_set& operator|=(const index_set& other) noexcept {
    for (std::size_t i = 0; i < words_.size(); ++i)
      words_[i] |= other.words_[i];
    return *this;
  }
  constexpr index_set& operator&=(const index_set& other) noexcept {
    for (std::size_t i = 0; i < words_.size(); ++i)
      words_[i] &= other.words_[i];
    return *this;
  }
  constexpr index_set& operator-=(const index_set& other) noexcept {
    for (std::size_t i = 0; i < words_.size(); ++i)
      words_[i] &= ~other.words_[i];
    return *this;
  }
  friend constexpr index_set operator|(index_set a, const index_set& b) noexcept { return a |= b; }
  friend constexpr index_set operator&(index_set a, const index_set& b) noexcept { return a &= b; }
  friend constexpr index_set operator-(index_set a, const index_set& b) noexcept { return a -= b; }
  friend constexpr bool operator==(const index_set&, const index_set&) noexcept = default;

  /// Goes through the members in ascending order.
  class iterator {
   public:
    using value_type = unsigned;
    using difference_type = std::ptrdiff_t;
    using iterator_category = std::forward_iterator_tag;

    constexpr iterator() noexcept = default;
    constexpr iterator(const index_set* set, unsigned at) noexcept : set_(set), at_(at) {}
    [[nodiscard]] constexpr unsigned operator*() const noexcept { return at_; }
    constexpr iterator& operator++() noexcept {
      at_ = set_->next(at_ + 1);
      return *this;
    }
    constexpr iterator operator++(int) noexcept {
      const iterator before = *this;
      ++*this;
      return before;
    }
    friend constexpr bool operator==(const iterator& a, const iterator& b) noexcept {
      return a.at_ == b.at_;
    }

   private:
    const index_set* set_ = nullptr;
    unsigned at_ = 0;
  };

  [[nodiscard]] constexpr iterator begin() const noexcept { return {this, next(0)}; }
  [[nodiscard]] constexpr iterator end() const noexcept { return {this, Capacity}; }

  /// The bits as the kernel's calls take them.
  [[nodiscard]] constexpr std::span<const unsigned long> words() const noexcept { return words_; }
  [[nodiscard]] constexpr std::span<unsigned long> words() noexcept { return words_; }

  /// Reads the kernel's list format, "0-3,8" (cpuset(7)); white space after it is left out.
  /// Returns:  nothing when the text is not such a list or a number does not fit.
  [[nodiscard]] static constexpr std::optional<index_set> parse(std::string_view text) noexcept {
    while (!text.empty() && (text.back() == '\n' || text.back() == ' '))
      text.remove_suffix(1);
    index_set set;
    while (!text.empty()) {
      const std::size_t comma = text.find(',');
      if (!set.insert_range(text.substr(0, comma))) return std::nullopt;
      if (comma == std::string_view::npos) return set;
      text.remove_prefix(comma + 1);
      if (text.empty()) return std::nullopt;
    }
    return set;
  }

  /// The same format. Throws: `std::bad_alloc`.
  [[nodiscard]] std::string to_string() const {
    std::string text;
    for (unsigned first = next(0); first < Capacity;) {
      unsigned last = first;
      while (contains(last + 1))
        ++last;
      if (!text.empty()) text += ',';
      text += std::to_string(first);
      if (last > first) text += '-' + std::to_string(last);
      first = next(last + 1);
    }
    return text;
  }

 private:
  static constexpr unsigned long bit(unsigned member) noexcept { return 1UL << member % word_bits; }

  /// The first member at or after `from`, or `capacity`.
  [[nodiscard]] constexpr unsigned next(unsigned from) const noexcept {
    for (std::size_t i = from / word_bits; i < words_.size(); ++i) {
      unsigned long word = words_[i];
      if (i == from / word_bits) word &= ~0UL << from % word_bits;
      if (word != 0) return static_cast<unsigned>(i * word_bits) + lowest(word);
    }
    return Capacity;
  }

  static constexpr unsigned lowest(unsigned long word) noexcept {
    return static_cast<unsigned>(std::countr_zero(word));
  }

  static constexpr std::optional<unsigned> number(std::string_view text) noexcept {
    unsigned value = 0;
    if (text.empty()) return std::nullopt;
    for (const char c : text) {
      if (c < '0' || c > '9') return std::nullopt;
      value = value * 10 + static_cast<unsigned>(c - '0');
      if (value >= Capacity) return std::nullopt;
    }
    return value;
  }

  constexpr bool insert_range(std::string_view text) noexcept {
    const std::size_t dash = text.find('-');
    const std::optional<unsigned> first = number(text.substr(0, dash));
    const std::optional<unsigned> last =
        dash == std::string_view::npos ? first : number(text.substr(dash + 1));
    if (!first || !last || *last < *first) return false;
    for (unsigned member = *first; member <= *last; ++member)
      (void)insert(member);
    return true;
  }

  std::array<unsigned long, Capacity / word_bits> words_{};
};

/// Memory nodes; the kernel allows 1024 at most (CONFIG_NODES_SHIFT).
using node_set = index_set<1024>;

/// Processors; the kernel allows 8192 at most (CONFIG_NR_CPUS).
using cpu_set = index_set<8192>;

}  // namespace acre::os
