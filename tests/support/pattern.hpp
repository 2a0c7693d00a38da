#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace acre_test {

/// Contents that tell whose a block is: every 8 bytes hold a value made from the tag and the place,
/// so that a block written through another pointer, moved by a few bytes or cut short is noticed.
inline std::uint64_t pattern_word(std::uint64_t tag, std::size_t index) noexcept {
  return (tag + index) * 0x9e37'79b9'7f4a'7c15ULL;
}

inline void fill_pattern(void* block, std::size_t size_bytes, std::uint64_t tag) noexcept {
  auto* out = static_cast<unsigned char*>(block);
  for (std::size_t at = 0; at < size_bytes; at += 8) {
    const std::uint64_t word = pattern_word(tag, at / 8);
    std::memcpy(out + at, &word, std::min<std::size_t>(8, size_bytes - at));
  }
}

inline bool holds_pattern(const void* block, std::size_t size_bytes, std::uint64_t tag) noexcept {
  const auto* in = static_cast<const unsigned char*>(block);
  for (std::size_t at = 0; at < size_bytes; at += 8) {
    const std::uint64_t word = pattern_word(tag, at / 8);
    if (std::memcmp(in + at, &word, std::min<std::size_t>(8, size_bytes - at)) != 0) return false;
  }
  return true;
}

inline bool holds_only(const void* block, std::size_t size_bytes, unsigned char value) noexcept {
  const auto* in = static_cast<const unsigned char*>(block);
  return std::all_of(in, in + size_bytes, [value](unsigned char byte) { return byte == value; });
}

}  // namespace acre_test
