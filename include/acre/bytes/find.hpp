#pragma once

#include <acre/bytes/detail/search.hpp>
#include <acre/bytes/detail/small.hpp>
#include <acre/bytes/view.hpp>

#include <cstddef>
#include <iterator>
#include <memory>
#include <optional>
#include <type_traits>

namespace acre::bytes {
namespace detail {

inline const byte_type* raw(view bytes) noexcept {
  return reinterpret_cast<const byte_type*>(bytes.data());
}

inline std::optional<std::size_t> found_at(std::size_t position) noexcept {
  return position == nowhere ? std::nullopt : std::optional(position);
}

/// Whether what an argument refers to outlives the call.
template <class R>
inline constexpr bool is_lasting =
    std::is_lvalue_reference_v<R> || std::ranges::borrowed_range<R> ||
    std::same_as<std::remove_cvref_t<R>, view>;

}  // namespace detail

/// Returns: the position of the first byte that equals `value`, or nothing.
template <byte_like Byte>
[[nodiscard, gnu::always_inline]] inline std::optional<std::size_t> find(view haystack,
                                                                         Byte value) noexcept {
  return detail::find_byte(detail::raw(haystack), haystack.size(),
                           static_cast<detail::byte_type>(value));
}

/// Returns: the position of the last byte that equals `value`, or nothing.
template <byte_like Byte>
[[nodiscard, gnu::always_inline]] inline std::optional<std::size_t> rfind(view haystack,
                                                                          Byte value) noexcept {
  return detail::rfind_byte(detail::raw(haystack), haystack.size(),
                            static_cast<detail::byte_type>(value));
}

/// Returns: the position of the first place where `needle` is, or nothing. An empty needle is at 0.
///
/// Cost: linear in the worst case; without a match about 50 bytes a nanosecond. Nothing is
/// allocated.
[[nodiscard]] inline std::optional<std::size_t> find(view haystack, view needle) noexcept {
  return detail::found_at(
      detail::find(detail::raw(haystack), haystack.size(), detail::raw(needle), needle.size()));
}

/// Returns: the position of the last place where `needle` is, or nothing. An empty needle is at the
/// end. Cost: as `find`.
[[nodiscard]] inline std::optional<std::size_t> rfind(view haystack, view needle) noexcept {
  return detail::found_at(
      detail::rfind(detail::raw(haystack), haystack.size(), detail::raw(needle), needle.size()));
}

/// Returns: how many bytes equal `value`.
template <byte_like Byte>
[[nodiscard]] std::size_t count(view haystack, Byte value) noexcept {
  return detail::count(detail::raw(haystack), haystack.size(),
                       static_cast<detail::byte_type>(value));
}

class finder;

/// The positions of all matches from left to right; those that share bytes with an earlier one are
/// left out. A single-pass range: walk it once.
///
/// Ownership:     refers to haystack and needle, or to haystack and finder; they must outlive it.
/// Thread-safety: one thread at a time.
/// Cost:          linear in the worst case for the whole walk. Nothing is allocated; about 7 KiB.
class matches {
 public:
  class iterator {
   public:
    using value_type = std::size_t;
    using difference_type = std::ptrdiff_t;

    std::size_t operator*() const noexcept { return base_ + *at_; }
    iterator& operator++() noexcept {
      if (++at_ == end_) refill();
      return *this;
    }
    void operator++(int) noexcept { ++*this; }
    bool operator==(std::default_sentinel_t) const noexcept { return at_ == end_; }

   private:
    friend class matches;
    explicit iterator(matches* of) noexcept : of_(of) { take(); }
    void refill() noexcept {
      if (of_->batch_.is_last) return;
      of_->fill();
      take();
    }
    void take() noexcept {
      base_ = of_->batch_.base;
      at_ = of_->batch_.offsets.data();
      end_ = at_ + of_->batch_.count;
    }

    matches* of_;
    std::size_t base_ = 0;
    const std::uint32_t* at_ = nullptr;
    const std::uint32_t* end_ = nullptr;
  };

  matches(const matches&) = delete;
  matches& operator=(const matches&) = delete;

  /// Begins the walk; called once.
  [[nodiscard]] iterator begin() noexcept { return iterator(this); }
  [[nodiscard]] static std::default_sentinel_t end() noexcept { return {}; }

 private:
  friend class finder;
  template <byte_range Haystack, byte_range Needle>
  friend matches find_all(Haystack&& haystack, Needle&& needle) noexcept;

  matches(view haystack, view needle) noexcept : plan_(&own_plan_) {
    detail::first_matches(own_plan_, state_, batch_, detail::raw(haystack), haystack.size(),
                          detail::raw(needle), needle.size());
  }
  matches(view haystack, const detail::needle_plan& plan) noexcept : plan_(&plan) {
    detail::first_matches(plan, state_, batch_, detail::raw(haystack), haystack.size());
  }

  void fill() noexcept { detail::next_matches(*plan_, state_, batch_); }

  const detail::needle_plan* plan_;
  detail::search_state state_;
  detail::match_batch batch_;
  detail::needle_plan own_plan_;
};

/// Every match of `needle`, from left to right, none sharing bytes with the one before:
///
///     for (const std::size_t at : find_all(text, "\r\n"sv)) …
///
/// An empty needle has no matches here. Both arguments must outlive the range, so temporary strings
/// and vectors are refused.
template <byte_range Haystack, byte_range Needle>
[[nodiscard]] matches find_all(Haystack&& haystack, Needle&& needle) noexcept {
  static_assert(detail::is_lasting<Haystack&&> && detail::is_lasting<Needle&&>,
                "find_all keeps referring to haystack and needle: give them names");
  return matches(view(haystack), view(needle));
}

/// A needle made ready for many searches. Pays when the same needle is looked for again, most in
/// haystacks of less than a few kilobytes, and for needles above 64 bytes.
///
/// Ownership:     holds a copy of the needle; copies of a finder share it.
/// Thread-safety: constant once made; any number of threads may search with one.
/// Cost:          making one reads the needle a few times and allocates about 4 KiB.
class finder {
 public:
  /// Fails: std::bad_alloc.
  ACRE_API explicit finder(view needle);

  /// As the function `find` with this needle.
  [[nodiscard]] std::optional<std::size_t> find(view haystack) const noexcept {
    return detail::found_at(detail::find(detail::raw(haystack), haystack.size(), *plan_));
  }
  /// As the function `rfind` with this needle.
  [[nodiscard]] std::optional<std::size_t> rfind(view haystack) const noexcept {
    return detail::found_at(detail::rfind(detail::raw(haystack), haystack.size(), *plan_));
  }
  /// As the function `find_all` with this needle.
  template <byte_range Haystack>
  [[nodiscard]] matches find_all(Haystack&& haystack) const& noexcept {
    static_assert(detail::is_lasting<Haystack&&>,
                  "find_all keeps referring to its haystack: give it a name");
    return matches(view(haystack), *plan_);
  }
  template <byte_range Haystack>
  matches find_all(Haystack&& haystack) const&& = delete;

  [[nodiscard]] ACRE_API view needle() const noexcept;

 private:
  std::shared_ptr<const detail::needle_plan> plan_;
};

}  // namespace acre::bytes
