#include <acre/os/stack.hpp>

#include "os/refusal.hpp"

#include <cstdint>

#include <pthread.h>

namespace acre::os {

namespace {

/// Empty until the thread has asked. A thread's stack does not move, and the main thread's bounds
/// are those of its limit, not of what it has used.
thread_local stack_bounds known;

result<stack_bounds> look() noexcept {
  pthread_attr_t attributes;
  if (const int number = ::pthread_getattr_np(::pthread_self(), &attributes); number != 0) {
    return refusal(number, "pthread_getattr_np");
  }
  void* lowest = nullptr;
  std::size_t size_bytes = 0;
  std::size_t guard_bytes = 0;
  ::pthread_attr_getstack(&attributes, &lowest, &size_bytes);
  ::pthread_attr_getguardsize(&attributes, &guard_bytes);
  ::pthread_attr_destroy(&attributes);
  auto* const first = static_cast<std::byte*>(lowest);
  return stack_bounds{.lowest = first, .highest = first + size_bytes, .guard_bytes = guard_bytes};
}

}  // namespace

result<stack_bounds> current_stack() noexcept {
  if (known.highest != nullptr) return known;
  const auto found = look();
  if (found) known = *found;
  return found;
}

std::size_t stack_left() noexcept {
  const auto bounds = current_stack();
  const auto* const here = static_cast<const std::byte*>(__builtin_frame_address(0));
  if (!bounds || !bounds->holds(here)) return 0;
  return static_cast<std::size_t>(here - bounds->lowest);
}

}  // namespace acre::os
