#pragma once

#include <acre/region/pool.hpp>

namespace acre::region {

/// The head of a pool's chunk, at an address that is a multiple of the chunk's size:
///
///     chunk | a bit per block | padding | block | block | ... | lost
///
/// so that a block's chunk is found by its address. The bits are only meant while one function
/// works with them.
struct pool::chunk {
  chunk* next;
  chunk* previous;
  supplied_block supplied;
  std::size_t free_blocks;  ///< meant within `sweep`

  [[nodiscard]] std::uint64_t* bits() noexcept {
    return reinterpret_cast<std::uint64_t*>(this + 1);
  }
  [[nodiscard]] const std::uint64_t* bits() const noexcept {
    return reinterpret_cast<const std::uint64_t*>(this + 1);
  }
};

}  // namespace acre::region
