#include "preload/cxx_runtime.hpp"

// A weak reference does not bring a member of an archive into a static program, so these are none.
// Only a program that uses operator new brings this file itself.

extern "C" {
[[noreturn]] void acre_throw_bad_alloc() asm("_ZSt17__throw_bad_allocv");
void acre_personality() asm("__gxx_personality_v0");
void acre_begin_catch() asm("__cxa_begin_catch");
void acre_end_catch() asm("__cxa_end_catch");
}

namespace acre::preload {

namespace {

/// What new_nothrow.cpp refers to weakly.
[[gnu::used]] void (*const needed[])() = {acre_personality, acre_begin_catch, acre_end_catch};

}  // namespace

std::new_handler new_handler() noexcept {
  return std::get_new_handler();
}

void throw_bad_alloc() {
  acre_throw_bad_alloc();
}

}  // namespace acre::preload
