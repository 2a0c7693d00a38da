#include "tool/machine_clock.hpp"
#include "tool/machine_stream.hpp"

namespace acre::tool {
namespace {

/// Sixteen bytes in one register where the processor has such, else two; an extension of both
/// compilers.
using lane = std::uint64_t __attribute__((vector_size(16), may_alias));

constexpr std::size_t lanes_each = 8;

std::uint64_t read(const std::byte* from, std::size_t size_bytes, std::size_t passes) noexcept {
  lane first{};
  lane second{};
  for (; passes > 0; --passes) {
    const auto* at = reinterpret_cast<const lane*>(from);
    const auto* const end = reinterpret_cast<const lane*>(from + size_bytes);
    for (; at != end; at += lanes_each) {
      first |= at[0] | at[1] | at[2] | at[3];
      second |= at[4] | at[5] | at[6] | at[7];
    }
    keep(from);
  }
  first |= second;
  return first[0] | first[1];
}

void write(std::byte* to, std::size_t size_bytes, std::size_t passes) noexcept {
  const lane value{passes, passes};
  for (; passes > 0; --passes) {
    auto* at = reinterpret_cast<lane*>(to);
    auto* const end = reinterpret_cast<lane*>(to + size_bytes);
    for (; at != end; at += lanes_each)
      at[0] = at[1] = at[2] = at[3] = at[4] = at[5] = at[6] = at[7] = value;
    keep(to);
  }
}

void copy(std::byte* to, const std::byte* from, std::size_t size_bytes,
          std::size_t passes) noexcept {
  for (; passes > 0; --passes) {
    auto* target = reinterpret_cast<lane*>(to);
    const auto* source = reinterpret_cast<const lane*>(from);
    const auto* const end = reinterpret_cast<const lane*>(from + size_bytes);
    for (; source != end; source += lanes_each, target += lanes_each) {
      const lane one = source[0];
      const lane two = source[1];
      const lane three = source[2];
      const lane four = source[3];
      target[0] = one;
      target[1] = two;
      target[2] = three;
      target[3] = four;
      const lane five = source[4];
      const lane six = source[5];
      const lane seven = source[6];
      const lane eight = source[7];
      target[4] = five;
      target[5] = six;
      target[6] = seven;
      target[7] = eight;
    }
    keep(to);
  }
}

constexpr stream_kernels portable{"16-byte", read, write, copy};

}  // namespace

const stream_kernels& portable_stream_kernels() noexcept {
  return portable;
}

}  // namespace acre::tool
