#pragma once

/// The search, once for each instruction set that a processor may have.
///
/// `engine.hpp` holds the algorithms over a small interface of vector operations; each
/// `target_*.cpp` gives that interface for one instruction set and makes one table of functions.
#include <acre/bytes/detail/search.hpp>
#include <acre/bytes/instruction_set.hpp>

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace acre::bytes::detail {

/// Needles up to here are compared whole, at 64 positions at a time, if need be.
inline constexpr std::size_t short_needle_max = 64;

/// Searches for needles of up to this many bytes may probe all of them.
inline constexpr std::size_t exact_bytes_max = 6;

struct kernel_table {
  /// Requires: 2 <= needle <= haystack, in bytes.
  std::size_t (*find)(const byte_type* haystack, std::size_t haystack_bytes,
                      const byte_type* needle, std::size_t needle_bytes) noexcept;
  /// The next match from `state.position`, which is left alone. Requires: a needle of 2 bytes or
  /// more.
  std::size_t (*next)(const needle_plan& plan, search_state& state) noexcept;
  /// All matches of a needle of 1 to `short_needle_max` bytes in a haystack of 1 to 64 positions.
  void (*find_few)(const byte_type* haystack, unsigned positions, const byte_type* needle,
                   std::size_t needle_bytes, match_batch& batch) noexcept;
  /// Matches of a needle of 1 to `short_needle_max` bytes; moves `state.position` on.
  void (*next_short)(const needle_plan& plan, search_state& state, match_batch& batch) noexcept;
  std::size_t (*rfind)(const needle_plan& plan, const byte_type* haystack,
                       std::size_t haystack_bytes) noexcept;
  std::size_t (*count)(const byte_type* data, std::size_t size_bytes, byte_type value) noexcept;
  void (*make_linear)(linear_plan& plan, const byte_type* needle, std::size_t size_bytes) noexcept;
  /// Requires: 1 to `short_needle_max` bytes.
  std::size_t (*period_of)(const byte_type* needle, std::size_t needle_bytes) noexcept;
};

/// Null where the compiler does not build for such a processor.
extern const kernel_table* const portable_kernels;
extern const kernel_table* const sse2_kernels;
extern const kernel_table* const avx2_kernels;
extern const kernel_table* const avx512_kernels;
extern const kernel_table* const neon_kernels;

/// Requires: `needle` lives as long as the plan. `haystack_bytes` says how much effort pays;
/// samples are made only if they do and are wanted.
void make_plan(needle_plan& plan, const byte_type* needle, std::size_t size_bytes,
               std::size_t haystack_bytes, bool wants_samples) noexcept;

/// Requires: `plan` and `haystack` outlive the search.
void start_search(search_state& state, const needle_plan& plan, const byte_type* haystack,
                  std::size_t size_bytes) noexcept;

/// Chooses up to eight probes among the first bytes of the needle, the rarest first.
void choose_probes(needle_plan& plan, std::size_t haystack_bytes) noexcept;

/// Makes `plan.samples`, unless the needle is too short for them.
void make_samples(needle_plan& plan) noexcept;

/// Rank of each byte among all 256 by how often it occurs; 0 is the rarest.
extern const std::array<byte_type, 256> byte_rank;

inline std::uint64_t load_8(const byte_type* data) noexcept {
  std::uint64_t value = 0;
  std::memcpy(&value, data, sizeof value);
  return value;
}

/// The place of an 8-byte piece in `needle_plan::samples`, a set of 2^14 bits.
inline std::size_t sample_bit(std::uint64_t piece) noexcept {
  return static_cast<std::size_t>((piece * 0x9e37'79b9'7f4a'7c15ULL) >> 50U);
}

}  // namespace acre::bytes::detail
