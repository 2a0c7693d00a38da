#include "bytes/engine.hpp"
#include "bytes/kernels.hpp"
#include "bytes/pieces.hpp"

namespace acre::bytes::detail {
namespace {

/// Eight bytes in a 64-bit word.
struct word {
  using vector = std::uint64_t;
  static constexpr unsigned width = 8;

  static vector load(const byte_type* at) noexcept {
    const std::uint64_t value = load_8(at);
    return std::endian::native == std::endian::little ? value : __builtin_bswap64(value);
  }
  static vector splat(byte_type value) noexcept { return value * 0x0101'0101'0101'0101ULL; }
  /// The high bit of each byte that is equal, exactly; then those bits side by side.
  static mask same(vector a, vector b) noexcept {
    constexpr std::uint64_t low_seven = 0x7f7f'7f7f'7f7f'7f7fULL;
    const std::uint64_t difference = a ^ b;
    const std::uint64_t zero = ~(((difference & low_seven) + low_seven) | difference | low_seven);
    return ((zero >> 7U) * 0x0102'0408'1020'4080ULL) >> 56U;
  }
};

}  // namespace

constinit const kernel_table* const portable_kernels = &engine<pieces<word>>::table;

}  // namespace acre::bytes::detail
