#pragma once

#include "base/bits.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

/// Size classes: 16-byte steps to 1 KiB, then 8 per doubling to 64 KiB.
///
/// Rounding is below 16 bytes to 1 KiB and at most 1/8 of the size above. (16 per doubling were
/// measured: what they save in rounding is less than what more classes hold in caches and in slabs
/// with few blocks, 2 % of RSS over small programs.) Every size is a multiple
/// of 16, so every block is 16-byte aligned; a class whose size is a multiple of a power of two p
/// (p up to a page) has blocks aligned to p, since slabs start at pages.
namespace acre::heaps {

inline constexpr unsigned page_shift = 12;
inline constexpr std::size_t page_bytes = std::size_t{1} << page_shift;

inline constexpr std::size_t small_bytes_max = 1024;
inline constexpr std::size_t class_bytes_max = 65536;
inline constexpr unsigned small_class_count = small_bytes_max / 16 + 1;
inline constexpr unsigned class_count = small_class_count + 6 * 8;

[[nodiscard]] constexpr unsigned small_class_of(std::size_t size_bytes) noexcept {
  return static_cast<unsigned>((size_bytes + 15) >> 4U);
}

/// Requires: small_bytes_max < size_bytes <= class_bytes_max.
[[nodiscard]] constexpr unsigned medium_class_of(std::size_t size_bytes) noexcept {
  const std::size_t last = size_bytes - 1;
  // 10 to 15; the xor is what the compiler turns into one bit-scan instruction.
  const auto doubling = static_cast<unsigned>(__builtin_clzll(last)) ^ 63U;
  // (last >> (doubling - 3)) is 8 to 15. NOLINTNEXTLINE(bugprone-implicit-widening*): below 128.
  return static_cast<unsigned>((last >> (doubling - 3)) + doubling * 8) +
         (small_class_count - 8 - 10 * 8);
}

[[nodiscard]] constexpr unsigned class_of(std::size_t size_bytes) noexcept {
  return size_bytes <= small_bytes_max ? small_class_of(size_bytes) : medium_class_of(size_bytes);
}

/// A size of which the class's blocks hold `size_bytes` at that alignment, a power of two; 0 when
/// there is none. Sizes of classes are multiples of a power of two, the step between them. So a
/// multiple of the alignment is among classes that all are multiples of it, or one of their sizes.
[[nodiscard]] constexpr std::size_t aligned_bytes(std::size_t size_bytes,
                                                  std::size_t alignment_bytes) noexcept {
  if (alignment_bytes > page_bytes || size_bytes > class_bytes_max) return 0;
  return base::align_up(size_bytes == 0 ? 1 : size_bytes, alignment_bytes);
}

[[nodiscard]] constexpr std::size_t class_bytes(unsigned size_class) noexcept {
  if (size_class < small_class_count) return std::max<std::size_t>(size_class, 1) * 16;
  const unsigned step = size_class - small_class_count;
  return static_cast<std::size_t>(9 + step % 8) << (7 + step / 8);
}

inline constexpr unsigned slab_blocks_max = 256;

/// Blocks that wait on their way to another heap: so many, or as many bytes of them.
inline constexpr std::uint32_t remote_batch_most = 62;
inline constexpr std::uint32_t remote_batch_full = 8192;

/// Blocks above this size are cached one by one until their class proves busy.
inline constexpr std::size_t large_cached_bytes = 8192;

struct slab_shape {
  std::uint16_t pages = 0;
  std::uint16_t blocks = 0;
};

/// What the slabs and the thread cache of one class look like.
struct class_shape {
  std::uint32_t bytes = 0;
  std::uint32_t reciprocal =
      0;                        ///< offset * reciprocal >> 32: index of the block that starts there
  std::uint32_t lent_most = 0;  ///< the largest block of another class that may stand in for one
  slab_shape first_slab;  ///< of a class that holds little: short, at the price of a longer rest
  slab_shape later_slab;  ///< of a class that holds much: at most 1/32 of it is no block
  slab_shape long_slab;   ///< of one that holds a megabyte in a heap whose slabs become empty
  /// Bit n: a slab of n pages, below 16, is as dense as `first_slab`. For pages that lie idle.
  std::uint16_t fitting_pages = 0;
  std::uint8_t cache_first = 0;   ///< blocks a cache holds at first
  std::uint16_t cache_most = 0;   ///< blocks it holds once the class has proved busy
  std::uint16_t swing_most = 0;   ///< above 8 KiB: blocks it may hold for the class's swings
  std::uint8_t widened_most = 0;  ///< 1 to 8 KiB: for swings and where they come and go at random
  std::uint16_t batch_part = 0;   ///< of `remote_batch_full`: what a block fills of a batch
};

/// Blocks of `bytes` bytes in a slab of so many pages.
[[nodiscard]] constexpr std::size_t blocks_in(std::size_t pages, std::size_t bytes) noexcept {
  return std::min<std::size_t>(pages * page_bytes / bytes, slab_blocks_max);
}

namespace detail {

constexpr unsigned least_blocks(std::size_t bytes) noexcept {
  if (bytes <= 1024) return 8;
  if (bytes <= 4096) return 4;
  if (bytes <= 16384) return 2;
  return 1;
}

/// Of the first slabs of a class, and of those in pages that lie idle.
inline constexpr std::size_t first_rest_part = 8;

/// Whether so many pages hold enough blocks and at most 1/`rest_part` of them is no block.
constexpr bool is_dense(std::size_t pages, std::size_t bytes, std::size_t rest_part) noexcept {
  const std::size_t blocks = blocks_in(pages, bytes);
  const std::size_t room = pages * page_bytes;
  return blocks >= least_blocks(bytes) && (room - blocks * bytes) * rest_part <= room;
}

/// The slab of the fewest pages that is dense.
constexpr slab_shape slab_shape_for(std::size_t bytes, std::size_t rest_part) noexcept {
  std::size_t pages = 1;
  while (!is_dense(pages, bytes, rest_part))
    ++pages;
  return {static_cast<std::uint16_t>(pages), static_cast<std::uint16_t>(blocks_in(pages, bytes))};
}

/// As many blocks as fit into four pages; above 256 bytes, where these are few, into eight, and
/// above 8 KiB into 16.
constexpr slab_shape long_slab_for(std::size_t bytes) noexcept {
  const std::size_t pages_most = bytes <= 256 ? 4 : bytes <= 8192 ? 8 : 16;
  const std::size_t blocks = blocks_in(pages_most, bytes);
  const std::size_t pages = base::divide_up(blocks * bytes, page_bytes);
  return {static_cast<std::uint16_t>(pages), static_cast<std::uint16_t>(blocks)};
}

constexpr std::uint16_t fitting_pages_for(std::size_t bytes) noexcept {
  unsigned bits = 0;
  for (unsigned pages = 1; pages < 16; ++pages)
    if (is_dense(pages, bytes, first_rest_part)) bits |= 1U << pages;
  return static_cast<std::uint16_t>(bits);
}

constexpr class_shape shape_of(unsigned size_class) noexcept {
  class_shape shape;
  const std::size_t bytes = class_bytes(size_class);
  shape.bytes = static_cast<std::uint32_t>(bytes);
  shape.reciprocal = static_cast<std::uint32_t>(((std::uint64_t{1} << 32U) + bytes - 1) / bytes);
  // What the class's smallest request may cost: an eighth, as with the class's own blocks.
  const std::size_t least = size_class < 2 ? 1 : class_bytes(size_class - 1) + 1;
  shape.lent_most = static_cast<std::uint32_t>(least + std::max<std::size_t>(15, least / 8));
  shape.first_slab = slab_shape_for(bytes, first_rest_part);
  shape.later_slab = slab_shape_for(bytes, 32);
  shape.long_slab = long_slab_for(bytes);
  shape.fitting_pages = fitting_pages_for(bytes);
  shape.cache_first = static_cast<std::uint8_t>(std::clamp<std::size_t>(8192 / bytes, 2, 8));
  // 32 KiB of the smallest blocks, 16 KiB of the others: what a thread may hold of a class that
  // showed no need for more.
  shape.cache_most = static_cast<std::uint16_t>(
      std::clamp<std::size_t>((bytes <= 256 ? 32768 : 16384) / bytes, shape.cache_first, 256));
  shape.swing_most =
      static_cast<std::uint16_t>(bytes > large_cached_bytes ? 1048576 / bytes : 0);  // a megabyte
  if (bytes > small_bytes_max && bytes <= large_cached_bytes)
    shape.widened_most = static_cast<std::uint8_t>(std::min<std::size_t>(65536 / bytes, 16));
  shape.batch_part = static_cast<std::uint16_t>(std::clamp<std::size_t>(
      bytes, base::divide_up(remote_batch_full, remote_batch_most), remote_batch_full));
  return shape;
}

}  // namespace detail

inline constexpr auto class_shapes = [] {
  std::array<class_shape, class_count> shapes{};
  for (unsigned c = 0; c < class_count; ++c)
    shapes[c] = detail::shape_of(c);
  return shapes;
}();

// The extremes of both maps, and that every class is at home in itself.
static_assert(class_of(0) == 0 && class_of(1) == 1 && class_of(16) == 1 && class_of(17) == 2);
static_assert(class_of(1024) == 64 && class_of(1025) == 65 && class_of(65536) == class_count - 1);
static_assert([] {
  for (unsigned c = 2; c < class_count; ++c) {
    if (class_of(class_bytes(c)) != c || class_of(class_bytes(c - 1) + 1) != c) return false;
  }
  return true;
}());

}  // namespace acre::heaps
