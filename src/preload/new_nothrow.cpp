#include "malloc/family.hpp"
#include "preload/cxx_runtime.hpp"

#include <new>

// The forms of operator new that return null. They must catch what a new-handler throws, so this
// one file is compiled with exceptions; what that needs of the C++ run-time library is made weak,
// because the library must also load into programs without one. (There nothing is thrown: without a
// handler null is returned at once.)
asm(".weak __gxx_personality_v0\n.weak __cxa_begin_catch\n.weak __cxa_end_catch\n"
    ".weak _ZSt9terminatev");

namespace acre::preload {

namespace {

template <class Allocate>
void* try_new(Allocate allocate) noexcept {
  try {
    for (;;) {
      if (void* const block = allocate(); block != nullptr) return block;
      const std::new_handler handler = new_handler();
      if (handler == nullptr) return nullptr;
      handler();
    }
  } catch (...) {
    return nullptr;
  }
}

}  // namespace
}  // namespace acre::preload

// Weak, since a program may replace some forms alone and link the rest from the archive.
#define ACRE_EXPORT [[gnu::visibility("default"), gnu::weak]]
using acre::preload::try_new;
using align = std::align_val_t;
using std::size_t;

ACRE_EXPORT void* operator new(size_t size, const std::nothrow_t&) noexcept {
  return try_new([=] { return acre::mallocs::allocate(size); });
}
ACRE_EXPORT void* operator new[](size_t size, const std::nothrow_t&) noexcept {
  return try_new([=] { return acre::mallocs::allocate(size); });
}
ACRE_EXPORT void* operator new(size_t size, align a, const std::nothrow_t&) noexcept {
  return try_new([=] { return acre::mallocs::allocate_aligned(size_t(a), size); });
}
ACRE_EXPORT void* operator new[](size_t size, align a, const std::nothrow_t&) noexcept {
  return try_new([=] { return acre::mallocs::allocate_aligned(size_t(a), size); });
}
