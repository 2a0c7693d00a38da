#pragma once

#include <acre/bytes/detail/search.hpp>

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

/// Operations on up to 64 bytes without a call: there, the call of the C library's function is most
/// of the cost. Loads and stores of fixed sizes from both ends meet in the middle or overlap.
namespace acre::bytes::detail {

inline constexpr std::size_t small_bytes_max = 64;

template <class Word>
Word load(const byte_type* from) noexcept {
  Word value;
  std::memcpy(&value, from, sizeof value);
  return value;
}

template <class Word>
void store(byte_type* to, Word value) noexcept {
  std::memcpy(to, &value, sizeof value);
}

/// 16 bytes in one register, where the processor has such.
using block_16 = byte_type __attribute__((vector_size(16)));

/// Moves `size_bytes`, from sizeof(Word) to twice that; all is loaded before anything is stored, so
/// the ranges may overlap.
template <class Word>
void move_ends(byte_type* to, const byte_type* from, std::size_t size_bytes) noexcept {
  const Word first = load<Word>(from);
  const Word last = load<Word>(from + size_bytes - sizeof(Word));
  store(to, first);
  store(to + size_bytes - sizeof(Word), last);
}

/// Requires: `size_bytes` <= `small_bytes_max`. The ranges may overlap.
inline void move_small(byte_type* to, const byte_type* from, std::size_t size_bytes) noexcept {
  struct block_32 {
    block_16 low;
    block_16 high;
  };
  if (size_bytes >= 16) {
    if (size_bytes > 32) return move_ends<block_32>(to, from, size_bytes);
    return move_ends<block_16>(to, from, size_bytes);
  }
  if (size_bytes >= 8) return move_ends<std::uint64_t>(to, from, size_bytes);
  if (size_bytes >= 4) return move_ends<std::uint32_t>(to, from, size_bytes);
  if (size_bytes >= 2) return move_ends<std::uint16_t>(to, from, size_bytes);
  if (size_bytes == 1) *to = *from;
}

template <class Word>
void fill_ends(byte_type* to, std::uint64_t pattern, std::size_t size_bytes) noexcept {
  const auto value = static_cast<Word>(pattern);
  store(to, value);
  store(to + size_bytes - sizeof(Word), value);
}

/// Requires: `size_bytes` <= `small_bytes_max`.
inline void fill_small(byte_type* to, byte_type value, std::size_t size_bytes) noexcept {
  const std::uint64_t pattern = value * 0x0101'0101'0101'0101ULL;
  if (size_bytes >= 8) {
    // Steps of 8 from the front; the last word ends with the range.
    for (std::size_t at = 0; at + 8 < size_bytes; at += 8)
      store(to + at, pattern);
    return store(to + size_bytes - 8, pattern);
  }
  if (size_bytes >= 4) return fill_ends<std::uint32_t>(to, pattern, size_bytes);
  if (size_bytes >= 2) return fill_ends<std::uint16_t>(to, pattern, size_bytes);
  if (size_bytes == 1) *to = value;
}

template <class Word>
bool equal_ends(const byte_type* a, const byte_type* b, std::size_t size_bytes) noexcept {
  const std::size_t last = size_bytes - sizeof(Word);
  const Word difference =
      (load<Word>(a) ^ load<Word>(b)) | (load<Word>(a + last) ^ load<Word>(b + last));
  return difference == 0;
}

/// Requires: `size_bytes` <= `small_bytes_max`.
inline bool equal_small(const byte_type* a, const byte_type* b, std::size_t size_bytes) noexcept {
  if (size_bytes >= 16) {
    std::size_t at = 0;
    for (; at + 16 < size_bytes; at += 16) {
      if (!equal_ends<std::uint64_t>(a + at, b + at, 16)) return false;
    }
    return equal_ends<std::uint64_t>(a + size_bytes - 16, b + size_bytes - 16, 16);
  }
  if (size_bytes >= 8) return equal_ends<std::uint64_t>(a, b, size_bytes);
  if (size_bytes >= 4) return equal_ends<std::uint32_t>(a, b, size_bytes);
  std::uint32_t difference = 0;
  for (std::size_t at = 0; at < size_bytes; ++at)
    difference |= static_cast<std::uint32_t>(a[at] ^ b[at]);
  return difference == 0;
}

/// A word whose order as a number is that of its bytes.
template <class Word>
Word load_ordered(const byte_type* from) noexcept {
  const Word value = load<Word>(from);
  if constexpr (std::endian::native == std::endian::big) return value;
  return sizeof(Word) == 8
             ? static_cast<Word>(__builtin_bswap64(value))
             : static_cast<Word>(__builtin_bswap32(static_cast<std::uint32_t>(value)));
}

template <class Word>
int compare_words(const byte_type* a, const byte_type* b) noexcept {
  const Word first = load_ordered<Word>(a);
  const Word second = load_ordered<Word>(b);
  return first < second ? -1 : static_cast<int>(first > second);
}

/// The order of both by words from the front; the last word ends with the range, and what it shares
/// with the one before is equal by then.
template <class Word>
int compare_by(const byte_type* a, const byte_type* b, std::size_t size_bytes) noexcept {
  for (std::size_t at = 0; at + sizeof(Word) < size_bytes; at += sizeof(Word)) {
    if (load<Word>(a + at) != load<Word>(b + at)) return compare_words<Word>(a + at, b + at);
  }
  return compare_words<Word>(a + size_bytes - sizeof(Word), b + size_bytes - sizeof(Word));
}

/// Requires: `size_bytes` <= `small_bytes_max`.
inline int compare_small(const byte_type* a, const byte_type* b, std::size_t size_bytes) noexcept {
  if (size_bytes >= 8) return compare_by<std::uint64_t>(a, b, size_bytes);
  if (size_bytes >= 4) return compare_by<std::uint32_t>(a, b, size_bytes);
  for (std::size_t at = 0; at < size_bytes; ++at) {
    if (a[at] != b[at]) return a[at] < b[at] ? -1 : 1;
  }
  return 0;
}

/// Returns: the position of the first `value`, or `nowhere`.
inline std::size_t find_byte(const byte_type* data, std::size_t size_bytes,
                             byte_type value) noexcept {
#if defined(__SSE2__)
  if (size_bytes >= 16 && size_bytes <= small_bytes_max) {
    const __m128i wanted = _mm_set1_epi8(static_cast<char>(value));
    const auto look = [&](std::size_t at) {
      const __m128i here = _mm_loadu_si128(reinterpret_cast<const __m128i*>(data + at));
      return static_cast<std::uint32_t>(_mm_movemask_epi8(_mm_cmpeq_epi8(here, wanted)));
    };
    const std::size_t last = size_bytes - 16;
    for (std::size_t at = 0; at < last; at += 16) {
      if (const std::uint32_t bits = look(at))
        return at + static_cast<std::size_t>(std::countr_zero(bits));
    }
    const std::uint32_t bits = look(last);
    return bits == 0 ? nowhere : last + static_cast<std::size_t>(std::countr_zero(bits));
  }
#endif
  if (size_bytes == 0) return nowhere;
  const void* found = std::memchr(data, value, size_bytes);
  return found == nullptr ? nowhere
                          : static_cast<std::size_t>(static_cast<const byte_type*>(found) - data);
}

}  // namespace acre::bytes::detail
