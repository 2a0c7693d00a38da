#pragma once

#include <acre/export.h>

#include <cstdint>
#include <string_view>

namespace acre::bytes {

/// The instruction sets that searches and counts are written for.
enum class instruction_set : std::uint8_t {
  portable,  ///< any processor
  neon,      ///< every 64-bit Arm processor
  sse2,      ///< every x86-64 processor
  avx2,      ///< with BMI1, BMI2, LZCNT and POPCNT: Intel since 2013, AMD since 2015
  avx512,    ///< with BW, VL, VBMI and VBMI2: Intel since Ice Lake, AMD since Zen 4
};

[[nodiscard]] ACRE_API std::string_view name(instruction_set set) noexcept;

/// Whether this processor, and this build of Acre, can use `set`.
[[nodiscard]] ACRE_API bool is_supported(instruction_set set) noexcept;

/// The one in use: the best supported, unless `use_instruction_set` said otherwise.
[[nodiscard]] ACRE_API instruction_set instruction_set_in_use() noexcept;

/// Makes every later search in the process use `set`; for tests and for comparing.
///
/// Returns:       false, and changes nothing, where `set` is not supported.
/// Thread-safety: any thread; searches under way may go on with either.
[[nodiscard]] ACRE_API bool use_instruction_set(instruction_set set) noexcept;

}  // namespace acre::bytes
