#include "malloc/family.hpp"
#include "preload/cxx_runtime.hpp"

#include <new>

// operator new and delete in every form but those that return null.

namespace acre::preload {

namespace {

/// Calls the new-handler if there is one; throws std::bad_alloc when there is none.
void call_new_handler() {
  if (const std::new_handler handler = new_handler(); handler != nullptr) return handler();
  throw_bad_alloc();
}

[[gnu::noinline]] void* new_slower(heaps::bin* b, std::size_t size_bytes) {
  void* block = heaps::allocate_slow(b, size_bytes);
  // Once more with all that malloc does before it gives up.
  if (block == nullptr) block = mallocs::allocate(size_bytes);
  while (block == nullptr) [[unlikely]] {
    call_new_handler();
    block = mallocs::allocate(size_bytes);
  }
  return block;
}

[[gnu::noinline]] void* new_slow(heaps::bin* b, std::size_t size_bytes) {
  if (heaps::renew_grant(b, size_bytes)) [[likely]]
    return heaps::pop(b);
  return new_slower(b, size_bytes);
}

[[gnu::noinline]] void* new_huge(std::size_t size_bytes) {
  void* block = mallocs::huge(size_bytes);
  while (block == nullptr) [[unlikely]] {
    call_new_handler();
    block = mallocs::huge(size_bytes);
  }
  return block;
}

[[gnu::noinline]] void* new_medium(std::size_t size_bytes) {
  return heaps::allocate_medium<new_slow, new_huge>(size_bytes);
}

[[gnu::always_inline]] inline void* new_block(std::size_t size_bytes) {
  return heaps::allocate<new_slow, new_medium>(size_bytes);
}

void* new_aligned(std::size_t size_bytes, std::size_t alignment) {
  void* block = nullptr;
  while ((block = mallocs::allocate_aligned(alignment, size_bytes)) == nullptr)
    call_new_handler();
  return block;
}

}  // namespace
}  // namespace acre::preload

// Weak, since a program may replace some forms alone and link the rest from the archive.
#define ACRE_EXPORT [[gnu::visibility("default"), gnu::weak]]
using acre::heaps::release;
using acre::preload::new_aligned;
using acre::preload::new_block;
using align = std::align_val_t;
using std::size_t;

ACRE_EXPORT void* operator new(size_t size) {
  return new_block(size);
}
ACRE_EXPORT void* operator new[](size_t size) {
  return new_block(size);
}
ACRE_EXPORT void* operator new(size_t size, align a) {
  return new_aligned(size, size_t(a));
}
ACRE_EXPORT void* operator new[](size_t size, align a) {
  return new_aligned(size, size_t(a));
}

ACRE_EXPORT void operator delete(void* p) noexcept {
  release(p);
}
ACRE_EXPORT void operator delete[](void* p) noexcept {
  release(p);
}
ACRE_EXPORT void operator delete(void* p, size_t) noexcept {
  release(p);
}
ACRE_EXPORT void operator delete[](void* p, size_t) noexcept {
  release(p);
}
ACRE_EXPORT void operator delete(void* p, align) noexcept {
  release(p);
}
ACRE_EXPORT void operator delete[](void* p, align) noexcept {
  release(p);
}
ACRE_EXPORT void operator delete(void* p, size_t, align) noexcept {
  release(p);
}
ACRE_EXPORT void operator delete[](void* p, size_t, align) noexcept {
  release(p);
}
ACRE_EXPORT void operator delete(void* p, const std::nothrow_t&) noexcept {
  release(p);
}
ACRE_EXPORT void operator delete[](void* p, const std::nothrow_t&) noexcept {
  release(p);
}
ACRE_EXPORT void operator delete(void* p, align, const std::nothrow_t&) noexcept {
  release(p);
}
ACRE_EXPORT void operator delete[](void* p, align, const std::nothrow_t&) noexcept {
  release(p);
}
