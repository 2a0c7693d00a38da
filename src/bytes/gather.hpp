#pragma once

/// All matches of a short needle, a batch at a time.
///
/// Where many positions match, branches that nothing can predict would cost more than all else. So
/// the loop over the haystack only writes down candidates, positions where a few probes agree, from
/// masks and without a branch for each; afterwards, `settle` goes over the batch and keeps what is
/// a match and shares no byte with the one before, again without a branch for each. Where about
/// every fourth position is a candidate, blocks are settled at once, by masks.
///
/// Included after the target has been set, and after `blocks.hpp`.
#include "bytes/blocks.hpp"

namespace acre::bytes::detail {

template <class Ops>
struct gather : blocks<Ops> {
  using base = blocks<Ops>;
  using base::confirm;
  using base::is_equal_short;
  using base::lowest;
  using base::ones;
  using base::to_line;
  using typename base::group;
  using typename base::last_block;
  using typename base::leaper;
  using typename base::probe_pair;
  using vector = typename Ops::vector;

  /// The first `Probes` of the needle: 1, 2, 3, 4 or 6.
  template <unsigned Probes>
  struct filter {
    probe_pair first;
    probe_pair second;
    probe_pair third;
    explicit filter(const needle_plan& plan) noexcept
        : first(pair(plan, 0)), second(pair(plan, 2)), third(pair(plan, 4)) {}

    static probe_pair pair(const needle_plan& plan, unsigned index) noexcept {
      return {plan.data, plan.probes[index].offset, plan.probes[index + 1].offset};
    }
    [[nodiscard, gnu::always_inline]] mask rest(const byte_type* at) const noexcept {
      if constexpr (Probes == 3) return second.one(at);
      if constexpr (Probes == 6) return second.both(at) & third.both(at);
      return second.both(at);
    }
    /// Rare bytes rule out most groups at the first two probes.
    [[nodiscard, gnu::always_inline]] group candidates(const byte_type* at) const noexcept {
      if constexpr (Probes == 1)
        return {first.one(at), first.one(at + 64), first.one(at + 128), first.one(at + 192)};
      group found = first.at_group(at);
      if constexpr (Probes > 2) {
        if (found.is_empty()) return found;
        found.a &= rest(at);
        found.b &= rest(at + 64);
        found.c &= rest(at + 128);
        found.d &= rest(at + 192);
      }
      return found;
    }
    [[nodiscard]] mask candidates(const byte_type* at, unsigned count) const noexcept {
      mask found = first.both(at, count);
      if constexpr (Probes > 2) {
        if (found == 0) return found;
        found &= second.both(at, count);
        if constexpr (Probes == 6) found &= third.both(at, count);
      }
      return found;
    }
  };

  /// All matches in a haystack of 1 to 64 positions.
  static void find_few(const byte_type* haystack, unsigned positions, const byte_type* needle,
                       std::size_t needle_bytes, match_batch& batch) noexcept {
    mask bits = base::matches_of(haystack, positions, needle, needle_bytes);
    batch.base = 0;
    batch.count = 0;
    while (bits != 0) {
      const unsigned position = lowest(bits);
      batch.offsets[batch.count++] = position;
      const std::size_t past = position + needle_bytes;
      if (past >= 64) return;
      bits &= ~mask{0} << past;
    }
  }

  /// Offsets in a batch are 32 bits.
  static constexpr std::size_t batch_reach = std::size_t{1} << 31U;
  static constexpr std::size_t fullest_batch = match_batch::capacity - group::positions;

  /// What the table holds; see `kernel_table`.
  static void next_short(const needle_plan& plan, search_state& state,
                         match_batch& batch) noexcept {
    const std::size_t end = state.size_bytes - plan.size_bytes + 1;
    const std::size_t to = end - state.position > batch_reach ? state.position + batch_reach : end;
    // The last block may begin before the position, yet offsets must not be negative.
    batch.base = state.position >= 64 ? state.position - 64 : 0;
    batch.count = 0;
    if (plan.size_bytes == 1) return collect<1>(plan, state, batch, to);
    if (plan.size_bytes == 2) return collect<2>(plan, state, batch, to);
    if (plan.size_bytes == 3) return collect<3>(plan, state, batch, to);
    if (state.looks_deep) return collect<6>(plan, state, batch, to);
    collect<4>(plan, state, batch, to);
  }

  /// A batch under way; positions are offsets from its base.
  struct collection {
    const needle_plan& plan;
    const byte_type* base;   ///< the byte at offset 0
    std::uint32_t* begin;    ///< the batch's offsets
    std::uint32_t* settled;  ///< the matches end here, and candidates begin
    std::uint32_t* end;
    std::uint32_t next;  ///< where a match may begin that shares no byte with those settled
    bool is_exact;       ///< all bytes of the needle are probed
    bool is_settled;     ///< every candidate is a match, and none shares bytes with another

    collection(const needle_plan& needle, const search_state& state, match_batch& batch,
               unsigned probes) noexcept
        : plan(needle),
          base(state.haystack + batch.base),
          begin(batch.offsets.data()),
          settled(begin),
          end(begin),
          next(static_cast<std::uint32_t>(state.position - batch.base)),
          is_exact(needle.size_bytes <= probes),
          is_settled(is_exact && needle.period_bytes == needle.size_bytes) {}

    /// Keeps those of the candidates that `is_match` accepts and that share no byte.
    template <class IsMatch>
    [[gnu::always_inline]] void keep_if(const IsMatch& is_match) noexcept {
      const auto size = static_cast<std::uint32_t>(plan.size_bytes);
      std::uint32_t* kept = settled;
      std::uint32_t free = next;
      for (const std::uint32_t* from = settled; from != end; ++from) {
        const std::uint32_t offset = *from;
        const bool is_kept = is_match(base + offset) & (offset >= free);
        *kept = offset;
        kept += is_kept ? 1 : 0;
        free = is_kept ? offset + size : free;
      }
      settled = end = kept;
      next = free;
    }

    [[gnu::noinline]] void settle() noexcept {
      const byte_type* const needle = plan.data;
      const std::size_t size = plan.size_bytes;
      if (is_exact) return keep_if([](const byte_type*) { return true; });
      if (size <= 8) {
        const auto low = load_4(needle);
        const auto high = load_4(needle + size - 4);
        return keep_if([=](const byte_type* at) {
          return ((load_4(at) ^ low) | (load_4(at + size - 4) ^ high)) == 0;
        });
      }
      if (size <= 16) {
        const auto low = load_8(needle);
        const auto high = load_8(needle + size - 8);
        return keep_if([=](const byte_type* at) {
          return ((load_8(at) ^ low) | (load_8(at + size - 8) ^ high)) == 0;
        });
      }
      keep_if([=](const byte_type* at) { return is_equal_short(at, needle, size); });
    }

    /// Takes the candidates of one block, and settles them at once if they are many.
    [[gnu::noinline]] void take(std::uint32_t offset, unsigned count, mask bits) noexcept {
      if (bits == 0) return;
      if (is_settled || ones(bits) < 8) {
        end = Ops::emit(end, offset, bits);
        return;
      }
      if (settled != end) settle();
      if (!is_exact)
        bits = confirm(base + offset, count, plan.data, plan.size_bytes, plan.period_bytes, bits);
      bits = apart(offset, bits);
      settled = end = Ops::emit(end, offset, bits);
    }

    /// Leaves of the matches of one block those that share no byte.
    mask apart(std::uint32_t offset, mask bits) noexcept {
      if (next > offset) {
        if (next - offset >= 64) return 0;
        bits &= ~mask{0} << (next - offset);
      }
      if (plan.size_bytes == 2) {
        const mask chosen = every_second(bits);
        if (chosen != 0) next = offset + base::highest(chosen) + 2;
        return chosen;
      }
      mask chosen = 0;
      while (bits != 0) {
        const std::size_t past = lowest(bits) + plan.size_bytes;
        chosen |= bits & (~bits + 1);
        next = offset + static_cast<std::uint32_t>(past);
        if (past >= 64) break;
        bits &= ~mask{0} << past;
      }
      return chosen;
    }

    /// Of each run of set bits the first, third and so on.
    static mask every_second(mask bits) noexcept {
      constexpr mask even = 0x5555'5555'5555'5555ULL;
      const mask starts = bits & ~(bits << 1U);
      // The sum carries through the runs that begin at an even bit, and clears them.
      const mask from_even = bits & ~(bits + (starts & even));
      return (from_even & even) | (bits & ~from_even & ~even);
    }
  };

  static std::uint32_t load_4(const byte_type* from) noexcept {
    std::uint32_t value = 0;
    __builtin_memcpy(&value, from, sizeof value);
    return value;
  }

  /// Fills the batch with matches from positions [state.position, to); moves the position on.
  template <unsigned Probes>
  static void collect(const needle_plan& plan, search_state& state, match_batch& batch,
                      std::size_t to) noexcept {
    const filter<Probes> look(plan);
    collection found(plan, state, batch, Probes);
    const byte_type* const haystack = state.haystack;
    const std::size_t batch_base = batch.base;
    const std::uint32_t* const full = found.begin + fullest_batch;
    const auto offset = [=](std::size_t position) {
      return static_cast<std::uint32_t>(position - batch_base);
    };
    std::size_t at = state.position;
    if (to - at >= 2 * group::positions) {
      const std::size_t skip = to_line(haystack + at + look.first.offset_a);
      found.take(offset(at), 64, look.candidates(haystack + at, 64) & (~mask{0} >> (64 - skip)));
      at += skip;
    }
    leaper leap;
    std::uint32_t* end = found.end;
    while (to - at >= group::positions && end <= full) {
      const std::size_t here = at;
      const group bits = look.candidates(haystack + here);
      at += group::positions;
      if (bits.is_empty()) {
        if constexpr (Probes > 1)
          at = leap.over(haystack, at, to, look.first.offset_a, look.first.a);
      } else if (bits.is_sparse()) {
        end = found.end = Ops::emit_few(end, offset(here), bits.a, bits.b, bits.c, bits.d);
      } else {
        found.take(offset(here), 64, bits.a);
        found.take(offset(here + 64), 64, bits.b);
        found.take(offset(here + 128), 64, bits.c);
        found.take(offset(here + 192), 64, bits.d);
        end = found.end;
      }
    }
    while (at < to && found.end <= full) {
      const last_block last = to - at >= 64 ? last_block(at, at + 64) : last_block(at, to);
      found.take(offset(last.at), last.count,
                 look.candidates(haystack + last.at, last.count) & last.wanted);
      at = last.at + last.count;
    }
    finish<Probes>(found, state, batch, at);
  }

  /// Settles what is left of a batch that reaches up to position `at`.
  template <unsigned Probes>
  static void finish(collection& found, search_state& state, match_batch& batch,
                     std::size_t at) noexcept {
    const auto candidates = static_cast<std::size_t>(found.end - found.begin);
    if (!found.is_settled && found.settled != found.end) found.settle();
    batch.count = static_cast<std::size_t>(found.end - found.begin);
    if constexpr (Probes == 4) {
      // So many candidates, and most of them false: two more probes cost less.
      constexpr std::size_t rare = 1024;
      state.looks_deep = found.plan.size_bytes >= 6 && batch.count < candidates / 4 &&
                         at - state.position < candidates * rare;
    }
    const std::size_t next = batch.base + found.next;
    state.position = next > at ? next : at;
  }
};

}  // namespace acre::bytes::detail
