#pragma once

/// The algorithms of search, over the vector operations of one instruction set.
///
/// Included after the target has been set, so all that it includes has been included before: see
/// `target_avx2.cpp`.
#include "bytes/blocks.hpp"
#include "bytes/gather.hpp"

namespace acre::bytes::detail {

template <class Ops>
struct engine : blocks<Ops> {
  using base = blocks<Ops>;
  using base::candidates;
  using base::common_bytes;
  using base::common_bytes_soon;
  using base::confirm;
  using base::equal;
  using base::highest;
  using base::is_equal;
  using base::lowest;
  using base::matches;
  using base::ones;
  using base::to_line;
  using typename base::group;
  using typename base::last_block;
  using typename base::leaper;
  using typename base::probe_pair;
  using typename base::probes;
  using vector = typename Ops::vector;

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
  // --- Longer needles: probes, until false candidates have cost too much; then two-way. ---

  /// Whether false candidates have cost more than an eighth of a nanosecond a byte.
  static bool is_too_much(const search_state& state, std::size_t at) noexcept {
    return state.work > 4096 + (at - state.start) / 2;
  }

  /// Settles candidates, lowest first. Returns: the first match or `nowhere`; then the caller asks
  /// `is_too_much`.
  static std::size_t first_of(const needle_plan& plan, search_state& state, std::size_t at,
                              unsigned count, mask bits, probes& look) noexcept {
    while (bits != 0) {
      const std::size_t position = at + lowest(bits);
      const byte_type* const here = state.haystack + position;
      const std::size_t same = common_bytes(here, plan.data, plan.size_bytes);
      if (same == plan.size_bytes) return position;
      state.work += 16 + same / 16;
      bits &= bits - 1;
      if (state.work < worth_learning) continue;
      look.replace(plan, 1, telling_offset(plan, here, same));
      bits &= look.one(1, state.haystack + at, count);
    }
    return nowhere;
  }

  /// A few false candidates.
  static constexpr std::size_t worth_learning = 64;

  /// The offset of a byte that showed a candidate to be false, so that it makes a better probe than
  /// those that let the candidate through: the last such, if it is near the needle's end, since the
  /// first differs most often in a byte that differs everywhere in texts that repeat themselves.
  static std::size_t telling_offset(const needle_plan& plan, const byte_type* candidate,
                                    std::size_t first) noexcept {
    const std::size_t tail = plan.size_bytes - 64;
    const mask bits = Ops::differ(candidate + tail, plan.data + tail);
    return bits != 0 ? tail + highest(bits) : first;
  }

  /// Looks at positions [from, to) with the probes. Returns: the first match or `nowhere`; if it
  /// gave up, the mode is linear and `state.position` is where to go on.
  static std::size_t first_dense(const needle_plan& plan, search_state& state, std::size_t from,
                                 std::size_t to) noexcept {
    probes look(plan);
    std::size_t at = from;
    if (to - at >= 2 * group::positions) {
      const mask left = candidates(state.haystack + at, 64, plan.size_bytes, look);
      const std::size_t found = first_of(plan, state, at, 64, left, look);
      if (found != nowhere) return found;
      at += to_line(state.haystack + at, look);
    }
    leaper leap;
    while (to - at >= 64) {
      const bool is_group = to - at >= group::positions;
      if (is_group && candidates(state.haystack + at, plan.size_bytes, look).is_empty()) {
        at = leap.over(state.haystack, at + group::positions, to, look.offset[0], look.value[0]);
        continue;
      }
      const std::size_t stop = at + (is_group ? group::positions : 64);
      for (; at != stop; at += 64) {
        const mask left = candidates(state.haystack + at, 64, plan.size_bytes, look);
        if (left == 0) continue;
        const std::size_t found = first_of(plan, state, at, 64, left, look);
        if (found != nowhere) return found;
        if (is_too_much(state, at)) return give_up(state, at + 64);
      }
    }
    if (at == to) return nowhere;
    const last_block last(at, to);
    const mask left = candidates(state.haystack + last.at, last.count, plan.size_bytes, look);
    return first_of(plan, state, last.at, last.count, left & last.wanted, look);
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
      const unsigned count = to < 64 ? static_cast<unsigned>(to) : 64U;
      const mask bits = base::matches_of(haystack, count, needle, needle_bytes);
      if (bits != 0) return lowest(bits);
      return to <= 64 ? nowhere : find_onward(haystack, to, needle, needle_bytes);
    }
    if (needle[0] == haystack[0] && is_equal(haystack, needle, needle_bytes)) return 0;
    return find_long(haystack, haystack_bytes, needle, needle_bytes);
  }

  /// From position 64 on, without a plan until rarer bytes of a short needle would pay.
  ///
  /// Requires: more than 64 positions.
  [[gnu::noinline]] static std::size_t find_onward(const byte_type* haystack, std::size_t to,
                                                   const byte_type* needle,
                                                   std::size_t needle_bytes) noexcept {
    constexpr std::size_t worth_planning = 2048;
    const probe_pair ends(needle, 0, needle_bytes - 1);
    const probe_pair inner(needle, needle_bytes / 3, needle_bytes * 2 / 3);
    std::size_t busy = 0;
    std::size_t at = 64;
    // Positions looked at twice do no harm, and loads across lines cost twice as much.
    if (to > worth_planning) at -= 64 - to_line(haystack);
    leaper leap;
    while (to - at >= group::positions) {
      const byte_type* const here = haystack + at;
      group found = ends.at_group(here);
      at += group::positions;
      if (found.is_empty()) {
        at = leap.over(haystack, at, to, ends.offset_a, ends.a);
        continue;
      }
      found &= inner.at_group(here);
      if (!found.is_empty()) {
        const std::size_t first = first_of_group(here, needle, needle_bytes, found);
        if (first != nowhere) return at - group::positions + first;
      }
      if (++busy > 4 + at / 1024 && to - at > worth_planning)
        return find_planned(haystack, at, to, needle, needle_bytes);
    }
    while (at < to) {
      const last_block last(at, at + 64 < to ? at + 64 : to);
      const byte_type* const here = haystack + last.at;
      mask bits = ends.both(here) & last.wanted;
      if (bits != 0) bits &= inner.both(here);
      if (bits != 0) bits = confirm(here, needle, needle_bytes, bits);
      if (bits != 0) return last.at + lowest(bits);
      at = last.at + 64;
    }
    return nowhere;
  }

  /// Of 64 positions.
  static mask confirm(const byte_type* at, const byte_type* needle, std::size_t needle_bytes,
                      mask bits) noexcept {
    std::size_t period = 0;
    return needle_bytes <= 4 ? bits : confirm(at, 64, needle, needle_bytes, period, bits);
  }

  static std::size_t first_of_group(const byte_type* at, const byte_type* needle,
                                    std::size_t needle_bytes, const group& found) noexcept {
    std::size_t from = 0;
    for (const mask candidates : {found.a, found.b, found.c, found.d}) {
      if (candidates != 0) {
        const mask bits = confirm(at + from, needle, needle_bytes, candidates);
        if (bits != 0) return from + lowest(bits);
      }
      from += 64;
    }
    return nowhere;
  }

  [[gnu::noinline]] static std::size_t find_planned(const byte_type* haystack, std::size_t from,
                                                    std::size_t to, const byte_type* needle,
                                                    std::size_t needle_bytes) noexcept {
    needle_plan plan;
    plan.data = needle;
    plan.size_bytes = needle_bytes;
    choose_probes(plan, to + needle_bytes);
    return first_short(plan, haystack, from, to);
  }

  [[gnu::noinline]] static std::size_t find_long(const byte_type* haystack,
                                                 std::size_t haystack_bytes,
                                                 const byte_type* needle,
                                                 std::size_t needle_bytes) noexcept {
    needle_plan plan;
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

  static constexpr kernel_table table{find,  next,  gather<Ops>::find_few, gather<Ops>::next_short,
                                      rfind, count, make_linear,           base::period_of};
};

}  // namespace acre::bytes::detail
