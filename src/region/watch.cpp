#include "region/watch.hpp"

#include <cstring>

// Defined by the build if the header was found.
#ifdef ACRE_WITH_VALGRIND
#include <valgrind/memcheck.h>
#endif

// There when the program is built with AddressSanitizer, whether or not this library is.
extern "C" {
[[gnu::weak]] void __asan_poison_memory_region(const volatile void* address, std::size_t size);
[[gnu::weak]] void __asan_unpoison_memory_region(const volatile void* address, std::size_t size);
}

namespace acre::region {

namespace {

bool has_asan() noexcept {
  return &__asan_poison_memory_region != nullptr && &__asan_unpoison_memory_region != nullptr;
}

bool on_valgrind() noexcept {
#ifdef ACRE_WITH_VALGRIND
  return RUNNING_ON_VALGRIND != 0;
#else
  return false;
#endif
}

void fill([[maybe_unused]] void* data, [[maybe_unused]] std::size_t size_bytes,
          [[maybe_unused]] unsigned char value) noexcept {
#if ACRE_CHECKS
  // Under Valgrind a fill would make fresh memory look written.
  if (!on_valgrind()) std::memset(data, value, size_bytes);
#endif
}

}  // namespace

bool is_watched() noexcept {
  static const bool watched = ACRE_CHECKS || has_asan() || on_valgrind();
  return watched;
}

void watch_allocated(void* data, std::size_t size_bytes) noexcept {
  if (!is_watched()) return;
  watch_opened(data, size_bytes);
  fill(data, size_bytes, fresh_fill);
#ifdef ACRE_WITH_VALGRIND
  VALGRIND_MAKE_MEM_UNDEFINED(data, size_bytes);
#endif
}

void watch_freed(void* data, std::size_t size_bytes) noexcept {
  if (!is_watched()) return;
  watch_opened(data, size_bytes);
  fill(data, size_bytes, freed_fill);
  watch_closed(data, size_bytes);
}

void watch_opened(void* data, std::size_t size_bytes) noexcept {
  if (!is_watched()) return;
  if (has_asan()) __asan_unpoison_memory_region(data, size_bytes);
#ifdef ACRE_WITH_VALGRIND
  VALGRIND_MAKE_MEM_DEFINED(data, size_bytes);
#endif
}

void watch_closed(void* data, std::size_t size_bytes) noexcept {
  if (!is_watched()) return;
  if (has_asan()) __asan_poison_memory_region(data, size_bytes);
#ifdef ACRE_WITH_VALGRIND
  VALGRIND_MAKE_MEM_NOACCESS(data, size_bytes);
#endif
}

}  // namespace acre::region
