#include "malloc/family.hpp"

#include <cstdlib>
#include <new>

#include <dlfcn.h>

// operator new and delete in every form. The library links libc alone, so what it needs of the C++
// run-time library (the new-handler, throwing) is referenced weakly: a program that can catch
// std::bad_alloc has it.

#pragma weak dlopen
#pragma weak dlsym

extern "C" {
[[gnu::weak]] std::new_handler acre_get_new_handler() asm("_ZSt15get_new_handlerv");
[[gnu::weak]] void acre_throw_bad_alloc() asm("_ZSt17__throw_bad_allocv");
}

namespace acre::preload {

namespace {

/// A C++ run-time library that came with a plug-in is not among what this library was bound to:
/// it is looked up by name, if it is there. (In a static program all is bound.)
template <class Function>
Function* find(Function* bound, const char* name) noexcept {
  if (bound != nullptr || dlopen == nullptr || dlsym == nullptr) return bound;
  void* const library = dlopen("libstdc++.so.6", RTLD_LAZY | RTLD_NOLOAD);
  return library == nullptr ? nullptr : reinterpret_cast<Function*>(dlsym(library, name));
}

}  // namespace

/// The program's new-handler, or null.
std::new_handler new_handler() noexcept {
  auto* const get_handler = find(acre_get_new_handler, "_ZSt15get_new_handlerv");
  return get_handler != nullptr ? get_handler() : nullptr;
}

/// Calls the new-handler if there is one; throws std::bad_alloc when there is none.
void call_new_handler() {
  if (const std::new_handler handler = new_handler(); handler != nullptr) return handler();
  auto* const throw_it = find(acre_throw_bad_alloc, "_ZSt17__throw_bad_allocv");
  if (throw_it != nullptr) throw_it();
  std::abort();  // No C++ run-time library in the process: nobody could catch it.
}

namespace {

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

#define ACRE_EXPORT [[gnu::visibility("default")]]
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
