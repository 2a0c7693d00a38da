#pragma once

#include <cstddef>
#include <cstdio>
#include <cstdlib>

#include <dlfcn.h>
#include <malloc.h>

#if ACRE_TEST_OWN_NAMES
#include <acre/malloc.h>
#endif

/// The malloc family under test.
///
/// The same tests are compiled twice: with ACRE_TEST_OWN_NAMES they call the acre_malloc names
/// (beside the system's malloc, so that they work under sanitizers), without it the standard names,
/// behind which stands libacre-malloc (preloaded or linked) or, to test the tests, the system.
///
/// The wrappers stay out of line so that no compiler knows that a block is fresh, unaliased or
/// unused.

#if !ACRE_TEST_OWN_NAMES
// C23; the C library of Debian 12 has neither, so the addresses may be null.
extern "C" {
[[gnu::weak]] void free_sized(void* block, std::size_t size_bytes) noexcept;
[[gnu::weak]] void free_aligned_sized(void* block, std::size_t alignment,
                                      std::size_t size_bytes) noexcept;
}
#endif

namespace family {

#if ACRE_TEST_OWN_NAMES
#define ACRE_TEST_NAME(name) acre_##name
#else
#define ACRE_TEST_NAME(name) ::name
#endif

[[gnu::noinline]] inline void* malloc(std::size_t size_bytes) noexcept {
  return ACRE_TEST_NAME(malloc)(size_bytes);
}
[[gnu::noinline]] inline void* calloc(std::size_t count, std::size_t size_bytes) noexcept {
  return ACRE_TEST_NAME(calloc)(count, size_bytes);
}
[[gnu::noinline]] inline void* realloc(void* block, std::size_t size_bytes) noexcept {
  return ACRE_TEST_NAME(realloc)(block, size_bytes);
}
[[gnu::noinline]] inline void* reallocarray(void* block, std::size_t count,
                                            std::size_t size_bytes) noexcept {
  return ACRE_TEST_NAME(reallocarray)(block, count, size_bytes);
}
[[gnu::noinline]] inline void free(void* block) noexcept {
  ACRE_TEST_NAME(free)(block);
}
[[gnu::noinline]] inline void free_sized(void* block, std::size_t size_bytes) noexcept {
  ACRE_TEST_NAME(free_sized)(block, size_bytes);
}
[[gnu::noinline]] inline void free_aligned_sized(void* block, std::size_t alignment,
                                                 std::size_t size_bytes) noexcept {
  ACRE_TEST_NAME(free_aligned_sized)(block, alignment, size_bytes);
}
[[gnu::noinline]] inline void* aligned_alloc(std::size_t alignment,
                                             std::size_t size_bytes) noexcept {
  return ACRE_TEST_NAME(aligned_alloc)(alignment, size_bytes);
}
[[gnu::noinline]] inline void* memalign(std::size_t alignment, std::size_t size_bytes) noexcept {
  return ACRE_TEST_NAME(memalign)(alignment, size_bytes);
}
[[gnu::noinline]] inline int posix_memalign(void** block, std::size_t alignment,
                                            std::size_t size_bytes) noexcept {
  return ACRE_TEST_NAME(posix_memalign)(block, alignment, size_bytes);
}
[[gnu::noinline]] inline void* valloc(std::size_t size_bytes) noexcept {
  return ACRE_TEST_NAME(valloc)(size_bytes);
}
[[gnu::noinline]] inline void* pvalloc(std::size_t size_bytes) noexcept {
  return ACRE_TEST_NAME(pvalloc)(size_bytes);
}
[[gnu::noinline]] inline std::size_t malloc_usable_size(void* block) noexcept {
  return ACRE_TEST_NAME(malloc_usable_size)(block);
}
inline int malloc_trim(std::size_t keep_bytes) noexcept {
  return ACRE_TEST_NAME(malloc_trim)(keep_bytes);
}
inline auto mallinfo2() noexcept {
  return ACRE_TEST_NAME(mallinfo2)();
}
inline void malloc_stats() noexcept {
  ACRE_TEST_NAME(malloc_stats)();
}
inline int malloc_info(int options, std::FILE* stream) noexcept {
  return ACRE_TEST_NAME(malloc_info)(options, stream);
}

/// Whether Acre serves this program, and not the system's malloc: some promises are Acre's alone.
inline bool is_acre() noexcept {
#if ACRE_TEST_OWN_NAMES || ACRE_TEST_LINKED_STATIC
  return true;
#else
  Dl_info where{};
  auto* const address = reinterpret_cast<void*>(&::malloc_usable_size);
  return ::dladdr(address, &where) != 0 && where.dli_fname != nullptr &&
         __builtin_strstr(where.dli_fname, "libacre-malloc") != nullptr;
#endif
}

/// Whether the C23 sized frees exist here.
inline bool has_sized_free() noexcept {
#if ACRE_TEST_OWN_NAMES
  return true;
#else
  return &::free_sized != nullptr && &::free_aligned_sized != nullptr;
#endif
}

#undef ACRE_TEST_NAME

/// Hides a value from the compiler, so that it neither warns about nor folds an absurd size.
inline std::size_t opaque(std::size_t value) noexcept {
  asm volatile("" : "+r"(value));
  return value;
}

/// Uses a block, so that the compiler does not leave out the call that makes it.
inline void keep(void* block) noexcept {
  asm volatile("" : : "r"(block) : "memory");
}

}  // namespace family
