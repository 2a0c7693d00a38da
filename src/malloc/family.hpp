#pragma once

#include "heap/allocate.hpp"

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

/// The malloc family as inline functions, so that each set of exported names (acre_malloc …, malloc
/// …) gets its own copy of the fast path and no call between.
///
/// Contracts: C23, POSIX.1-2024, and glibc's manual where those leave a choice.
namespace acre::mallocs {

/// The slow paths of functions that set errno.
[[nodiscard, gnu::noinline]] void* slow(heaps::bin* b, std::size_t size_bytes) noexcept;
[[nodiscard, gnu::noinline]] void* huge(std::size_t size_bytes) noexcept;
[[nodiscard, gnu::noinline]] void* medium(std::size_t size_bytes) noexcept;

/// calloc beyond its fast path.
[[nodiscard, gnu::noinline]] void* zeroed_slow(std::size_t size_bytes) noexcept;
[[nodiscard, gnu::noinline]] void* zeroed_slow(heaps::bin* b, std::size_t size_bytes) noexcept;

[[nodiscard, gnu::always_inline]] inline void* allocate(std::size_t size_bytes) noexcept {
  return heaps::allocate<slow, medium>(size_bytes);
}

/// memset, out of line: inline the compiler makes it a slow string instruction.
[[gnu::noinline]] void clear_more(void* block, std::size_t bytes) noexcept;

/// Clears a small block whose last 16 bytes begin at `last` (0 to 1008); four stores to 64 bytes.
[[gnu::always_inline]] inline void clear_small(void* block, std::size_t last) noexcept {
  if (last > 48) [[unlikely]]
    return clear_more(block, last + 16);
  auto* const first = static_cast<std::byte*>(block);
#if defined(__SSE2__)
  const __m128i zero = _mm_setzero_si128();
  const auto store = [zero](std::byte* at) {
    _mm_store_si128(reinterpret_cast<__m128i*>(at), zero);
  };
#else
  const auto store = [](std::byte* at) { std::memset(at, 0, 16); };
#endif
  store(first);
  store(first + last);
  if (last > 16) {
    store(first + 16);
    store(first + last - 16);
  }
}

[[nodiscard, gnu::always_inline]] inline void* allocate_cleared(std::size_t count,
                                                                std::size_t size_bytes) noexcept {
  std::size_t bytes = 0;
  if (__builtin_mul_overflow(count, size_bytes, &bytes)) [[unlikely]]
    return zeroed_slow(SIZE_MAX);
  // 0 wraps to the slow path.
  if (bytes - 1 >= heaps::small_bytes_max) [[unlikely]]
    return zeroed_slow(bytes);
  const std::size_t last = (bytes - 1) & ~std::size_t{15};
  auto* const b = reinterpret_cast<heaps::bin*>(reinterpret_cast<std::uintptr_t>(heaps::current) +
                                                sizeof(heaps::bin) + last * 8);
  if (--b->grant < 0) [[unlikely]]
    return zeroed_slow(b, bytes);
  void* const block = heaps::pop(b);
  clear_small(block, last);
  return block;
}

[[nodiscard]] void* reallocate(void* block, std::size_t size_bytes) noexcept;
[[nodiscard]] void* reallocate_array(void* block, std::size_t count,
                                     std::size_t size_bytes) noexcept;
/// aligned_alloc and memalign as glibc has them: an alignment that is no power of two is rounded
/// up.
[[nodiscard]] void* allocate_aligned(std::size_t alignment, std::size_t size_bytes) noexcept;
[[nodiscard]] void* allocate_strictly_aligned(std::size_t alignment,
                                              std::size_t size_bytes) noexcept;
[[nodiscard]] int allocate_posix(void** block, std::size_t alignment,
                                 std::size_t size_bytes) noexcept;
[[nodiscard]] void* allocate_pages(std::size_t size_bytes, bool whole_pages) noexcept;
[[nodiscard]] std::size_t usable(const void* block) noexcept;

}  // namespace acre::mallocs
