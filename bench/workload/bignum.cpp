// Arithmetic on heap-allocated numbers: every operation makes a short-lived block or two, as in
// interpreters and computer algebra. Pollard's rho on a product of two primes, with numbers of
// 32-bit limbs that live exactly as long as their value is needed.

#include "support.hpp"
#include "workload.hpp"

#include <array>
#include <memory>
#include <utility>

namespace acre::bench {
namespace {

constexpr std::array parameters{parameter{"threads", 1, 1}, parameter{"steps", 1500000, 20000}};

struct freer {
  void operator()(void* block) const { std::free(block); }
};

/// Header of a block whose rest is the limbs: little-endian, no leading zero; zero has none.
struct number {
  std::uint32_t count;

  std::uint32_t& limb(std::size_t at) { return reinterpret_cast<std::uint32_t*>(this + 1)[at]; }
  [[nodiscard]] std::uint32_t limb(std::size_t at) const {
    return reinterpret_cast<const std::uint32_t*>(this + 1)[at];
  }
};

using owned = std::unique_ptr<number, freer>;

owned make(std::size_t limbs) {
  void* data = std::malloc(sizeof(number) + limbs * sizeof(std::uint32_t));
  if (data == nullptr) die("malloc returned null");
  auto* made = static_cast<number*>(data);
  made->count = static_cast<std::uint32_t>(limbs);
  return owned{made};
}

void trim(number& value) {
  while (value.count != 0 && value.limb(value.count - 1) == 0)
    --value.count;
}

owned from(std::uint64_t value) {
  owned made = make(2);
  made->limb(0) = static_cast<std::uint32_t>(value);
  made->limb(1) = static_cast<std::uint32_t>(value >> 32U);
  trim(*made);
  return made;
}

std::uint64_t low_bits(const number& value) {
  std::uint64_t low = value.count > 0 ? value.limb(0) : 0;
  if (value.count > 1) low |= static_cast<std::uint64_t>(value.limb(1)) << 32U;
  return low;
}

owned multiply(const number& a, const number& b) {
  owned product = make(a.count + b.count);
  for (std::uint32_t at = 0; at < product->count; ++at)
    product->limb(at) = 0;
  for (std::uint32_t row = 0; row < a.count; ++row) {
    std::uint64_t carry = 0;
    for (std::uint32_t column = 0; column < b.count; ++column) {
      carry += std::uint64_t{a.limb(row)} * b.limb(column) + product->limb(row + column);
      product->limb(row + column) = static_cast<std::uint32_t>(carry);
      carry >>= 32U;
    }
    product->limb(row + b.count) = static_cast<std::uint32_t>(carry);
  }
  trim(*product);
  return product;
}

owned add(const number& a, std::uint32_t small) {
  owned sum = make(a.count + 1);
  std::uint64_t carry = small;
  for (std::uint32_t at = 0; at < a.count; ++at, carry >>= 32U) {
    carry += a.limb(at);
    sum->limb(at) = static_cast<std::uint32_t>(carry);
  }
  sum->limb(a.count) = static_cast<std::uint32_t>(carry);
  trim(*sum);
  return sum;
}

/// Remainder of a number of at most four limbs by a modulus of at most two.
owned remainder(const number& value, const number& modulus) {
  __extension__ using wide = unsigned __int128;
  const std::uint64_t divisor = low_bits(modulus);
  std::uint64_t rest = 0;
  for (std::uint32_t at = value.count; at != 0; --at)
    rest = static_cast<std::uint64_t>(((static_cast<wide>(rest) << 32U) | value.limb(at - 1)) %
                                      divisor);
  return from(rest);
}

/// One step of the walk: x * x + 1 modulo n.
owned walk(const number& x, const number& modulus) {
  const owned square = multiply(x, x);
  const owned next = add(*square, 1);
  return remainder(*next, modulus);
}

std::uint64_t factor(std::size_t steps, std::uint64_t seed) {
  const owned modulus = from(2147483647ULL * 2147483629ULL);  // two primes below 2^31
  owned tortoise = from(seed + 2);
  owned hare = from(seed + 2);
  owned product = from(1);
  std::uint64_t sum = 0;
  for (std::size_t step = 0; step < steps; ++step) {
    tortoise = walk(*tortoise, *modulus);
    hare = walk(*walk(*hare, *modulus), *modulus);
    const owned difference = from(low_bits(*hare) - low_bits(*tortoise));
    product = remainder(*multiply(*product, *difference), *modulus);
    if (product->count == 0) product = from(step + 1);
    sum += product->limb(0);
  }
  return sum;
}

std::uint64_t run(const arguments& given) {
  return on_threads(given["threads"],
                    [&](std::size_t index) { return factor(given["steps"], index); });
}

}  // namespace

const workload bignum{"bignum", "arithmetic on short-lived heap-allocated numbers", parameters,
                      run};

}  // namespace acre::bench
