#include "bytes/kernels.hpp"

#if defined(__x86_64__)
#include <immintrin.h>
// Everything from here on, and nothing before, may use these instructions: what the linker could
// share with other files must run on any processor.
#if defined(__clang__)
#pragma clang attribute push(                                                                      \
    __attribute__((                                                                                \
        target("avx512f,avx512bw,avx512vl,avx512vbmi,avx512vbmi2,avx2,bmi,bmi2,popcnt,evex512"))), \
    apply_to = function)
#else
// GCC 12 takes the deliberately undefined operand of some intrinsics for a mistake (its bug
// 105593).
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC push_options
#pragma GCC target("avx512f,avx512bw,avx512vl,avx512vbmi,avx512vbmi2,avx2,bmi,bmi2,popcnt")
#endif
#include "bytes/engine.hpp"

namespace acre::bytes::detail {
namespace {

struct avx512_ops {
  using vector = __m512i;

  static mask low(unsigned count) noexcept { return (mask{1} << count) - 1; }
  static __m512i load(const byte_type* at) noexcept { return _mm512_loadu_si512(at); }

  static vector splat(byte_type value) noexcept {
    return _mm512_set1_epi8(static_cast<char>(value));
  }
  static mask equal(const byte_type* at, vector value) noexcept {
    return _mm512_cmpeq_epi8_mask(load(at), value);
  }
  static mask equal_head(const byte_type* at, unsigned count, vector value) noexcept {
    return _mm512_mask_cmpeq_epi8_mask(low(count), _mm512_maskz_loadu_epi8(low(count), at), value);
  }
  static mask differ(const byte_type* a, const byte_type* b) noexcept {
    return _mm512_cmpneq_epi8_mask(load(a), load(b));
  }
  static mask differ_head(const byte_type* a, const byte_type* b, unsigned count) noexcept {
    return _mm512_cmpneq_epi8_mask(_mm512_maskz_loadu_epi8(low(count), a),
                                   _mm512_maskz_loadu_epi8(low(count), b));
  }

  /// The numbers of the set bits, 16 at a time.
  static void emit(std::uint32_t* out, std::uint32_t base, mask bits) noexcept {
    alignas(64) static constexpr byte_type numbers[64] = {
        0,  1,  2,  3,  4,  5,  6,  7,  8,  9,  10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21,
        22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40, 41, 42, 43,
        44, 45, 46, 47, 48, 49, 50, 51, 52, 53, 54, 55, 56, 57, 58, 59, 60, 61, 62, 63};
    __m512i set = _mm512_maskz_compress_epi8(bits, load(numbers));
    const __m512i from = _mm512_set1_epi32(static_cast<int>(base));
    auto left = __builtin_popcountll(bits);
    do {
      const __m512i wide = _mm512_cvtepu8_epi32(_mm512_castsi512_si128(set));
      _mm512_storeu_si512(out, _mm512_add_epi32(wide, from));
      set = _mm512_alignr_epi32(_mm512_setzero_si512(), set, 4);
      out += 16;
      left -= 16;
    } while (left > 0);
  }
};

}  // namespace

constinit const kernel_table* const avx512_kernels = &engine<avx512_ops>::table;

}  // namespace acre::bytes::detail
#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
#else
constinit const acre::bytes::detail::kernel_table* const acre::bytes::detail::avx512_kernels =
    nullptr;
#endif
