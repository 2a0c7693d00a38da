#include <acre/malloc.h>

#include "malloc/family.hpp"
#include "malloc/report.hpp"

// The family under Acre's own names.
namespace mallocs = acre::mallocs;

extern "C" {

void* acre_malloc(size_t size_bytes) noexcept {
  return mallocs::allocate(size_bytes);
}
void* acre_calloc(size_t count, size_t size_bytes) noexcept {
  return mallocs::allocate_cleared(count, size_bytes);
}
void* acre_realloc(void* block, size_t size_bytes) noexcept {
  return mallocs::reallocate(block, size_bytes);
}
void* acre_reallocarray(void* block, size_t count, size_t size_bytes) noexcept {
  return mallocs::reallocate_array(block, count, size_bytes);
}
void acre_free(void* block) noexcept {
  acre::heaps::release(block);
}
void acre_free_sized(void* block, size_t) noexcept {
  acre::heaps::release(block);
}
void acre_free_aligned_sized(void* block, size_t, size_t) noexcept {
  acre::heaps::release(block);
}
void* acre_aligned_alloc(size_t alignment, size_t size_bytes) noexcept {
  return mallocs::allocate_strictly_aligned(alignment, size_bytes);
}
void* acre_memalign(size_t alignment, size_t size_bytes) noexcept {
  return mallocs::allocate_aligned(alignment, size_bytes);
}
int acre_posix_memalign(void** block, size_t alignment, size_t size_bytes) noexcept {
  return mallocs::allocate_posix(block, alignment, size_bytes);
}
void* acre_valloc(size_t size_bytes) noexcept {
  return mallocs::allocate_pages(size_bytes, false);
}
void* acre_pvalloc(size_t size_bytes) noexcept {
  return mallocs::allocate_pages(size_bytes, true);
}
size_t acre_malloc_usable_size(void* block) noexcept {
  return mallocs::usable(block);
}
int acre_malloc_trim(size_t keep_bytes) noexcept {
  return mallocs::trim(keep_bytes);
}
struct acre_mallinfo2 acre_mallinfo2(void) noexcept {
  return mallocs::info();
}
void acre_malloc_stats(void) noexcept {
  mallocs::write_stats();
}
int acre_malloc_info(int options, FILE* stream) noexcept {
  return mallocs::write_info(options, stream);
}
struct acre_owner acre_owner_of(const void* address) noexcept {
  return mallocs::owner(address);
}
struct acre_statistics acre_statistics(void) noexcept {
  return mallocs::statistics();
}
int acre_class_statistics(size_t index, struct acre_class_statistics* out) noexcept {
  return mallocs::class_statistics(index, *out);
}
int acre_check_invariants(void) noexcept {
  return mallocs::check_invariants();
}

}  // extern "C"
