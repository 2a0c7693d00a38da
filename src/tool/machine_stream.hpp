#pragma once

#include <cstddef>
#include <cstdint>

namespace acre::tool {

/// Loops over memory with the widest registers of the processor.
///
/// Requires:  addresses and sizes are multiples of `stream_block_bytes`.
struct stream_kernels {
  const char* name;  ///< of the instructions
  /// Reads all of it `passes` times; what is returned depends on every byte.
  std::uint64_t (*read)(const std::byte* from, std::size_t size_bytes, std::size_t passes) noexcept;
  void (*write)(std::byte* to, std::size_t size_bytes, std::size_t passes) noexcept;
  void (*copy)(std::byte* to, const std::byte* from, std::size_t size_bytes,
               std::size_t passes) noexcept;
};

inline constexpr std::size_t stream_block_bytes = 256;

/// Those that any processor runs.
[[nodiscard]] const stream_kernels& portable_stream_kernels() noexcept;

/// The widest that this one runs.
[[nodiscard]] const stream_kernels& widest_stream_kernels() noexcept;

}  // namespace acre::tool
