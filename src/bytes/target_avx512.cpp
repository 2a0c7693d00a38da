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

  static mask low(unsigned count) noexcept { return _bzhi_u64(~mask{0}, count); }
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

  static std::uint32_t* emit(std::uint32_t* out, std::uint32_t base, mask bits) noexcept {
    __m512i set = numbers_of(0, bits);
    const __m512i from = _mm512_set1_epi32(static_cast<int>(base));
    std::uint32_t* const end = out + __builtin_popcountll(bits);
    do {
      write_16(out, set, from);
      set = _mm512_alignr_epi32(_mm512_setzero_si512(), set, 4);
      out += 16;
    } while (out < end);
    return end;
  }

  [[gnu::always_inline]] static std::uint32_t* emit_few(std::uint32_t* out, std::uint32_t base,
                                                        mask a, mask b, mask c, mask d) noexcept {
    const __m512i from = _mm512_set1_epi32(static_cast<int>(base));
    write_16(out, numbers_of(0, a), from);
    out += __builtin_popcountll(a);
    write_16(out, numbers_of(1, b), from);
    out += __builtin_popcountll(b);
    write_16(out, numbers_of(2, c), from);
    out += __builtin_popcountll(c);
    write_16(out, numbers_of(3, d), from);
    return out + __builtin_popcountll(d);
  }

 private:
  alignas(64) static constexpr std::array<byte_type, 256> numbers = [] {
    std::array<byte_type, 256> each{};
    for (unsigned number = 0; number < 256; ++number)
      each[number] = static_cast<byte_type>(number);
    return each;
  }();
  /// The numbers of the set bits of block 0 to 3 in a group, as bytes side by side.
  static __m512i numbers_of(unsigned block, mask bits) noexcept {
    // Into a register that was cleared just before: the form that clears it itself waits for the
    // register's last value on Zen 4.
    __m512i set = _mm512_setzero_si512();
    __asm__("" : "+v"(set));
    return _mm512_mask_compress_epi8(set, bits, load(numbers.data() + std::size_t{block} * 64));
  }
  static void write_16(std::uint32_t* out, __m512i set, __m512i from) noexcept {
    const __m512i wide = _mm512_cvtepu8_epi32(_mm512_castsi512_si128(set));
    _mm512_storeu_si512(out, _mm512_add_epi32(wide, from));
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
