#pragma once

#include <acre/bytes/detail/search.hpp>

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

/// Operations on up to 64 bytes without a call: there, the call of the C library's function is most
/// of the cost. Loads and stores of fixed sizes from both ends meet in the middle or overlap.
namespace acre::bytes::detail {

inline constexpr std::size_t small_bytes_max = 64;

/// Whether the C library does it. Code is laid out so that this way has no jump: the other has time
/// to spare.
[[gnu::always_inline]] inline bool is_large(std::size_t size_bytes) noexcept {
  return __builtin_expect_with_probability(size_bytes > small_bytes_max, true, 0.6) != 0;
}

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
using words_16 = std::uint64_t __attribute__((vector_size(16)));

/// Moves `size_bytes`, from sizeof(Word) to twice that; all is loaded before anything is stored, so
/// the ranges may overlap.
template <class Word>
void move_ends(byte_type* to, const byte_type* from, std::size_t size_bytes) noexcept {
  const Word first = load<Word>(from);
  const Word last = load<Word>(from + size_bytes - sizeof(Word));
  store(to, first);
  store(to + size_bytes - sizeof(Word), last);
}

/// The same for 33 to 64 bytes.
inline void move_halves(byte_type* to, const byte_type* from, std::size_t size_bytes) noexcept {
  const auto a = load<block_16>(from);
  const auto b = load<block_16>(from + 16);
  const auto c = load<block_16>(from + size_bytes - 32);
  const auto d = load<block_16>(from + size_bytes - 16);
  store(to, a);
  store(to + 16, b);
  store(to + size_bytes - 32, c);
  store(to + size_bytes - 16, d);
}

/// Requires: `size_bytes` <= `small_bytes_max`. The ranges may overlap.
inline void move_small(byte_type* to, const byte_type* from, std::size_t size_bytes) noexcept {
  if (size_bytes >= 16) {
    if (size_bytes > 32) return move_halves(to, from, size_bytes);
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
  if (size_bytes >= 16) {
    const words_16 block{pattern, pattern};
    store(to, block);
    store(to + size_bytes - 16, block);
    if (size_bytes <= 32) return;
    store(to + 16, block);
    return store(to + size_bytes - 32, block);
  }
  if (size_bytes >= 8) return fill_ends<std::uint64_t>(to, pattern, size_bytes);
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

/// The bits in which 16 bytes differ.
inline words_16 difference_16(const byte_type* a, const byte_type* b) noexcept {
  return load<words_16>(a) ^ load<words_16>(b);
}

inline bool is_zero(words_16 bits) noexcept {
#if defined(__SSE2__)
  const auto same = _mm_cmpeq_epi8(reinterpret_cast<__m128i>(bits), _mm_setzero_si128());
  return _mm_movemask_epi8(same) == 0xffff;
#else
  return (bits[0] | bits[1]) == 0;
#endif
}

/// Requires: `size_bytes` <= `small_bytes_max`.
inline bool equal_small(const byte_type* a, const byte_type* b, std::size_t size_bytes) noexcept {
  if (size_bytes >= 16) {
    const std::size_t last = size_bytes - 16;
    words_16 difference = difference_16(a, b) | difference_16(a + last, b + last);
    if (size_bytes > 32) {
      difference |= difference_16(a + 16, b + 16);
      difference |= difference_16(a + last - 16, b + last - 16);
    }
    return is_zero(difference);
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

/// What the C library found, as a position.
inline std::optional<std::size_t> position_of(const void* found, const byte_type* data) noexcept {
  if (found == nullptr) return std::nullopt;
  return static_cast<std::size_t>(static_cast<const byte_type*>(found) - data);
}

#if defined(__SSE2__)
/// A bit for each of the 16 bytes that equals `value`.
inline std::uint32_t equal_bits_16(const byte_type* at, __m128i value) noexcept {
  const __m128i here = _mm_loadu_si128(reinterpret_cast<const __m128i*>(at));
  return static_cast<std::uint32_t>(_mm_movemask_epi8(_mm_cmpeq_epi8(here, value)));
}

/// A bit for each of 16 to 64 bytes that equals `value`; four loads, which overlap.
inline std::uint64_t equal_bits(const byte_type* data, std::size_t size_bytes,
                                byte_type value) noexcept {
  const __m128i wanted = _mm_set1_epi8(static_cast<char>(value));
  const std::size_t last = size_bytes - 16;
  std::uint64_t bits = equal_bits_16(data, wanted);
  bits |= std::uint64_t{equal_bits_16(data + last, wanted)} << last;
  if (size_bytes <= 32) return bits;
  bits |= std::uint64_t{equal_bits_16(data + 16, wanted)} << 16U;
  return bits | std::uint64_t{equal_bits_16(data + last - 16, wanted)} << (last - 16);
}
#endif

/// The first of 0 to 64 bytes that equals `value`, or nothing.
inline std::optional<std::size_t> find_byte_small(const byte_type* data, std::size_t size_bytes,
                                                  byte_type value) noexcept {
#if defined(__SSE2__)
  if (size_bytes >= 16) {
    const std::uint64_t bits = equal_bits(data, size_bytes, value);
    if (bits == 0) return std::nullopt;
    return static_cast<std::size_t>(std::countr_zero(bits));
  }
#endif
  if (size_bytes == 0) return std::nullopt;
  return position_of(std::memchr(data, value, size_bytes), data);
}

/// The last of them.
inline std::optional<std::size_t> rfind_byte_small(const byte_type* data, std::size_t size_bytes,
                                                   byte_type value) noexcept {
#if defined(__SSE2__)
  if (size_bytes >= 16) {
    const std::uint64_t bits = equal_bits(data, size_bytes, value);
    if (bits == 0) return std::nullopt;
    return static_cast<std::size_t>(63 - std::countl_zero(bits));
  }
#endif
  if (size_bytes == 0) return std::nullopt;
  return position_of(::memrchr(data, value, size_bytes), data);
}

/// Returns: the position of the first `value`, or nothing. Inlined, as a call more would cost as
/// much as a twentieth of the C library's search in 256 bytes.
[[gnu::always_inline]] inline std::optional<std::size_t> find_byte(const byte_type* data,
                                                                   std::size_t size_bytes,
                                                                   byte_type value) noexcept {
  if (is_large(size_bytes)) return position_of(std::memchr(data, value, size_bytes), data);
  return find_byte_small(data, size_bytes, value);
}

/// Returns: the position of the last `value`, or nothing.
[[gnu::always_inline]] inline std::optional<std::size_t> rfind_byte(const byte_type* data,
                                                                    std::size_t size_bytes,
                                                                    byte_type value) noexcept {
  if (is_large(size_bytes)) return position_of(::memrchr(data, value, size_bytes), data);
  return rfind_byte_small(data, size_bytes, value);
}

}  // namespace acre::bytes::detail
