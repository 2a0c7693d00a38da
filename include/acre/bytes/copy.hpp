#pragma once

#include <acre/bytes/detail/small.hpp>
#include <acre/bytes/view.hpp>
#include <acre/export.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <expected>
#include <span>
#include <stdexcept>
#include <string>

namespace acre::bytes {

/// Why a copy was refused. Nothing was written.
struct copy_error {
  enum class reason : std::uint8_t {
    size_mismatch,  ///< destination and source have different sizes
    overlap,        ///< they share bytes, and the operation was not `move`
  };
  reason why = reason::size_mismatch;
  const char* operation = "";  ///< such as "copy"; a literal
  std::size_t destination_bytes = 0;
  std::size_t source_bytes = 0;

  /// What was wrong, with both sizes, and what to do.
  [[nodiscard]] ACRE_API std::string message() const;
};

/// Thrown by what has a `try_` twin.
class ACRE_API copy_refused : public std::logic_error {
 public:
  explicit copy_refused(const copy_error& error);
  ~copy_refused() override;
  [[nodiscard]] const copy_error& error() const noexcept { return error_; }

 private:
  copy_error error_;
};

using copy_result = std::expected<void, copy_error>;

namespace detail {

/// The size that a range's type tells, or `std::dynamic_extent`.
template <class R>
inline constexpr std::size_t static_size = std::dynamic_extent;
template <class T, std::size_t Size>
inline constexpr std::size_t static_size<std::span<T, Size>> = Size;
template <class T, std::size_t Size>
inline constexpr std::size_t static_size<std::array<T, Size>> = Size;
template <class T, std::size_t Size>
inline constexpr std::size_t static_size<T[Size]> = Size;

template <class To, class From>
inline constexpr bool sizes_may_agree =
    static_size<std::remove_cvref_t<To>> == std::dynamic_extent ||
    static_size<std::remove_cvref_t<From>> == std::dynamic_extent ||
    static_size<std::remove_cvref_t<To>> == static_size<std::remove_cvref_t<From>>;

/// Throws what is wrong with a copy. Out of line, so that a copy that is fine has no part in it.
[[noreturn, gnu::cold]] ACRE_API void refuse(const char* operation, writable_view to, view from);

/// Whether two ranges of the same size share bytes. By address: pointers into different objects
/// cannot be compared.
inline bool overlap(const std::byte* a, const std::byte* b, std::size_t size_bytes) noexcept {
  const auto first = reinterpret_cast<std::uintptr_t>(a);
  const auto second = reinterpret_cast<std::uintptr_t>(b);
  return (first < second ? second - first : first - second) < size_bytes;
}

/// What is wrong with a copy that was refused.
ACRE_API copy_error refusal(const char* operation, writable_view to, view from) noexcept;

inline bool may_copy(writable_view to, view from) noexcept {
  return to.size() == from.size() && !overlap(to.data(), from.data(), from.size());
}

inline void move_bytes(std::byte* to, const std::byte* from, std::size_t size_bytes) noexcept {
  if (is_large(size_bytes)) {
    std::memmove(to, from, size_bytes);
  } else {
    move_small(reinterpret_cast<byte_type*>(to), reinterpret_cast<const byte_type*>(from),
               size_bytes);
  }
}

inline void copy_bytes(std::byte* to, const std::byte* from, std::size_t size_bytes) noexcept {
  if (is_large(size_bytes)) {
    std::memcpy(to, from, size_bytes);
  } else {
    move_small(reinterpret_cast<byte_type*>(to), reinterpret_cast<const byte_type*>(from),
               size_bytes);
  }
}

}  // namespace detail

/// Copies `source` to `destination` when they have the same size and share no byte.
///
/// Fails: a `copy_error`, and nothing is written.
[[nodiscard]] inline copy_result try_copy(writable_view destination, view source) noexcept {
  if (!detail::may_copy(destination, source))
    return std::unexpected(detail::refusal("copy", destination, source));
  detail::copy_bytes(destination.data(), source.data(), source.size());
  return {};
}

/// The same; sizes that the types tell are compared when the program is compiled.
///
/// Fails: `copy_refused`, and nothing is written.
template <writable_byte_range Destination, byte_range Source>
void copy(Destination&& destination, Source&& source) {
  static_assert(detail::sizes_may_agree<Destination, Source>,
                "copy: destination and source have different sizes");
  const writable_view to(destination);
  const view from(source);
  if (!detail::may_copy(to, from)) [[unlikely]]
    detail::refuse("copy", to, from);
  detail::copy_bytes(to.data(), from.data(), from.size());
}

/// Copies `source` to `destination`, which may share bytes with it, as if through a third place.
///
/// Fails: a `copy_error` when the sizes differ, and nothing is written.
[[nodiscard]] inline copy_result try_move(writable_view destination, view source) noexcept {
  if (destination.size() != source.size())
    return std::unexpected(detail::refusal("move", destination, source));
  detail::move_bytes(destination.data(), source.data(), source.size());
  return {};
}

/// The same; sizes that the types tell are compared when the program is compiled.
///
/// Fails: `copy_refused`, and nothing is written.
template <writable_byte_range Destination, byte_range Source>
void move(Destination&& destination, Source&& source) {
  static_assert(detail::sizes_may_agree<Destination, Source>,
                "move: destination and source have different sizes");
  const writable_view to(destination);
  const view from(source);
  if (to.size() != from.size()) [[unlikely]]
    detail::refuse("move", to, from);
  detail::move_bytes(to.data(), from.data(), from.size());
}

/// Sets every byte to `value`.
template <byte_like Byte>
void fill(writable_view destination, Byte value) noexcept {
  const auto byte = static_cast<detail::byte_type>(value);
  if (destination.size() <= detail::small_bytes_max) {
    detail::fill_small(reinterpret_cast<detail::byte_type*>(destination.data()), byte,
                       destination.size());
  } else {
    std::memset(destination.data(), byte, destination.size());
  }
}

/// As `try_copy`, for data that will not be read again soon: what is larger than the last-level
/// cache is written past the caches, so that it does not push out what they hold.
///
/// Cost: as `copy` up to `last_level_cache_bytes()`; above it, see the results under `bench/`.
[[nodiscard]] ACRE_API copy_result try_copy_streaming(writable_view destination,
                                                      view source) noexcept;

/// As `copy`, for data that will not be read again soon; see `try_copy_streaming`.
ACRE_API void copy_streaming(writable_view destination, view source);

/// The size of the largest cache that serves this machine's first processor, from
/// `/sys/devices/system/cpu/cpu0/cache` (sysfs;
/// Documentation/ABI/testing/sysfs-devices-system-cpu); 32 MiB where that cannot be read. The C
/// library's own idea comes from CPUID and can be ten times too large in virtual machines.
[[nodiscard]] ACRE_API std::size_t last_level_cache_bytes() noexcept;

}  // namespace acre::bytes
