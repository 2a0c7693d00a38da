#pragma once

#include <cstddef>

/// Telling AddressSanitizer and Valgrind what is free inside a region's blocks, and filling memory
/// in checked builds so that reads of free or fresh memory show.
///
/// Whether anybody watches is found out at run time, once, so that one build of the library serves
/// all programs. A watched region keeps its fast path closed and does this work on the slow one; an
/// unwatched region pays nothing.
namespace acre::region {

/// Whether a sanitizer, Valgrind or a checked build wants to hear of every block.
[[nodiscard]] bool is_watched() noexcept;

/// Bytes left unused behind each block of a watched region, so that an overflow meets poison.
inline constexpr std::size_t watched_gap_bytes = 16;

inline constexpr unsigned char fresh_fill = 0xcd;  ///< given out, not written yet
inline constexpr unsigned char freed_fill = 0xdd;  ///< free

/// Gives `[data, data + size_bytes)` to the program. Unwatched: no effect.
void watch_allocated(void* data, std::size_t size_bytes) noexcept;

/// Takes it away again. Unwatched: no effect.
void watch_freed(void* data, std::size_t size_bytes) noexcept;

/// Makes memory accessible and leaves its contents, for the region's own notes in it and before it
/// changes hands: a mapping made where poisoned memory was unmapped is poisoned still (GCC bug
/// 81619).
void watch_opened(void* data, std::size_t size_bytes) noexcept;

/// Forbids access and leaves the contents, for the region's own notes.
void watch_closed(void* data, std::size_t size_bytes) noexcept;

}  // namespace acre::region
