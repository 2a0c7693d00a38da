#include "preload/cxx_runtime.hpp"

#include <cstdlib>

#include <dlfcn.h>

// All is referenced weakly: a program that can catch std::bad_alloc has it.

extern "C" {
[[gnu::weak]] std::new_handler acre_get_new_handler() asm("_ZSt15get_new_handlerv");
[[gnu::weak]] void acre_throw_bad_alloc() asm("_ZSt17__throw_bad_allocv");
}

namespace acre::preload {

namespace {

/// A C++ run-time library that came with a plug-in is not among what this library was bound to:
/// it is looked up by name, if it is there.
template <class Function>
Function* find(Function* bound, const char* name) noexcept {
  if (bound != nullptr) return bound;
  void* const library = dlopen("libstdc++.so.6", RTLD_LAZY | RTLD_NOLOAD);
  return library == nullptr ? nullptr : reinterpret_cast<Function*>(dlsym(library, name));
}

}  // namespace

std::new_handler new_handler() noexcept {
  auto* const get_handler = find(acre_get_new_handler, "_ZSt15get_new_handlerv");
  return get_handler != nullptr ? get_handler() : nullptr;
}

void throw_bad_alloc() {
  auto* const throw_it = find(acre_throw_bad_alloc, "_ZSt17__throw_bad_allocv");
  if (throw_it != nullptr) throw_it();
  std::abort();
}

}  // namespace acre::preload
