#pragma once

#include <acre/export.h>

#include <array>
#include <cstddef>
#include <cstdint>

/// The data of a search, and the few calls behind `find.hpp`; not for direct use.
namespace acre::bytes::detail {

using byte_type = unsigned char;

/// "Nowhere", and an end that no position reaches.
inline constexpr std::size_t nowhere = static_cast<std::size_t>(-1);

/// One byte of the needle that is compared at 64 positions at a time.
struct probe {
  std::uint32_t offset;  ///< its place in the needle
  byte_type value;
};

/// A needle cut for the two-way search of Crochemore and Perrin (Journal of the ACM 38, 1991): the
/// needle is left + right, and a mismatch in the right part, read forward, allows a shift by as
/// much as was read.
struct linear_plan {
  std::size_t left_bytes = 0;
  /// After the right part matched: the needle's period, or a lower bound of it.
  std::size_t shift_bytes = 0;
  /// `shift_bytes` is the period, so what matched need not be read again.
  bool is_periodic = false;
  std::array<byte_type, 256> holds;  ///< 1 for each byte that the needle holds
};

/// What is worth knowing about a needle before a search. It does not own the needle.
struct needle_plan {
  const byte_type* data = nullptr;
  std::size_t size_bytes = 0;
  std::array<probe, 8> probes;  ///< the best first; needles of fewer bytes repeat some
  /// Of short needles; less than the size: matches can overlap. 0: found when it is needed, in a
  /// plan that serves one search only, and of more than `exact_bytes_max` bytes.
  mutable std::size_t period_bytes = 0;
  const linear_plan* linear = nullptr;  ///< when made beforehand
  /// A set, by hash, of the 8-byte pieces of the needle's first `sample_bytes`; 0: not made.
  std::uint32_t sample_bytes = 0;
  std::array<std::uint64_t, 256> samples;
};

/// How a search goes on; it only ever steps down this list.
enum class search_mode : std::uint8_t {
  sampled,  ///< one 8-byte piece in a needle's length is looked up in `needle_plan::samples`
  dense,    ///< probes at every position
  linear,   ///< the probes found too many false candidates: two-way, linear in the worst case
};

/// A search under way over one haystack.
struct search_state {
  const byte_type* haystack = nullptr;
  std::size_t size_bytes = 0;
  std::size_t position = 0;  ///< where the next match may begin
  std::size_t start = 0;  ///< where the search began; its costs are measured against the way made
  std::size_t work = 0;   ///< what false candidates have cost, about a quarter nanosecond each
  search_mode mode = search_mode::dense;
  bool looks_deep = false;  ///< of short needles: four probes let too much through, six do not
  linear_plan own_linear;   ///< made when it is needed and the plan has none
  const linear_plan* linear = nullptr;
};

/// Matches found in one go: offsets from `base`.
struct match_batch {
  static constexpr std::size_t capacity = 1024;
  std::size_t base = 0;
  std::size_t count = 0;
  bool is_last = false;  ///< there are no matches after these
  /// The room beyond `capacity` is for the vector store that writes more than it found.
  std::array<std::uint32_t, capacity + 80> offsets;
};

/// Starts a search for all matches and finds the first of them. Makes the plan, if there is need of
/// one; all that is given must outlive the search.
ACRE_API void first_matches(needle_plan& plan, search_state& state, match_batch& batch,
                            const byte_type* haystack, std::size_t haystack_bytes,
                            const byte_type* needle, std::size_t needle_bytes) noexcept;
/// The same with a plan made before.
ACRE_API void first_matches(const needle_plan& plan, search_state& state, match_batch& batch,
                            const byte_type* haystack, std::size_t haystack_bytes) noexcept;
/// Finds matches that share no byte with one another or those before; none is left when the batch
/// is empty.
ACRE_API void next_matches(const needle_plan& plan, search_state& state,
                           match_batch& batch) noexcept;

ACRE_API std::size_t find(const byte_type* haystack, std::size_t haystack_bytes,
                          const byte_type* needle, std::size_t needle_bytes) noexcept;
ACRE_API std::size_t find(const byte_type* haystack, std::size_t haystack_bytes,
                          const needle_plan& plan) noexcept;
ACRE_API std::size_t rfind(const byte_type* haystack, std::size_t haystack_bytes,
                           const byte_type* needle, std::size_t needle_bytes) noexcept;
ACRE_API std::size_t rfind(const byte_type* haystack, std::size_t haystack_bytes,
                           const needle_plan& plan) noexcept;
ACRE_API std::size_t count(const byte_type* data, std::size_t size_bytes, byte_type value) noexcept;

}  // namespace acre::bytes::detail
