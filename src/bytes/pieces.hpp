#pragma once

/// Blocks of 64 bytes made of narrower vectors, for instruction sets without masked loads.
///
/// Included after the target has been set, and after `blocks.hpp`.
#include "bytes/blocks.hpp"

namespace acre::bytes::detail {

/// `Part` offers `vector`, `width` in bytes (8, 16 or 32), `load`, `splat` and `same`, which gives
/// a bit for each equal byte.
template <class Part>
struct pieces {
  using vector = typename Part::vector;
  static constexpr unsigned width = Part::width;

  static vector splat(byte_type value) noexcept { return Part::splat(value); }

  static mask equal(const byte_type* at, vector value) noexcept {
    mask bits = 0;
    for (unsigned part = 0; part < 64; part += width)
      bits |= Part::same(Part::load(at + part), value) << part;
    return bits;
  }

  static mask equal_head(const byte_type* at, unsigned count, vector value) noexcept {
    if (count == 64) return equal(at, value);
    if (count < width) return Part::same(load_few(at, count), value) & low(count);
    mask bits = 0;
    unsigned part = 0;
    for (; part + width <= count; part += width)
      bits |= Part::same(Part::load(at + part), value) << part;
    // The last vector ends where the bytes end and overlaps the one before.
    part = count - width;
    return bits | Part::same(Part::load(at + part), value) << part;
  }

  static mask differ(const byte_type* a, const byte_type* b) noexcept {
    mask bits = 0;
    for (unsigned part = 0; part < 64; part += width)
      bits |= Part::same(Part::load(a + part), Part::load(b + part)) << part;
    return ~bits;
  }

  static mask differ_head(const byte_type* a, const byte_type* b, unsigned count) noexcept {
    if (count == 64) return differ(a, b);
    if (count < width) return ~Part::same(load_few(a, count), load_few(b, count)) & low(count);
    mask bits = 0;
    unsigned part = 0;
    for (; part + width <= count; part += width)
      bits |= Part::same(Part::load(a + part), Part::load(b + part)) << part;
    part = count - width;
    bits |= Part::same(Part::load(a + part), Part::load(b + part)) << part;
    return ~bits & low(count);
  }

  /// Four at a time, written before it is known how many there are: one branch for most blocks.
  static std::uint32_t* emit(std::uint32_t* out, std::uint32_t base, mask bits) noexcept {
    std::uint32_t* const end = out + __builtin_popcountll(bits);
    do {
      for (unsigned index = 0; index < 4; ++index) {
        const int number = bits == 0 ? 64 : __builtin_ctzll(bits);
        out[index] = base + static_cast<std::uint32_t>(number);
        bits &= bits - 1;
      }
      out += 4;
    } while (bits != 0);
    return end;
  }

  static std::uint32_t* emit_few(std::uint32_t* out, std::uint32_t base, mask a, mask b, mask c,
                                 mask d) noexcept {
    out = emit(out, base, a);
    out = emit(out, base + 64, b);
    out = emit(out, base + 128, c);
    return emit(out, base + 192, d);
  }

 private:
  static mask low(unsigned count) noexcept { return (mask{1} << count) - 1; }

  /// A vector whose first `count` < `width` bytes are those at `at`; reads no other.
  static vector load_few(const byte_type* at, unsigned count) noexcept {
    byte_type copy[width] = {};
    if (count >= 16) {
      copy_ends<16>(copy, at, count);
    } else if (count >= 8) {
      copy_ends<8>(copy, at, count);
    } else if (count >= 4) {
      copy_ends<4>(copy, at, count);
    } else {
      for (unsigned index = 0; index < count; ++index)
        copy[index] = at[index];
    }
    return Part::load(copy);
  }

  /// Copies `count` bytes, from `Size` to twice that, in two pieces that may overlap.
  template <unsigned Size>
  static void copy_ends(byte_type* to, const byte_type* from, unsigned count) noexcept {
    __builtin_memcpy(to, from, Size);
    __builtin_memcpy(to + count - Size, from + count - Size, Size);
  }
};

}  // namespace acre::bytes::detail
