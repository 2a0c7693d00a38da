#pragma once

#include <acre/region/arena.hpp>

namespace acre::region {

/// The head of each block of memory that an arena holds; what it hands out follows.
///
/// Chunks before the current one are used, those after it are kept for later.
struct alignas(std::max_align_t) arena::chunk {
  chunk* next;
  std::size_t used_bytes;  ///< meant for chunks before the current one
  supplied_block supplied;

  [[nodiscard]] std::byte* begin() noexcept { return reinterpret_cast<std::byte*>(this + 1); }
  [[nodiscard]] std::byte* end() noexcept {
    return supplied.memory.data + supplied.memory.size_bytes;
  }
};

/// What a marker stands for; lies in the arena, where its marker was made.
///
/// Records form a stack of falling ids. A marker is good while its id is on it.
struct arena::mark_record {
  std::uint64_t id;
  mark_record* previous;
  destructor_record* destructors;  ///< the newest object then
  chunk* chunk_before;             ///< where the arena stood before the record was made
  std::byte* cursor_before;
  std::size_t used_before;
  chunk* chunk_after;  ///< and after that
  std::byte* cursor_after;
  std::size_t used_after;
};

}  // namespace acre::region
