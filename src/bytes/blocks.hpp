#pragma once

/// Blocks of 64 positions, and needles that are short enough to be compared within them, over the
/// vector operations of one instruction set.
///
/// A *position* is where a match could begin: 0 to haystack - needle. A *block* is 64 positions; a
/// `mask` has a bit for each. The search never reads outside haystack and needle: 64 positions
/// before `to` need the bytes up to `to - 1 + needle`, which are the haystack's, and shorter blocks
/// go through `equal_head`, which reads `count` bytes and no more.
///
/// What `Ops` must offer, all static:
///
///     vector splat(byte_type)                             64 copies, or fewer used repeatedly
///     mask equal(const byte_type*, vector)                64 bytes against the vector
///     mask equal_head(const byte_type*, unsigned count, vector)    1 to 64 bytes
///     mask differ(const byte_type*, const byte_type*)     64 bytes against 64 bytes
///     mask differ_head(const byte_type*, const byte_type*, unsigned count)    1 to 64 bytes
///     uint32_t* emit(uint32_t* out, uint32_t base, mask)  base + each set bit, lowest first; may
///                                                         write 64 entries whatever the mask;
///                                                         returns the end of those that count
///     uint32_t* emit_few(uint32_t* out, uint32_t base, mask, mask, mask, mask)
///                                                         the same for four blocks side by side,
///                                                         of fewer than 16 set bits each
///
/// Included after the target has been set, so all that it includes has been included before: see
/// `target_avx2.cpp`.
#include "bytes/kernels.hpp"

namespace acre::bytes::detail {

using mask = std::uint64_t;

template <class Ops>
struct blocks {
  using vector = typename Ops::vector;

  static unsigned lowest(mask bits) noexcept {
    return static_cast<unsigned>(__builtin_ctzll(bits));
  }
  static unsigned highest(mask bits) noexcept {
    return 63U - static_cast<unsigned>(__builtin_clzll(bits));
  }
  static unsigned ones(mask bits) noexcept {
    return static_cast<unsigned>(__builtin_popcountll(bits));
  }

  static mask equal(const byte_type* at, unsigned count, vector value) noexcept {
    return Ops::equal_head(at, count, value);
  }

  /// Returns: how many bytes agree from the start.
  static std::size_t common_bytes(const byte_type* a, const byte_type* b,
                                  std::size_t size_bytes) noexcept {
    std::size_t at = 0;
    for (; size_bytes - at >= 64; at += 64) {
      if (const mask bits = Ops::differ(a + at, b + at)) return at + lowest(bits);
    }
    if (at == size_bytes) return at;
    const mask bits = Ops::differ_head(a + at, b + at, static_cast<unsigned>(size_bytes - at));
    return bits != 0 ? at + lowest(bits) : size_bytes;
  }

  /// The same, faster where the first eight bytes decide.
  static std::size_t common_bytes_soon(const byte_type* a, const byte_type* b,
                                       std::size_t size_bytes) noexcept {
    if (size_bytes >= 8 && std::endian::native == std::endian::little) {
      const std::uint64_t difference = load_8(a) ^ load_8(b);
      if (difference != 0) return lowest(difference) / 8;
    }
    return common_bytes(a, b, size_bytes);
  }

  static bool is_equal(const byte_type* a, const byte_type* b, std::size_t size_bytes) noexcept {
    return common_bytes(a, b, size_bytes) == size_bytes;
  }

  /// The same for 1 to 64 bytes.
  static bool is_equal_short(const byte_type* a, const byte_type* b,
                             std::size_t size_bytes) noexcept {
    return Ops::differ_head(a, b, static_cast<unsigned>(size_bytes)) == 0;
  }

  // --- Needles of up to 64 bytes: every candidate is settled within its block. ---

  /// Leaves of `bits` those positions from `at` where the whole needle is.
  static mask confirm(const byte_type* at, unsigned count, const byte_type* needle,
                      std::size_t needle_bytes, std::size_t& period, mask bits) noexcept {
    constexpr unsigned few = 4;
    if (ones(bits) > few) return confirm_many(at, count, needle, needle_bytes, period, bits);
    mask confirmed = 0;
    for (; bits != 0; bits &= bits - 1) {
      if (is_equal_short(at + lowest(bits), needle, needle_bytes)) confirmed |= bits & (~bits + 1);
    }
    return confirmed;
  }

  /// The same for many candidates: all 64 positions at once, one byte of the needle after the
  /// other; of a periodic needle only one period.
  [[gnu::noinline]] static mask confirm_many(const byte_type* at, unsigned count,
                                             const byte_type* needle, std::size_t needle_bytes,
                                             std::size_t& period, mask bits) noexcept {
    if (period == 0) period = period_of(needle, needle_bytes);
    if (count == 64 && period <= needle_bytes / 2)
      return bits & periodic_matches(at, needle, needle_bytes, period);
    std::size_t index = 0;
    for (; index + 4 <= needle_bytes && bits != 0; index += 4) {
      const mask two = equal(at + index, count, Ops::splat(needle[index])) &
                       equal(at + index + 1, count, Ops::splat(needle[index + 1]));
      bits &= two & equal(at + index + 2, count, Ops::splat(needle[index + 2])) &
              equal(at + index + 3, count, Ops::splat(needle[index + 3]));
    }
    for (; index < needle_bytes && bits != 0; ++index)
      bits &= equal(at + index, count, Ops::splat(needle[index]));
    return bits;
  }

  /// Where a short needle begins among 1 to 64 positions.
  static mask matches_of(const byte_type* haystack, unsigned positions, const byte_type* needle,
                         std::size_t needle_bytes) noexcept {
    mask bits = equal(haystack, positions, Ops::splat(needle[0]));
    if (needle_bytes == 1 || bits == 0) return bits;
    const std::size_t last = needle_bytes - 1;
    bits &= equal(haystack + last, positions, Ops::splat(needle[last]));
    if (needle_bytes == 2 || bits == 0) return bits;
    std::size_t period = 0;
    return confirm(haystack, positions, needle, needle_bytes, period, bits);
  }

  /// The smallest period of a short needle: the smallest shift at which all that overlaps is equal.
  static std::size_t period_of(const byte_type* needle, std::size_t needle_bytes) noexcept {
    mask starts = equal(needle, static_cast<unsigned>(needle_bytes), Ops::splat(needle[0]));
    for (starts &= starts - 1; starts != 0; starts &= starts - 1) {
      const unsigned shift = lowest(starts);
      if (is_equal(needle, needle + shift, needle_bytes - shift)) return shift;
    }
    return needle_bytes;
  }

  /// 128 positions, as 64 are not enough for what lies up to 64 bytes ahead.
  struct wide_mask {
    mask low;
    mask high;
    [[nodiscard]] wide_mask ahead(std::size_t shift) const noexcept {
      if (shift == 0) return *this;
      if (shift >= 64) return {high >> (shift - 64), 0};
      return {low >> shift | high << (64 - shift), high >> shift};
    }
    wide_mask operator&(const wide_mask& other) const noexcept {
      return {low & other.low, high & other.high};
    }
  };

  /// Where one period is, then two, four and so on, by laying the mask over itself.
  ///
  /// Requires: 64 positions from `at`, and `period` <= `needle_bytes` / 2.
  static mask periodic_matches(const byte_type* at, const byte_type* needle,
                               std::size_t needle_bytes, std::size_t period) noexcept {
    const std::size_t rest = needle_bytes % period;
    const std::size_t periods = needle_bytes / period;
    wide_mask whole{~mask{0}, ~mask{0}};
    wide_mask part = whole;
    for (std::size_t index = 0; index < period; ++index) {
      if (index == rest) part = whole;
      const vector value = Ops::splat(needle[index]);
      // Of the upper positions those that the needle at the last of the 64 reaches, and no more.
      const auto upper = static_cast<unsigned>(needle_bytes - (index < rest ? rest : period));
      whole = whole & wide_mask{Ops::equal(at + index, value),
                                Ops::equal_head(at + index + 64, upper, value)};
    }
    std::size_t covered = 1;
    while (covered < periods) {
      const std::size_t more = covered < periods - covered ? covered : periods - covered;
      whole = whole & whole.ahead(more * period);
      covered += more;
    }
    return rest == 0 ? whole.low : whole.low & part.ahead(periods * period).low;
  }

  /// Four blocks: 256 positions. Written out, since compilers keep an array of masks in memory.
  struct group {
    static constexpr std::size_t positions = 256;
    mask a, b, c, d;
    [[nodiscard, gnu::always_inline]] bool is_empty() const noexcept {
      return (a | b | c | d) == 0;
    }
    [[nodiscard, gnu::always_inline]] bool is_sparse() const noexcept {
      return (ones(a) | ones(b) | ones(c) | ones(d)) < 16;
    }
    [[nodiscard]] std::size_t first() const noexcept {
      if (a != 0) return lowest(a);
      if (b != 0) return 64 + lowest(b);
      return c != 0 ? 128 + lowest(c) : 192 + lowest(d);
    }
    [[nodiscard]] std::size_t last() const noexcept {
      if (d != 0) return 192 + highest(d);
      if (c != 0) return 128 + highest(c);
      return b != 0 ? 64 + highest(b) : highest(a);
    }
    [[gnu::always_inline]] group& operator&=(const group& other) noexcept {
      a &= other.a;
      b &= other.b;
      c &= other.c;
      d &= other.d;
      return *this;
    }
  };

  /// Two probes, in registers.
  struct probe_pair {
    std::size_t offset_a;
    std::size_t offset_b;
    vector a;
    vector b;
    probe_pair(const byte_type* needle, std::size_t first, std::size_t second) noexcept
        : offset_a(first),
          offset_b(second),
          a(Ops::splat(needle[first])),
          b(Ops::splat(needle[second])) {}
    [[nodiscard, gnu::always_inline]] mask one(const byte_type* at) const noexcept {
      return Ops::equal(at + offset_a, a);
    }
    [[nodiscard, gnu::always_inline]] mask both(const byte_type* at) const noexcept {
      return Ops::equal(at + offset_a, a) & Ops::equal(at + offset_b, b);
    }
    [[nodiscard, gnu::always_inline]] group at_group(const byte_type* at) const noexcept {
      return {both(at), both(at + 64), both(at + 128), both(at + 192)};
    }
    [[nodiscard]] mask both(const byte_type* at, unsigned count) const noexcept {
      return equal(at + offset_a, count, a) & equal(at + offset_b, count, b);
    }
  };

  /// Where even one byte of the needle is seldom, one load a block decides instead of two. Asked
  /// after each group without a candidate, it tries that now and then: the more seldom, the less it
  /// helped.
  class leaper {
   public:
    /// Returns: `at`, or a position further on; none of the groups between has `value` at `offset`.
    [[gnu::always_inline]] std::size_t over(const byte_type* haystack, std::size_t at,
                                            std::size_t to, std::size_t offset,
                                            vector value) noexcept {
      if (++quiet_groups_ < patience_) return at;
      quiet_groups_ = 0;
      const std::size_t start = at;
      while (to - at >= group::positions && is_absent(haystack + at + offset, value))
        at += group::positions;
      const bool has_helped = at - start >= 16 * group::positions;
      patience_ = has_helped ? patience_min : patience_ * 2;
      return at;
    }

   private:
    static constexpr std::size_t patience_min = 16;
    [[gnu::always_inline]] static bool is_absent(const byte_type* at, vector value) noexcept {
      return (Ops::equal(at, value) | Ops::equal(at + 64, value) | Ops::equal(at + 128, value) |
              Ops::equal(at + 192, value)) == 0;
    }
    std::size_t quiet_groups_ = 0;
    std::size_t patience_ = patience_min;
  };

  struct probes {
    static constexpr unsigned all = 8;
    std::size_t offset[all];
    vector value[all];
    explicit probes(const needle_plan& plan) noexcept {
      for (unsigned index = 0; index < all; ++index) {
        offset[index] = plan.probes[index].offset;
        value[index] = Ops::splat(plan.probes[index].value);
      }
    }
    void replace(const needle_plan& plan, unsigned index, std::size_t by) noexcept {
      offset[index] = by;
      value[index] = Ops::splat(plan.data[by]);
    }
    [[nodiscard]] mask one(unsigned index, const byte_type* at, unsigned count) const noexcept {
      return equal(at + offset[index], count, value[index]);
    }
    /// Two probes, from `first`, at 64 positions.
    [[nodiscard, gnu::always_inline]] mask two(unsigned first, const byte_type* at) const noexcept {
      return Ops::equal(at + offset[first], value[first]) &
             Ops::equal(at + offset[first + 1], value[first + 1]);
    }
    [[nodiscard, gnu::always_inline]] group two_at_group(unsigned first,
                                                         const byte_type* at) const noexcept {
      return {two(first, at), two(first, at + 64), two(first, at + 128), two(first, at + 192)};
    }
    [[nodiscard]] mask two(unsigned first, const byte_type* at, unsigned count) const noexcept {
      return equal(at + offset[first], count, value[first]) &
             equal(at + offset[first + 1], count, value[first + 1]);
    }
  };

  /// The candidates from `at`: positions where all probes agree. Rare bytes rule out most groups at
  /// the first two probes. In texts of few letters those never do, but six probes together do: with
  /// fewer, a branch that nothing can predict would cost more than the loads.
  [[gnu::always_inline]] static group candidates(const byte_type* at, std::size_t needle_bytes,
                                                 const probes& look) noexcept {
    group found = look.two_at_group(0, at);
    if (found.is_empty() || needle_bytes == 2) return found;
    found &= look.two_at_group(2, at);
    if (needle_bytes <= 4) return found;
    found &= look.two_at_group(4, at);
    if (!found.is_empty() && needle_bytes > 6) found &= look.two_at_group(6, at);
    return found;
  }

  /// The same for one block of `count` positions.
  static mask candidates(const byte_type* at, unsigned count, std::size_t needle_bytes,
                         const probes& look) noexcept {
    mask found = look.two(0, at, count);
    for (unsigned stage = 2; stage < probes::all && stage < needle_bytes && found != 0; stage += 2)
      found &= look.two(stage, at, count);
    return found;
  }

  /// How far to the next position whose first probe begins a cache line: loads across lines cost
  /// twice as much.
  static std::size_t to_line(const byte_type* at, const probes& look) noexcept {
    return to_line(at + look.offset[0]);
  }
  static std::size_t to_line(const byte_type* at) noexcept {
    return 64 - reinterpret_cast<std::uintptr_t>(at) % 64;
  }

  /// The matches from `at` of a short needle.
  [[gnu::always_inline]] static group matches(const byte_type* at, const needle_plan& plan,
                                              const probes& look) noexcept {
    group found = candidates(at, plan.size_bytes, look);
    if (plan.size_bytes <= probes::all || found.is_empty()) return found;
    found.a = confirm(at, 64, plan.data, plan.size_bytes, plan.period_bytes, found.a);
    found.b = confirm(at + 64, 64, plan.data, plan.size_bytes, plan.period_bytes, found.b);
    found.c = confirm(at + 128, 64, plan.data, plan.size_bytes, plan.period_bytes, found.c);
    found.d = confirm(at + 192, 64, plan.data, plan.size_bytes, plan.period_bytes, found.d);
    return found;
  }

  static mask matches(const byte_type* at, unsigned count, const needle_plan& plan,
                      const probes& look) noexcept {
    const mask found = candidates(at, count, plan.size_bytes, look);
    if (plan.size_bytes <= probes::all || found == 0) return found;
    return confirm(at, count, plan.data, plan.size_bytes, plan.period_bytes, found);
  }

  /// What is left when fewer than 64 positions are: one block that may begin before `from`.
  struct last_block {
    std::size_t at;
    unsigned count;
    mask wanted;
    last_block(std::size_t from, std::size_t to) noexcept
        : at(to >= 64 ? to - 64 : from),
          count(to >= 64 ? 64U : static_cast<unsigned>(to - from)),
          wanted(~mask{0} << (from - at)) {}
  };
};

}  // namespace acre::bytes::detail
