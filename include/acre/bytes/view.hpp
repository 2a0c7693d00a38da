#pragma once

#include <concepts>
#include <cstddef>
#include <ranges>
#include <span>
#include <type_traits>

/// Checked operations on bytes, at the speed of the machine.
///
/// Every function takes its sizes from its arguments. What is written comes first, as in
/// `copy(destination, source)`.
namespace acre::bytes {

/// A type whose objects are bytes.
template <class T>
concept byte_like =
    std::same_as<T, std::byte> || std::same_as<T, char> || std::same_as<T, unsigned char> ||
    std::same_as<T, signed char> || std::same_as<T, char8_t>;

namespace detail {

/// A string literal, or another constant array of characters: whether its last byte, a zero, counts
/// is what people get wrong, so they must say: `"text"sv`, or `std::span(array)`.
template <class R>
inline constexpr bool is_literal = false;
template <class T, std::size_t Count>
inline constexpr bool is_literal<const T (&)[Count]> =
    std::same_as<T, char> || std::same_as<T, char8_t>;

}  // namespace detail

/// Consecutive bytes: a span, string, vector or array of a byte-like type; not a string literal.
template <class R>
concept byte_range = std::ranges::contiguous_range<R> && std::ranges::sized_range<R> &&
                     byte_like<std::ranges::range_value_t<R>> && !detail::is_literal<R>;

/// The same, and not constant.
template <class R>
concept writable_byte_range =
    byte_range<R> && !std::is_const_v<std::remove_reference_t<std::ranges::range_reference_t<R>>>;

/// Bytes to read, as a parameter. Whoever keeps one keeps what it was made from.
class view {
 public:
  constexpr view() noexcept = default;

  template <byte_range R>
    requires(!std::same_as<std::remove_cvref_t<R>, view>)
  view(R&& range) noexcept  // NOLINT(google-explicit-constructor): any range of bytes is meant
      : data_(reinterpret_cast<const std::byte*>(std::ranges::data(range))),
        size_bytes_(std::ranges::size(range)) {}

  [[nodiscard]] constexpr const std::byte* data() const noexcept { return data_; }
  [[nodiscard]] constexpr std::size_t size() const noexcept { return size_bytes_; }

 private:
  const std::byte* data_ = nullptr;
  std::size_t size_bytes_ = 0;
};

/// Bytes to write, as a parameter.
class writable_view {
 public:
  template <writable_byte_range R>
    requires(!std::same_as<std::remove_cvref_t<R>, writable_view>)
  writable_view(R&& range) noexcept  // NOLINT(google-explicit-constructor)
      : data_(reinterpret_cast<std::byte*>(std::ranges::data(range))),
        size_bytes_(std::ranges::size(range)) {}

  [[nodiscard]] constexpr std::byte* data() const noexcept { return data_; }
  [[nodiscard]] constexpr std::size_t size() const noexcept { return size_bytes_; }

 private:
  std::byte* data_ = nullptr;
  std::size_t size_bytes_ = 0;
};

}  // namespace acre::bytes
