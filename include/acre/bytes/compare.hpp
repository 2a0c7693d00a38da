#pragma once

#include <acre/bytes/detail/small.hpp>
#include <acre/bytes/view.hpp>
#include <acre/export.h>

#include <compare>
#include <cstddef>
#include <cstring>

namespace acre::bytes {

/// Whether both have the same bytes. Different sizes are not equal, and not an error.
[[nodiscard, gnu::always_inline]] inline bool equal(view a, view b) noexcept {
  if (a.size() != b.size()) return false;
  if (detail::is_large(a.size())) return std::memcmp(a.data(), b.data(), a.size()) == 0;
  return detail::equal_small(reinterpret_cast<const detail::byte_type*>(a.data()),
                             reinterpret_cast<const detail::byte_type*>(b.data()), a.size());
}

/// The order of the first bytes that differ, as numbers from 0 to 255; when there are none, the
/// shorter comes first.
[[nodiscard]] inline std::strong_ordering compare(view a, view b) noexcept {
  const std::size_t common = a.size() < b.size() ? a.size() : b.size();
  const int order =
      detail::is_large(common)
          ? std::memcmp(a.data(), b.data(), common)
          : detail::compare_small(reinterpret_cast<const detail::byte_type*>(a.data()),
                                  reinterpret_cast<const detail::byte_type*>(b.data()), common);
  return order != 0 ? order <=> 0 : a.size() <=> b.size();
}

/// Whether both have the same bytes, in a time that depends on the sizes alone: for secrets, such
/// as a computed and a received authentication code.
///
/// The sizes are no secret: different ones are not equal, at once.
[[nodiscard]] ACRE_API bool equal_constant_time(view a, view b) noexcept;

}  // namespace acre::bytes
