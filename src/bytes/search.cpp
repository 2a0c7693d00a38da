#include <acre/bytes/detail/search.hpp>
#include <acre/bytes/detail/small.hpp>

#include "bytes/dispatch.hpp"

#include <algorithm>

namespace acre::bytes::detail {
namespace {

constexpr std::size_t piece_bytes = 8;

/// Fewer bytes than this to a sample, and looking at every position is as fast.
constexpr std::size_t sampled_needle_min = 256;
/// More would fill the set too much, and reach beyond what the processor fetches ahead.
constexpr std::size_t sampled_bytes_max = 2048;
/// Making the set costs as much as searching this many times the sample.
constexpr std::size_t sampled_haystack_factor = 32;

/// Probes at both ends and in between, whatever the bytes. Needles of up to 8 bytes are covered
/// whole.
void spread_probes(needle_plan& plan) noexcept {
  const auto last = static_cast<std::uint32_t>(plan.size_bytes - 1);
  const std::uint32_t step = std::max(last / 7, 1U);
  plan.probes[0] = {0, plan.data[0]};
  plan.probes[1] = {last, plan.data[last]};
  for (std::uint32_t index = 2; index < 8; ++index) {
    const std::uint32_t offset = std::min((index - 1) * step, last);
    plan.probes[index] = {offset, plan.data[offset]};
  }
}

/// Moves the least from `first` on to `first`.
template <std::size_t Size>
void least_to(std::array<std::uint32_t, Size>& values, std::size_t first) noexcept {
  for (std::size_t index = first + 1; index < Size; ++index) {
    const std::uint32_t less = std::min(values[first], values[index]);
    values[index] = std::max(values[first], values[index]);
    values[first] = less;
  }
}

/// Probes at rare bytes, the two rarest first.
void rank_probes(needle_plan& plan, std::size_t haystack_bytes) noexcept {
  // A look at a byte of the needle costs about as much as a search of 25 bytes.
  const std::size_t wanted =
      std::clamp(haystack_bytes / 256, std::size_t{16}, std::size_t{1} << 20U);
  const std::size_t looked_at = std::min(plan.size_bytes, wanted);
  const auto candidate = [&](std::size_t at) {
    const auto rank = static_cast<std::uint32_t>(byte_rank[plan.data[at]]);
    return rank << 24U | static_cast<std::uint32_t>(at);
  };
  // The best of each residue class modulo 8: eight different offsets without a branch.
  std::array<std::uint32_t, 8> best;
  best.fill(UINT32_MAX);
  std::size_t at = 0;
  for (; at + 8 <= looked_at; at += 8) {
    for (std::size_t index = 0; index < 8; ++index)
      best[index] = std::min(best[index], candidate(at + index));
  }
  for (; at < looked_at; ++at)
    best[at % 8] = std::min(best[at % 8], candidate(at));
  least_to(best, 0);
  least_to(best, 1);
  for (std::size_t index = 0; index < best.size(); ++index) {
    const std::uint32_t chosen = best[std::min(index, plan.size_bytes - 1)];
    const std::uint32_t offset = chosen & 0xff'ffffU;
    plan.probes[index] = {offset, plan.data[offset]};
  }
}

void next_long(const needle_plan& plan, search_state& state, match_batch& batch) noexcept {
  const std::size_t found = kernels().next(plan, state);
  batch.count = found == nowhere ? 0 : 1;
  batch.base = found;
  batch.offsets[0] = 0;
  state.position = found == nowhere ? state.size_bytes : found + plan.size_bytes;
}

/// Whether `find_few` does: the needle is short and the haystack has at most 64 positions, or there
/// is nothing to find.
bool needs_no_plan(std::size_t haystack_bytes, std::size_t needle_bytes) noexcept {
  return needle_bytes == 0 || needle_bytes > haystack_bytes ||
         (needle_bytes <= short_needle_max && haystack_bytes - needle_bytes < 64);
}

/// All matches, when there is no need of a plan.
void find_few(const byte_type* haystack, std::size_t haystack_bytes, const byte_type* needle,
              std::size_t needle_bytes, match_batch& batch) noexcept {
  batch.is_last = true;
  if (needle_bytes == 0 || needle_bytes > haystack_bytes) return;
  const auto positions = static_cast<unsigned>(haystack_bytes - needle_bytes + 1);
  kernels().find_few(haystack, positions, needle, needle_bytes, batch);
}

}  // namespace

void make_samples(needle_plan& plan) noexcept {
  if (plan.size_bytes < sampled_needle_min) return;
  const std::size_t bytes = std::min(plan.size_bytes, sampled_bytes_max);
  plan.samples.fill(0);
  for (std::size_t at = 0; at + piece_bytes <= bytes; ++at) {
    const std::size_t bit = sample_bit(load_8(plan.data + at));
    plan.samples[bit / 64] |= std::uint64_t{1} << (bit % 64);
  }
  plan.sample_bytes = static_cast<std::uint32_t>(bytes);
}

void choose_probes(needle_plan& plan, std::size_t haystack_bytes) noexcept {
  // Ranking bytes takes as long as a search of about a kilobyte.
  constexpr std::size_t worth_ranking = 1536;
  if (haystack_bytes - plan.size_bytes < worth_ranking) {
    spread_probes(plan);
  } else {
    rank_probes(plan, haystack_bytes);
  }
}

void make_plan(needle_plan& plan, const byte_type* needle, std::size_t size_bytes,
               std::size_t haystack_bytes, bool wants_samples) noexcept {
  plan.data = needle;
  plan.size_bytes = size_bytes;
  if (size_bytes == 0) return;
  choose_probes(plan, haystack_bytes);
  if (size_bytes <= exact_bytes_max) {
    plan.period_bytes = kernels().period_of(needle, size_bytes);
  } else if (size_bytes > short_needle_max && wants_samples &&
             haystack_bytes / sampled_haystack_factor >= std::min(size_bytes, sampled_bytes_max)) {
    make_samples(plan);
  }
}

void start_search(search_state& state, const needle_plan& plan, const byte_type* haystack,
                  std::size_t size_bytes) noexcept {
  state.haystack = haystack;
  state.size_bytes = size_bytes;
  state.mode = plan.sample_bytes != 0 ? search_mode::sampled : search_mode::dense;
  state.linear = plan.linear;
}

void first_matches(needle_plan& plan, search_state& state, match_batch& batch,
                   const byte_type* haystack, std::size_t haystack_bytes, const byte_type* needle,
                   std::size_t needle_bytes) noexcept {
  if (needs_no_plan(haystack_bytes, needle_bytes))
    return find_few(haystack, haystack_bytes, needle, needle_bytes, batch);
  make_plan(plan, needle, needle_bytes, haystack_bytes, true);
  start_search(state, plan, haystack, haystack_bytes);
  next_matches(plan, state, batch);
}

void first_matches(const needle_plan& plan, search_state& state, match_batch& batch,
                   const byte_type* haystack, std::size_t haystack_bytes) noexcept {
  if (needs_no_plan(haystack_bytes, plan.size_bytes))
    return find_few(haystack, haystack_bytes, plan.data, plan.size_bytes, batch);
  start_search(state, plan, haystack, haystack_bytes);
  next_matches(plan, state, batch);
}

void next_matches(const needle_plan& plan, search_state& state, match_batch& batch) noexcept {
  batch.count = 0;
  while (batch.count == 0 && !batch.is_last) {
    if (plan.size_bytes <= short_needle_max) {
      kernels().next_short(plan, state, batch);
    } else {
      next_long(plan, state, batch);
    }
    batch.is_last = state.size_bytes - state.position < plan.size_bytes;
  }
}

std::size_t find(const byte_type* haystack, std::size_t haystack_bytes, const byte_type* needle,
                 std::size_t needle_bytes) noexcept {
  if (needle_bytes == 0) return 0;
  if (needle_bytes > haystack_bytes) return nowhere;
  if (needle_bytes >= 2) return kernels().find(haystack, haystack_bytes, needle, needle_bytes);
  return find_byte(haystack, haystack_bytes, *needle).value_or(nowhere);
}

std::size_t find(const byte_type* haystack, std::size_t haystack_bytes,
                 const needle_plan& plan) noexcept {
  if (plan.size_bytes > haystack_bytes) return nowhere;
  if (plan.size_bytes < 2 || needs_no_plan(haystack_bytes, plan.size_bytes))
    return find(haystack, haystack_bytes, plan.data, plan.size_bytes);
  search_state state;
  start_search(state, plan, haystack, haystack_bytes);
  return kernels().next(plan, state);
}

std::size_t rfind(const byte_type* haystack, std::size_t haystack_bytes, const byte_type* needle,
                  std::size_t needle_bytes) noexcept {
  needle_plan plan;
  plan.data = needle;
  plan.size_bytes = needle_bytes;
  if (needle_bytes >= 2 && needle_bytes <= haystack_bytes)
    make_plan(plan, needle, needle_bytes, haystack_bytes, false);
  return rfind(haystack, haystack_bytes, plan);
}

std::size_t rfind(const byte_type* haystack, std::size_t haystack_bytes,
                  const needle_plan& plan) noexcept {
  if (plan.size_bytes > haystack_bytes) return nowhere;
  if (plan.size_bytes == 0) return haystack_bytes;
  if (plan.size_bytes >= 2) return kernels().rfind(plan, haystack, haystack_bytes);
  return rfind_byte(haystack, haystack_bytes, *plan.data).value_or(nowhere);
}

std::size_t count(const byte_type* data, std::size_t size_bytes, byte_type value) noexcept {
  return kernels().count(data, size_bytes, value);
}

}  // namespace acre::bytes::detail
