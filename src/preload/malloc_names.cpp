#include <acre/malloc.h>

#include "malloc/family.hpp"
#include "malloc/report.hpp"
#include "preload/summary.hpp"

#include <climits>

// The family under the C library's names: what makes Acre the program's malloc.
namespace mallocs = acre::mallocs;

namespace {

/// What a program takes from libacre-malloc.a is what something refers to: with malloc come the
/// options and the summary.
[[gnu::used]] const bool* const also_wanted = &acre::preload::reads_options;

}  // namespace

#define ACRE_EXPORT extern "C" [[gnu::visibility("default")]]

ACRE_EXPORT void* malloc(size_t size_bytes) noexcept {
  return mallocs::allocate(size_bytes);
}
ACRE_EXPORT void* calloc(size_t count, size_t size_bytes) noexcept {
  return mallocs::allocate_cleared(count, size_bytes);
}
ACRE_EXPORT void* realloc(void* block, size_t size_bytes) noexcept {
  return mallocs::reallocate(block, size_bytes);
}
ACRE_EXPORT void* reallocarray(void* block, size_t count, size_t size_bytes) noexcept {
  return mallocs::reallocate_array(block, count, size_bytes);
}
ACRE_EXPORT void free(void* block) noexcept {
  acre::heaps::release(block);
}
ACRE_EXPORT void cfree(void* block) noexcept {
  acre::heaps::release(block);
}
ACRE_EXPORT void free_sized(void* block, size_t) noexcept {
  acre::heaps::release(block);
}
ACRE_EXPORT void free_aligned_sized(void* block, size_t, size_t) noexcept {
  acre::heaps::release(block);
}
ACRE_EXPORT void* aligned_alloc(size_t alignment, size_t size_bytes) noexcept {
  return mallocs::allocate_strictly_aligned(alignment, size_bytes);
}
ACRE_EXPORT void* memalign(size_t alignment, size_t size_bytes) noexcept {
  return mallocs::allocate_aligned(alignment, size_bytes);
}
ACRE_EXPORT int posix_memalign(void** block, size_t alignment, size_t size_bytes) noexcept {
  return mallocs::allocate_posix(block, alignment, size_bytes);
}
ACRE_EXPORT void* valloc(size_t size_bytes) noexcept {
  return mallocs::allocate_pages(size_bytes, false);
}
ACRE_EXPORT void* pvalloc(size_t size_bytes) noexcept {
  return mallocs::allocate_pages(size_bytes, true);
}
ACRE_EXPORT size_t malloc_usable_size(void* block) noexcept {
  return mallocs::usable(block);
}
ACRE_EXPORT int malloc_trim(size_t keep_bytes) noexcept {
  return mallocs::trim(keep_bytes);
}
ACRE_EXPORT void malloc_stats() noexcept {
  mallocs::write_stats();
}
ACRE_EXPORT int malloc_info(int options, FILE* stream) noexcept {
  return mallocs::write_info(options, stream);
}
ACRE_EXPORT struct acre_mallinfo2 mallinfo2() noexcept {
  return mallocs::info();
}

/// As glibc's: the fields are ints and wrap. Same layout as <malloc.h>'s struct mallinfo.
struct mallinfo_ints {
  int arena, ordblks, smblks, hblks, hblkhd, usmblks, fsmblks, uordblks, fordblks, keepcost;
};
ACRE_EXPORT mallinfo_ints mallinfo() noexcept {
  const struct acre_mallinfo2 m = mallocs::info();
  const auto narrow = [](size_t value) { return static_cast<int>(value); };
  return {narrow(m.arena),    narrow(m.ordblks), narrow(m.smblks),  narrow(m.hblks),
          narrow(m.hblkhd),   narrow(m.usmblks), narrow(m.fsmblks), narrow(m.uordblks),
          narrow(m.fordblks), narrow(m.keepcost)};
}

/// Every parameter of glibc's is accepted and none has a meaning here: 1 is "done".
ACRE_EXPORT int mallopt(int, int) noexcept {
  return 1;
}
