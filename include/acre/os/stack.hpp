#pragma once

#include <acre/export.h>
#include <acre/result.hpp>

#include <cstddef>
#include <functional>
#include <memory>
#include <new>
#include <span>
#include <type_traits>
#include <utility>

/// The stack of the calling thread, and buffers on it that cannot overrun it.
///
/// Units: bytes.
namespace acre::os {

/// Where a thread's stack may lie. It grows from `highest` down to `lowest`.
struct stack_bounds {
  std::byte* lowest = nullptr;   ///< the last byte that may be used; below are the guard pages
  std::byte* highest = nullptr;  ///< one past the first byte
  std::size_t guard_bytes = 0;   ///< of the guard below, as the thread library knows it

  [[nodiscard]] std::size_t size() const noexcept {
    return static_cast<std::size_t>(highest - lowest);
  }
  [[nodiscard]] bool holds(const void* address) const noexcept {
    const auto* const byte = static_cast<const std::byte*>(address);
    return byte >= lowest && byte < highest;
  }
};

/// The bounds of the calling thread's stack, as pthread_getattr_np(3) gives them. The main thread's
/// stack grows on demand up to the limit RLIMIT_STACK at the time of the first call.
///
/// Fails:  with the errno of pthread_getattr_np, such as ENOENT where /proc is missing.
/// Cost:   the first call of a thread some microseconds, later ones a load.
[[nodiscard]] ACRE_API result<stack_bounds> current_stack() noexcept;

/// How many bytes the calling thread's stack can still take; 0 when that is not known or the code
/// runs on another stack, such as that of a signal handler or a coroutine.
[[nodiscard]] ACRE_API std::size_t stack_left() noexcept;

/// The most bytes that `with_stack_buffer` takes from the stack.
inline constexpr std::size_t stack_buffer_limit = std::size_t{64} << 10U;

/// What must be left of the stack behind such a buffer, for the functions that are called with it.
inline constexpr std::size_t stack_reserve = std::size_t{32} << 10U;

/// The alignment of the buffer that `with_stack_buffer` gives.
inline constexpr std::size_t stack_buffer_alignment = 64;

namespace detail {

template <class Function>
#if defined(__GNUC__)
[[gnu::noinline]]
#endif
decltype(auto) with_buffer_on_stack(std::size_t size_bytes, Function&& use) {
  // The buffer lives until this function returns, which is why it is not inlined into a loop.
  void* const buffer =
      __builtin_alloca_with_align(size_bytes + 1, stack_buffer_alignment * 8);  // in bits
  return std::invoke(std::forward<Function>(use),
                     std::span(static_cast<std::byte*>(buffer), size_bytes));
}

struct release_buffer {
  void operator()(std::byte* buffer) const noexcept {
    ::operator delete(buffer, std::align_val_t{stack_buffer_alignment});
  }
};

}  // namespace detail

/// Calls `use` with a buffer of `size_bytes`: on the stack where it is small enough and the stack
/// has room for it, from the heap otherwise. alloca(3) has no such check and no way to fail.
///
///     with_stack_buffer(name.size() + 1, [&](std::span<std::byte> buffer) { … });
///
/// The buffer is not initialised, is aligned to 64 bytes, and is gone when `use` returns; it must
/// not be kept.
///
/// Returns: what `use` returns.
/// Throws:  `std::bad_alloc` when the heap is needed and has no memory; what `use` throws.
/// Cost:    on the stack about that of alloca; the first call of a thread as `current_stack`.
template <class Function>
  requires std::is_invocable_v<Function, std::span<std::byte>>
decltype(auto) with_stack_buffer(std::size_t size_bytes, Function&& use) {
  if (size_bytes <= stack_buffer_limit && stack_left() >= size_bytes + stack_reserve) {
    return detail::with_buffer_on_stack(size_bytes, std::forward<Function>(use));
  }
  const std::unique_ptr<std::byte, detail::release_buffer> buffer(static_cast<std::byte*>(
      ::operator new(size_bytes, std::align_val_t{stack_buffer_alignment})));
  return std::invoke(std::forward<Function>(use), std::span(buffer.get(), size_bytes));
}

}  // namespace acre::os
