#pragma once

/// The algorithms of search, over the vector operations of one instruction set.
///
/// A *position* is where a match could begin: 0 to haystack - needle. A *block* is 64 positions; a
/// `mask` has a bit for each. The engine never reads outside haystack and needle: 64 positions
/// before `to` need the bytes up to `to - 1 + needle`, which are the haystack's, and shorter blocks
/// go through `equal_head`, which reads `count` bytes and no more.
///
/// What `Ops` must offer, all static:
///
///     vector splat(byte_type)                             64 copies, or fewer used repeatedly
///     mask equal(const byte_type*, vector)                64 bytes against the vector
///     mask equal_head(const byte_type*, unsigned count, vector)    count < 64 bytes
///     mask differ(const byte_type*, const byte_type*)     64 bytes against 64 bytes
///     mask differ_head(const byte_type*, const byte_type*, unsigned count)    count < 64
///     void emit(uint32_t* out, uint32_t base, mask)       base + each set bit, lowest first; may
///                                                         write 64 entries whatever the mask
///
/// Included after the target has been set, so all that it includes has been included before: see
/// `target_avx2.cpp`.
#include "bytes/kernels.hpp"

namespace acre::bytes::detail {

using mask = std::uint64_t;

template <class Ops>
struct engine {
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
    return count == 64 ? Ops::equal(at, value) : Ops::equal_head(at, count, value);
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

  // --- Needles of up to 64 bytes: every candidate is settled within its block. ---

  /// Leaves of `bits` those positions from `at` where the whole needle is.
  static mask confirm(const byte_type* at, unsigned count, const byte_type* needle,
                      std::size_t needle_bytes, std::size_t& period, mask bits) noexcept {
    constexpr unsigned few = 4;
    if (ones(bits) > few) return confirm_many(at, count, needle, needle_bytes, period, bits);
    mask confirmed = 0;
    for (; bits != 0; bits &= bits - 1) {
      if (is_equal(at + lowest(bits), needle, needle_bytes)) confirmed |= bits & (~bits + 1);
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
    /// Two probes, from `first`, at 64 positions.
    [[nodiscard, gnu::always_inline]] mask two(unsigned first, const byte_type* at) const noexcept {
      return Ops::equal(at + offset[first], value[first]) &
             Ops::equal(at + offset[first + 1], value[first + 1]);
    }
    [[nodiscard]] mask two(unsigned first, const byte_type* at, unsigned count) const noexcept {
      return equal(at + offset[first], count, value[first]) &
             equal(at + offset[first + 1], count, value[first + 1]);
    }
  };

  /// Four blocks: 256 positions. Written out, since compilers keep an array of masks in memory.
  struct group {
    static constexpr std::size_t positions = 256;
    mask a, b, c, d;
    [[nodiscard, gnu::always_inline]] bool is_empty() const noexcept {
      return (a | b | c | d) == 0;
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
    [[gnu::always_inline]] void narrow(const byte_type* at, const probes& look,
                                       unsigned stage) noexcept {
      a &= look.two(stage, at);
      b &= look.two(stage, at + 64);
      c &= look.two(stage, at + 128);
      d &= look.two(stage, at + 192);
    }
  };

  /// The candidates from `at`: positions where all probes agree. Rare bytes rule out most groups at
  /// the first two probes. In texts of few letters those never do, but six probes together do: with
  /// fewer, a branch that nothing can predict would cost more than the loads.
  [[gnu::always_inline]] static group candidates(const byte_type* at, std::size_t needle_bytes,
                                                 const probes& look) noexcept {
    group found{look.two(0, at), look.two(0, at + 64), look.two(0, at + 128),
                look.two(0, at + 192)};
    if (found.is_empty() || needle_bytes == 2) return found;
    found.narrow(at, look, 2);
    if (needle_bytes <= 4) return found;
    found.narrow(at, look, 4);
    if (!found.is_empty() && needle_bytes > 6) found.narrow(at, look, 6);
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
    return 64 - reinterpret_cast<std::uintptr_t>(at + look.offset[0]) % 64;
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

  static std::size_t first_short(const needle_plan& plan, const byte_type* haystack,
                                 std::size_t from, std::size_t to) noexcept {
    const probes look(plan);
    std::size_t at = from;
    if (to - at >= 2 * group::positions) {
      const mask found = matches(haystack + at, 64, plan, look);
      if (found != 0) return at + lowest(found);
      at += to_line(haystack + at, look);
    }
    for (; to - at >= group::positions; at += group::positions) {
      const group found = matches(haystack + at, plan, look);
      if (!found.is_empty()) return at + found.first();
    }
    for (; to - at >= 64; at += 64) {
      const mask found = matches(haystack + at, 64, plan, look);
      if (found != 0) return at + lowest(found);
    }
    if (at == to) return nowhere;
    const last_block last(at, to);
    const mask found = matches(haystack + last.at, last.count, plan, look) & last.wanted;
    return found != 0 ? last.at + lowest(found) : nowhere;
  }

  static std::size_t last_short(const needle_plan& plan, const byte_type* haystack,
                                std::size_t to) noexcept {
    const probes look(plan);
    for (; to >= group::positions; to -= group::positions) {
      const group found = matches(haystack + to - group::positions, plan, look);
      if (!found.is_empty()) return to - group::positions + found.last();
    }
    while (to != 0) {
      const unsigned count = to < 64 ? static_cast<unsigned>(to) : 64U;
      to -= count;
      const mask found = matches(haystack + to, count, plan, look);
      if (found != 0) return to + highest(found);
    }
    return nowhere;
  }

  static void emit(match_batch& batch, std::size_t at, mask bits) noexcept {
    Ops::emit(batch.offsets.data() + batch.count, static_cast<std::uint32_t>(at - batch.base),
              bits);
    batch.count += ones(bits);
  }

  /// Emits only matches that share no byte with the one before. Returns: the first position allowed
  /// next; `next` is the one until now.
  static std::size_t emit_apart(match_batch& batch, std::size_t at, mask bits,
                                std::size_t needle_bytes, std::size_t next) noexcept {
    while (true) {
      if (next >= at + 64) return next;
      if (next > at) bits &= ~mask{0} << (next - at);
      if (bits == 0) return next;
      const std::size_t position = at + lowest(bits);
      batch.offsets[batch.count++] = static_cast<std::uint32_t>(position - batch.base);
      next = position + needle_bytes;
    }
  }

  /// Offsets in a batch are 32 bits.
  static constexpr std::size_t batch_reach = std::size_t{1} << 31U;
  static constexpr std::size_t fullest_batch = match_batch::capacity - group::positions;

  static void next_short(const needle_plan& plan, search_state& state,
                         match_batch& batch) noexcept {
    const std::size_t end = state.size_bytes - plan.size_bytes + 1;
    const std::size_t to = end - state.position > batch_reach ? state.position + batch_reach : end;
    // The last block may begin before the position, yet offsets must not be negative.
    batch.base = state.position >= 64 ? state.position - 64 : 0;
    batch.count = 0;
    state.position = plan.period_bytes < plan.size_bytes ? next_overlapping(plan, state, batch, to)
                                                         : next_apart(plan, state, batch, to);
  }

  /// For needles that can overlap themselves. Returns: where to go on.
  static std::size_t next_overlapping(const needle_plan& plan, const search_state& state,
                                      match_batch& batch, std::size_t to) noexcept {
    const probes look(plan);
    std::size_t at = state.position;
    std::size_t next = at;
    for (; to - at >= group::positions && batch.count <= fullest_batch; at += group::positions) {
      const group found = matches(state.haystack + at, plan, look);
      if (found.is_empty()) continue;
      next = emit_apart(batch, at, found.a, plan.size_bytes, next);
      next = emit_apart(batch, at + 64, found.b, plan.size_bytes, next);
      next = emit_apart(batch, at + 128, found.c, plan.size_bytes, next);
      next = emit_apart(batch, at + 192, found.d, plan.size_bytes, next);
    }
    while (at < to && batch.count <= fullest_batch) {
      const last_block last = to - at >= 64 ? last_block(at, at + 64) : last_block(at, to);
      const mask found = matches(state.haystack + last.at, last.count, plan, look) & last.wanted;
      next = emit_apart(batch, last.at, found, plan.size_bytes, next);
      at = last.at + last.count;
    }
    return next > at ? next : at;
  }

  /// For other needles. Returns: where to go on.
  static std::size_t next_apart(const needle_plan& plan, const search_state& state,
                                match_batch& batch, std::size_t to) noexcept {
    const probes look(plan);
    std::size_t at = state.position;
    if (to - at >= 2 * group::positions) {
      const std::size_t skip = to_line(state.haystack + at, look);
      emit(batch, at, matches(state.haystack + at, 64, plan, look) & (~mask{0} >> (64 - skip)));
      at += skip;
    }
    for (; to - at >= group::positions && batch.count <= fullest_batch; at += group::positions) {
      const group found = matches(state.haystack + at, plan, look);
      if (found.is_empty()) continue;
      emit(batch, at, found.a);
      emit(batch, at + 64, found.b);
      emit(batch, at + 128, found.c);
      emit(batch, at + 192, found.d);
    }
    while (at < to && batch.count <= fullest_batch) {
      const last_block last = to - at >= 64 ? last_block(at, at + 64) : last_block(at, to);
      emit(batch, last.at, matches(state.haystack + last.at, last.count, plan, look) & last.wanted);
      at = last.at + last.count;
    }
    return at;
  }

  // --- Longer needles: probes, until false candidates have cost too much; then two-way. ---

  /// Whether false candidates have cost more than an eighth of a nanosecond a byte.
  static bool is_too_much(const search_state& state, std::size_t at) noexcept {
    return state.work > 4096 + (at - state.start) / 2;
  }

  /// Settles candidates, lowest first. Returns: the first match or `nowhere`; then the caller asks
  /// `is_too_much`.
  static std::size_t first_of(const needle_plan& plan, search_state& state, std::size_t at,
                              mask bits) noexcept {
    for (; bits != 0; bits &= bits - 1) {
      const std::size_t position = at + lowest(bits);
      const std::size_t same = common_bytes(state.haystack + position, plan.data, plan.size_bytes);
      if (same == plan.size_bytes) return position;
      state.work += 16 + same / 16;
    }
    return nowhere;
  }

  /// Looks at positions [from, to) with the probes. Returns: the first match or `nowhere`; if it
  /// gave up, the mode is linear and `state.position` is where to go on.
  static std::size_t first_dense(const needle_plan& plan, search_state& state, std::size_t from,
                                 std::size_t to) noexcept {
    const probes look(plan);
    std::size_t at = from;
    if (to - at >= 2 * group::positions) {
      const mask left = candidates(state.haystack + at, 64, plan.size_bytes, look);
      const std::size_t found = first_of(plan, state, at, left);
      if (found != nowhere) return found;
      at += to_line(state.haystack + at, look);
    }
    while (to - at >= 64) {
      const bool is_group = to - at >= group::positions;
      if (is_group && candidates(state.haystack + at, plan.size_bytes, look).is_empty()) {
        at += group::positions;
        continue;
      }
      const std::size_t stop = at + (is_group ? group::positions : 64);
      for (; at != stop; at += 64) {
        const mask left = candidates(state.haystack + at, 64, plan.size_bytes, look);
        if (left == 0) continue;
        const std::size_t found = first_of(plan, state, at, left);
        if (found != nowhere) return found;
        if (is_too_much(state, at)) return give_up(state, at + 64);
      }
    }
    if (at == to) return nowhere;
    const last_block last(at, to);
    const mask left = candidates(state.haystack + last.at, last.count, plan.size_bytes, look);
    return first_of(plan, state, last.at, left & last.wanted);
  }

  static std::size_t give_up(search_state& state, std::size_t position) noexcept {
    state.mode = search_mode::linear;
    state.position = position;
    return nowhere;
  }

  /// Looks up one 8-byte piece in a needle's length: a match that begins in [at, at + stride) holds
  /// the piece at `at + sample_bytes - 8`, so when the needle's beginning does not, all are
  /// skipped.
  static std::size_t first_sampled(const needle_plan& plan, search_state& state,
                                   std::size_t to) noexcept {
    const std::size_t piece = plan.sample_bytes - 8;
    const std::size_t stride = piece + 1;
    std::size_t hits = 0;
    for (std::size_t at = state.position; at < to; at += stride) {
      const std::size_t bit = sample_bit(load_8(state.haystack + at + piece));
      if (((plan.samples[bit / 64] >> (bit % 64)) & 1U) == 0) continue;
      const std::size_t end = to - at > stride ? at + stride : to;
      const std::size_t found = first_dense(plan, state, at, end);
      if (found != nowhere || state.mode != search_mode::sampled) return found;
      // Every fourth piece is in the set: looking at all positions costs no more.
      if (++hits > 16 + (at - state.position) / stride / 4) {
        state.mode = search_mode::dense;
        state.position = end;
        return nowhere;
      }
    }
    state.position = to;
    return nowhere;
  }

  // --- Two-way. ---

  struct factorization {
    std::size_t start;
    std::size_t period;
  };

  /// The greatest suffix of the needle in the order of bytes, or in the reverse order.
  static factorization greatest_suffix(const byte_type* needle, std::size_t size_bytes,
                                       bool is_reversed) noexcept {
    std::size_t best = 0;
    std::size_t other = 1;
    std::size_t period = 1;
    while (other < size_bytes) {
      // needle[best, other) has `period`, and so has what the two suffixes have in common.
      const std::size_t same = common_bytes_soon(needle + best, needle + other, size_bytes - other);
      if (other + same == size_bytes) break;
      if ((needle[other + same] < needle[best + same]) != is_reversed) {
        other += same + 1;
        period = other - best;
      } else {
        best = other + same / period * period;
        other = best + 1;
        period = 1;
      }
    }
    return {best, period};
  }

  static void make_linear(linear_plan& plan, const byte_type* needle,
                          std::size_t size_bytes) noexcept {
    const factorization one = greatest_suffix(needle, size_bytes, false);
    const factorization two = greatest_suffix(needle, size_bytes, true);
    const factorization cut = one.start > two.start ? one : two;
    plan.left_bytes = cut.start;
    plan.is_periodic = is_equal(needle, needle + cut.period, cut.start);
    const std::size_t longer =
        cut.start > size_bytes - cut.start ? cut.start : size_bytes - cut.start;
    plan.shift_bytes = plan.is_periodic ? cut.period : longer + 1;
    for (std::size_t index = 0; index < 256; ++index)
      plan.holds[index] = 0;
    for (std::size_t index = 0; index < size_bytes; ++index)
      plan.holds[needle[index]] = 1;
  }

  /// Where a two-way search stands: the needle's first `known_bytes` are at `position`.
  struct window {
    std::size_t position;
    std::size_t known_bytes;
  };

  /// Compares the needle at `at`. Returns: true at a match; else moves on.
  static bool step(const needle_plan& plan, const linear_plan& linear, const byte_type* haystack,
                   window& at) noexcept {
    const std::size_t left = linear.left_bytes;
    const std::size_t from = at.known_bytes > left ? at.known_bytes : left;
    const byte_type* const here = haystack + at.position;
    const std::size_t right_end =
        from + common_bytes(here + from, plan.data + from, plan.size_bytes - from);
    if (right_end < plan.size_bytes) {
      // No match holds a byte that the needle does not.
      const bool is_foreign = linear.holds[here[right_end]] == 0;
      at = {at.position + right_end + 1 - (is_foreign ? 0 : left), 0};
      return false;
    }
    const bool is_match =
        at.known_bytes >= left ||
        is_equal(here + at.known_bytes, plan.data + at.known_bytes, left - at.known_bytes);
    if (!is_match) shift(plan, linear, at);
    return is_match;
  }

  /// Moves on after the right part matched.
  static void shift(const needle_plan& plan, const linear_plan& linear, window& at) noexcept {
    at = {at.position + linear.shift_bytes,
          linear.is_periodic ? plan.size_bytes - linear.shift_bytes : 0};
  }

  /// The positions among `count` from `at` where the first bytes of the right part are.
  static mask right_begins(const needle_plan& plan, std::size_t left, const byte_type* at,
                           unsigned count) noexcept {
    // A candidate costs about 5 ns, and a mismatch after k bytes shifts by k + 1.
    constexpr std::size_t width = 16;
    const std::size_t right_bytes = plan.size_bytes - left;
    const std::size_t stop = left + (right_bytes < width ? right_bytes : width);
    mask bits = ~mask{0};
    for (std::size_t index = left; index < stop && bits != 0; ++index) {
      bits &= equal(at + index, count, Ops::splat(plan.data[index]));
    }
    return bits;
  }

  /// Two-way over positions [at.position, to). Returns: whether there is a match, at `at.position`.
  static bool first_linear(const needle_plan& plan, const linear_plan& linear,
                           const byte_type* haystack, window& at, std::size_t to) noexcept {
    while (at.position < to) {
      if (at.known_bytes != 0) {
        if (step(plan, linear, haystack, at)) return true;
        continue;
      }
      const byte_type* const here = haystack + at.position;
      if (linear.holds[here[plan.size_bytes - 1]] == 0) {
        at.position += plan.size_bytes;
        continue;
      }
      const std::size_t block = at.position;
      const auto count = to - block < 64 ? static_cast<unsigned>(to - block) : 64U;
      mask bits = right_begins(plan, linear.left_bytes, here, count);
      at.position = block + count;
      while (bits != 0) {
        at.position = block + lowest(bits);
        if (step(plan, linear, haystack, at)) return true;
        if (at.known_bytes != 0 || at.position >= block + count) break;
        bits &= ~mask{0} << (at.position - block);
        if (bits == 0) at.position = block + count;
      }
    }
    return false;
  }

  static const linear_plan& linear_of(const needle_plan& plan, search_state& state) noexcept {
    if (state.linear == nullptr) {
      make_linear(state.own_linear, plan.data, plan.size_bytes);
      state.linear = &state.own_linear;
    }
    return *state.linear;
  }

  // --- What the table holds. ---

  static std::size_t next(const needle_plan& plan, search_state& state) noexcept {
    const std::size_t to = state.size_bytes - plan.size_bytes + 1;
    if (plan.size_bytes <= short_needle_max)
      return first_short(plan, state.haystack, state.position, to);
    std::size_t found = nowhere;
    if (state.mode == search_mode::sampled) found = first_sampled(plan, state, to);
    if (found == nowhere && state.mode == search_mode::dense)
      found = first_dense(plan, state, state.position, to);
    if (found == nowhere && state.mode == search_mode::linear && state.position < to) {
      window at{state.position, 0};
      if (first_linear(plan, linear_of(plan, state), state.haystack, at, to)) found = at.position;
    }
    return found;
  }

  static std::size_t find(const byte_type* haystack, std::size_t haystack_bytes,
                          const byte_type* needle, std::size_t needle_bytes) noexcept {
    const std::size_t to = haystack_bytes - needle_bytes + 1;
    if (needle_bytes <= short_needle_max) {
      // Often there are no more positions than these, or there is a match among them.
      std::size_t period = 0;
      const unsigned count = to < 64 ? static_cast<unsigned>(to) : 64U;
      mask bits = equal(haystack, count, Ops::splat(needle[0])) &
                  equal(haystack + needle_bytes - 1, count, Ops::splat(needle[needle_bytes - 1]));
      if (bits != 0 && needle_bytes > 2)
        bits = confirm(haystack, count, needle, needle_bytes, period, bits);
      if (bits != 0) return lowest(bits);
      if (to <= 64) return nowhere;
    } else if (needle[0] == haystack[0] && is_equal(haystack, needle, needle_bytes)) {
      return 0;
    }
    return find_planned(haystack, haystack_bytes, needle, needle_bytes);
  }

  [[gnu::noinline]] static std::size_t find_planned(const byte_type* haystack,
                                                    std::size_t haystack_bytes,
                                                    const byte_type* needle,
                                                    std::size_t needle_bytes) noexcept {
    needle_plan plan;
    if (needle_bytes <= short_needle_max) {
      plan.data = needle;
      plan.size_bytes = needle_bytes;
      choose_probes(plan, haystack_bytes);
      return first_short(plan, haystack, 64, haystack_bytes - needle_bytes + 1);
    }
    make_plan(plan, needle, needle_bytes, haystack_bytes, false);
    search_state state;
    start_search(state, plan, haystack, haystack_bytes);
    // A match in the first few kilobytes is found before a set of samples would be made.
    const std::size_t to = haystack_bytes - needle_bytes + 1;
    const std::size_t early = std::size_t{32} * needle_bytes;
    if (to / 4 > early) {
      const std::size_t found = first_dense(plan, state, 0, early);
      if (found != nowhere) return found;
      if (state.mode == search_mode::dense) {
        state.position = early;
        make_samples(plan);
        if (plan.sample_bytes != 0) state.mode = search_mode::sampled;
      }
    }
    return next(plan, state);
  }

  /// The last match in [from, to); matches may overlap here, and runs of them are jumped over.
  static std::size_t last_linear(const needle_plan& plan, const linear_plan& linear,
                                 const byte_type* haystack, std::size_t from,
                                 std::size_t to) noexcept {
    std::size_t last = nowhere;
    window at{from, 0};
    while (first_linear(plan, linear, haystack, at, to)) {
      if (linear.is_periodic) {
        const std::size_t period = linear.shift_bytes;
        const byte_type* const here = haystack + at.position;
        const std::size_t rest = to - 1 - at.position + plan.size_bytes - period;
        const std::size_t run = common_bytes(here, here + period, rest);
        at.position += (run + period - plan.size_bytes) / period * period;
      }
      last = at.position;
      shift(plan, linear, at);
    }
    return last;
  }

  static std::size_t rfind(const needle_plan& plan, const byte_type* haystack,
                           std::size_t haystack_bytes) noexcept {
    std::size_t to = haystack_bytes - plan.size_bytes + 1;
    if (plan.size_bytes <= short_needle_max) return last_short(plan, haystack, to);
    return last_long(plan, haystack, to);
  }

  /// Settles candidates, highest first.
  static std::size_t last_of(const needle_plan& plan, const byte_type* haystack, std::size_t at,
                             mask bits, std::size_t& work) noexcept {
    while (bits != 0) {
      const unsigned bit = highest(bits);
      bits &= ~(mask{1} << bit);
      const std::size_t same = common_bytes(haystack + at + bit, plan.data, plan.size_bytes);
      if (same == plan.size_bytes) return at + bit;
      work += 16 + same / 16;
    }
    return nowhere;
  }

  static std::size_t last_long(const needle_plan& plan, const byte_type* haystack,
                               std::size_t to) noexcept {
    const probes look(plan);
    const std::size_t start = to;
    std::size_t work = 0;
    while (to != 0) {
      const auto count = to < 64 ? static_cast<unsigned>(to) : 64U;
      to -= count;
      const mask left = candidates(haystack + to, count, plan.size_bytes, look);
      const std::size_t found = last_of(plan, haystack, to, left, work);
      if (found != nowhere) return found;
      if (work > 4096 + (start - to) / 2) return last_by_parts(plan, haystack, to);
    }
    return nowhere;
  }

  /// Searches [0, to) forward in parts, the last part first. Each is several needles long, so that
  /// the bytes read twice, where parts meet, stay a fraction.
  static std::size_t last_by_parts(const needle_plan& plan, const byte_type* haystack,
                                   std::size_t to) noexcept {
    linear_plan own;
    if (plan.linear == nullptr) make_linear(own, plan.data, plan.size_bytes);
    const linear_plan& linear = plan.linear != nullptr ? *plan.linear : own;
    constexpr std::size_t least = 16384;
    const std::size_t part = plan.size_bytes * 4 > least ? plan.size_bytes * 4 : least;
    std::size_t found = nowhere;
    while (to != 0 && found == nowhere) {
      const std::size_t from = to > part ? to - part : 0;
      found = last_linear(plan, linear, haystack, from, to);
      to = from;
    }
    return found;
  }

  static std::size_t count(const byte_type* data, std::size_t size_bytes,
                           byte_type value) noexcept {
    const vector wanted = Ops::splat(value);
    std::size_t total = 0;
    std::size_t at = 0;
    for (; size_bytes - at >= 64; at += 64)
      total += ones(Ops::equal(data + at, wanted));
    if (at != size_bytes)
      total += ones(Ops::equal_head(data + at, static_cast<unsigned>(size_bytes - at), wanted));
    return total;
  }

  static constexpr kernel_table table{find, next, next_short, rfind, count, make_linear, period_of};
};

}  // namespace acre::bytes::detail
