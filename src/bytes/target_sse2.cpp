#include "bytes/kernels.hpp"

#if defined(__SSE2__)
#include "bytes/engine.hpp"
#include "bytes/pieces.hpp"

#include <emmintrin.h>

namespace acre::bytes::detail {
namespace {

struct sse2_quarter {
  using vector = __m128i;
  static constexpr unsigned width = 16;

  static vector load(const byte_type* at) noexcept {
    return _mm_loadu_si128(reinterpret_cast<const __m128i*>(at));
  }
  static vector splat(byte_type value) noexcept { return _mm_set1_epi8(static_cast<char>(value)); }
  static mask same(vector a, vector b) noexcept {
    return static_cast<std::uint16_t>(_mm_movemask_epi8(_mm_cmpeq_epi8(a, b)));
  }
};

}  // namespace

constinit const kernel_table* const sse2_kernels = &engine<pieces<sse2_quarter>>::table;

}  // namespace acre::bytes::detail
#else
constinit const acre::bytes::detail::kernel_table* const acre::bytes::detail::sse2_kernels =
    nullptr;
#endif
