// The loops for x86 processors with wide registers, and the choice among them.

#include "tool/machine_stream.hpp"

#include "tool/machine_clock.hpp"

#if defined(__x86_64__)
#include <functional>
#include <iterator>
#include <numeric>

#include <immintrin.h>
#endif

namespace acre::tool {

#if defined(__x86_64__)
namespace {

// Each loop handles stream_block_bytes: four or eight registers, enough to keep both load ports
// busy.

__attribute__((target("avx2"))) std::uint64_t read_avx2(const std::byte* from,
                                                        std::size_t size_bytes,
                                                        std::size_t passes) noexcept {
  __m256i first = _mm256_setzero_si256();
  __m256i second = _mm256_setzero_si256();
  for (; passes > 0; --passes) {
    const auto* at = reinterpret_cast<const __m256i*>(from);
    const auto* const end = reinterpret_cast<const __m256i*>(from + size_bytes);
    for (; at != end; at += 8) {
      first = _mm256_or_si256(first, _mm256_load_si256(at));
      second = _mm256_or_si256(second, _mm256_load_si256(at + 1));
      first = _mm256_or_si256(first, _mm256_load_si256(at + 2));
      second = _mm256_or_si256(second, _mm256_load_si256(at + 3));
      first = _mm256_or_si256(first, _mm256_load_si256(at + 4));
      second = _mm256_or_si256(second, _mm256_load_si256(at + 5));
      first = _mm256_or_si256(first, _mm256_load_si256(at + 6));
      second = _mm256_or_si256(second, _mm256_load_si256(at + 7));
    }
    keep(from);
  }
  first = _mm256_or_si256(first, second);
  const auto half = _mm_or_si128(_mm256_castsi256_si128(first), _mm256_extracti128_si256(first, 1));
  return static_cast<std::uint64_t>(_mm_cvtsi128_si64(half) | _mm_extract_epi64(half, 1));
}

__attribute__((target("avx2"))) void write_avx2(std::byte* to, std::size_t size_bytes,
                                                std::size_t passes) noexcept {
  const __m256i value = _mm256_set1_epi64x(static_cast<long long>(passes));
  for (; passes > 0; --passes) {
    auto* at = reinterpret_cast<__m256i*>(to);
    auto* const end = reinterpret_cast<__m256i*>(to + size_bytes);
    for (; at != end; at += 8) {
      _mm256_store_si256(at, value);
      _mm256_store_si256(at + 1, value);
      _mm256_store_si256(at + 2, value);
      _mm256_store_si256(at + 3, value);
      _mm256_store_si256(at + 4, value);
      _mm256_store_si256(at + 5, value);
      _mm256_store_si256(at + 6, value);
      _mm256_store_si256(at + 7, value);
    }
    keep(to);
  }
}

__attribute__((target("avx2"))) void copy_avx2(std::byte* to, const std::byte* from,
                                               std::size_t size_bytes,
                                               std::size_t passes) noexcept {
  for (; passes > 0; --passes) {
    auto* target = reinterpret_cast<__m256i*>(to);
    const auto* source = reinterpret_cast<const __m256i*>(from);
    const auto* const end = reinterpret_cast<const __m256i*>(from + size_bytes);
    for (; source != end; source += 4, target += 4) {
      const __m256i one = _mm256_load_si256(source);
      const __m256i two = _mm256_load_si256(source + 1);
      const __m256i three = _mm256_load_si256(source + 2);
      const __m256i four = _mm256_load_si256(source + 3);
      _mm256_store_si256(target, one);
      _mm256_store_si256(target + 1, two);
      _mm256_store_si256(target + 2, three);
      _mm256_store_si256(target + 3, four);
    }
    keep(to);
  }
}

__attribute__((target("avx512f"))) std::uint64_t read_avx512(const std::byte* from,
                                                             std::size_t size_bytes,
                                                             std::size_t passes) noexcept {
  __m512i first = _mm512_setzero_si512();
  __m512i second = _mm512_setzero_si512();
  for (; passes > 0; --passes) {
    const auto* at = reinterpret_cast<const __m512i*>(from);
    const auto* const end = reinterpret_cast<const __m512i*>(from + size_bytes);
    for (; at != end; at += 4) {
      first = _mm512_or_si512(first, _mm512_load_si512(at));
      second = _mm512_or_si512(second, _mm512_load_si512(at + 1));
      first = _mm512_or_si512(first, _mm512_load_si512(at + 2));
      second = _mm512_or_si512(second, _mm512_load_si512(at + 3));
    }
    keep(from);
  }
  alignas(64) std::uint64_t words[8];
  _mm512_store_si512(words, _mm512_or_si512(first, second));
  return std::accumulate(std::begin(words), std::end(words), std::uint64_t{0}, std::bit_or{});
}

__attribute__((target("avx512f"))) void write_avx512(std::byte* to, std::size_t size_bytes,
                                                     std::size_t passes) noexcept {
  const __m512i value = _mm512_set1_epi64(static_cast<long long>(passes));
  for (; passes > 0; --passes) {
    auto* at = reinterpret_cast<__m512i*>(to);
    auto* const end = reinterpret_cast<__m512i*>(to + size_bytes);
    for (; at != end; at += 4) {
      _mm512_store_si512(at, value);
      _mm512_store_si512(at + 1, value);
      _mm512_store_si512(at + 2, value);
      _mm512_store_si512(at + 3, value);
    }
    keep(to);
  }
}

__attribute__((target("avx512f"))) void copy_avx512(std::byte* to, const std::byte* from,
                                                    std::size_t size_bytes,
                                                    std::size_t passes) noexcept {
  for (; passes > 0; --passes) {
    auto* target = reinterpret_cast<__m512i*>(to);
    const auto* source = reinterpret_cast<const __m512i*>(from);
    const auto* const end = reinterpret_cast<const __m512i*>(from + size_bytes);
    for (; source != end; source += 4, target += 4) {
      const __m512i one = _mm512_load_si512(source);
      const __m512i two = _mm512_load_si512(source + 1);
      const __m512i three = _mm512_load_si512(source + 2);
      const __m512i four = _mm512_load_si512(source + 3);
      _mm512_store_si512(target, one);
      _mm512_store_si512(target + 1, two);
      _mm512_store_si512(target + 2, three);
      _mm512_store_si512(target + 3, four);
    }
    keep(to);
  }
}

constexpr stream_kernels avx2{"AVX2", read_avx2, write_avx2, copy_avx2};
constexpr stream_kernels avx512{"AVX-512", read_avx512, write_avx512, copy_avx512};

}  // namespace

const stream_kernels& widest_stream_kernels() noexcept {
  if (__builtin_cpu_supports("avx512f") != 0) return avx512;
  if (__builtin_cpu_supports("avx2") != 0) return avx2;
  return portable_stream_kernels();
}

#else

const stream_kernels& widest_stream_kernels() noexcept {
  return portable_stream_kernels();
}

#endif

}  // namespace acre::tool
