#include "bytes/kernels.hpp"

#if defined(__x86_64__)
#include <immintrin.h>
// Everything from here on, and nothing before, may use these instructions: what the linker could
// share with other files must run on any processor.
#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,bmi,bmi2,popcnt"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2,bmi,bmi2,popcnt")
#endif
#include "bytes/engine.hpp"
#include "bytes/pieces.hpp"

namespace acre::bytes::detail {
namespace {

struct avx2_half {
  using vector = __m256i;
  static constexpr unsigned width = 32;

  static vector load(const byte_type* at) noexcept {
    return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(at));
  }
  static vector splat(byte_type value) noexcept {
    return _mm256_set1_epi8(static_cast<char>(value));
  }
  static mask same(vector a, vector b) noexcept {
    return static_cast<std::uint32_t>(_mm256_movemask_epi8(_mm256_cmpeq_epi8(a, b)));
  }
};

}  // namespace

constinit const kernel_table* const avx2_kernels = &engine<pieces<avx2_half>>::table;

}  // namespace acre::bytes::detail
#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
#else
constinit const acre::bytes::detail::kernel_table* const acre::bytes::detail::avx2_kernels =
    nullptr;
#endif
