#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

/// What regions share that fill one chunk of memory after another.
namespace acre::region {

/// Sizes and alignments above this are refused; sums of a few of them cannot wrap around.
inline constexpr std::size_t most_bytes = static_cast<std::size_t>(PTRDIFF_MAX) / 4;

/// The size of the first chunk where the user named none (0): small enough for malloc's own
/// caches; blocks made of pages are dear, so take more at once.
[[nodiscard]] constexpr std::size_t bytes_of_first_chunk(std::size_t asked_bytes,
                                                         std::size_t granularity) noexcept {
  if (asked_bytes != 0) return asked_bytes;
  return granularity < 4096 ? std::size_t{16} << 10U
                            : std::max(granularity, std::size_t{64} << 10U);
}

/// Whether `address` lies in the used part of a list of chunks: all before `current` to what they
/// note as used, and `current` up to `cursor`. No current chunk is none at all.
template <class Chunk>
[[nodiscard]] bool is_in_used_part(Chunk* first, const Chunk* current, const std::byte* cursor,
                                   const void* address) noexcept {
  if (current == nullptr) return false;
  const auto number = reinterpret_cast<std::uintptr_t>(address);
  for (Chunk* in = first; in != nullptr; in = in->next) {
    const std::byte* const end = in == current ? cursor : in->begin() + in->used_bytes;
    if (number >= reinterpret_cast<std::uintptr_t>(in->begin()) &&
        number < reinterpret_cast<std::uintptr_t>(end)) {
      return true;
    }
    if (in == current) break;
  }
  return false;
}

}  // namespace acre::region
