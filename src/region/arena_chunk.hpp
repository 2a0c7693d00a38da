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

/// The head of one large request, directly before its memory:
///
///     block of the source | padding | own_block | memory | lost
///
/// Live ones form a list of falling ids. Where the source had no block, the head and the memory lie
/// in a chunk, and the head is in no list.
struct alignas(std::max_align_t) arena::own_block {
  own_block* older;
  own_block* newer;
  std::uint64_t id;  ///< 0 in a chunk
  std::size_t size_bytes;
  supplied_block supplied;
  const void* self;  ///< tells a head from other memory

  [[nodiscard]] static own_block* of(const void* data) noexcept {
    return reinterpret_cast<own_block*>(const_cast<void*>(data)) - 1;
  }
  [[nodiscard]] std::byte* begin() noexcept { return reinterpret_cast<std::byte*>(this + 1); }
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
  std::uint64_t last_own_id;
};

}  // namespace acre::region
