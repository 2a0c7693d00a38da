#include <acre/bytes/compare.hpp>

#include <cstdint>

namespace acre::bytes {
namespace {

/// `value`, of which the compiler knows nothing any more, so it cannot stop early on it.
std::uint64_t opaque(std::uint64_t value) noexcept {
  __asm__ volatile("" : "+r"(value));
  return value;
}

}  // namespace

bool equal_constant_time(view a, view b) noexcept {
  if (a.size() != b.size()) return false;
  const auto* first = reinterpret_cast<const detail::byte_type*>(a.data());
  const auto* second = reinterpret_cast<const detail::byte_type*>(b.data());
  std::uint64_t difference = 0;
  std::size_t at = 0;
  for (; a.size() - at >= 8; at += 8) {
    difference = opaque(difference | (detail::load<std::uint64_t>(first + at) ^
                                      detail::load<std::uint64_t>(second + at)));
  }
  for (; at < a.size(); ++at)
    difference = opaque(difference | static_cast<std::uint64_t>(first[at] ^ second[at]));
  return difference == 0;
}

}  // namespace acre::bytes
