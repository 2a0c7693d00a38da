#pragma once

#include <acre/os/shared_memory.hpp>
#include <acre/result.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <type_traits>

namespace acre::os {

/// What lies at the start of a segment, on a page of its own.
struct segment_header {
  std::array<char, 8> magic;
  std::uint32_t format;
  std::uint32_t version;
  std::uint64_t layout_hash;
  std::uint64_t size_bytes;
  std::int32_t owner_process;  ///< 0 for a segment without a name
};
static_assert(std::is_trivially_copyable_v<segment_header>);

inline constexpr std::array<char, 8> segment_magic{'a', 'c', 'r', 'e', 's', 'e', 'g', '\n'};
inline constexpr std::uint32_t segment_format = 1;

/// Whether the header, of a file of `file_bytes`, is that of a segment with the layout.
[[nodiscard]] result<void> check_header(const segment_header& header, std::size_t header_bytes,
                                        std::size_t file_bytes,
                                        const segment_layout& layout) noexcept;

}  // namespace acre::os
