#include "bytes/kernels.hpp"

#if defined(__aarch64__) && defined(__ARM_NEON)
#include "bytes/engine.hpp"
#include "bytes/pieces.hpp"

#include <arm_neon.h>

namespace acre::bytes::detail {
namespace {

struct neon_quarter {
  using vector = uint8x16_t;
  static constexpr unsigned width = 16;

  static vector load(const byte_type* at) noexcept { return vld1q_u8(at); }
  static vector splat(byte_type value) noexcept { return vdupq_n_u8(value); }
  /// One bit a byte: each lane keeps its own bit, and eight neighbours are added up.
  static mask same(vector a, vector b) noexcept {
    const uint8x16_t bits = {1, 2, 4, 8, 16, 32, 64, 128, 1, 2, 4, 8, 16, 32, 64, 128};
    const uint8x16_t kept = vandq_u8(vceqq_u8(a, b), bits);
    return static_cast<mask>(vaddv_u8(vget_low_u8(kept))) |
           static_cast<mask>(vaddv_u8(vget_high_u8(kept))) << 8U;
  }
};

}  // namespace

constinit const kernel_table* const neon_kernels = &engine<pieces<neon_quarter>>::table;

}  // namespace acre::bytes::detail
#else
constinit const acre::bytes::detail::kernel_table* const acre::bytes::detail::neon_kernels =
    nullptr;
#endif
