#pragma once

#include <cstddef>
#include <cstdint>

#include <sys/syscall.h>

#if !defined(__x86_64__)
#include <cerrno>

#include <unistd.h>
#endif

/// System calls that leave errno alone.
///
/// free() must not change errno, and the purging thread has no thread-local storage of its own, so
/// the in-process library goes to the kernel directly. A failure comes back as -errno.
namespace acre::os {

#if defined(__x86_64__)

inline long raw_syscall(long number, long a = 0, long b = 0, long c = 0, long d = 0, long e = 0,
                        long f = 0) noexcept {
  long result = number;
  register long r10 asm("r10") = d;
  register long r8 asm("r8") = e;
  register long r9 asm("r9") = f;
  asm volatile("syscall"
               : "+a"(result)
               : "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
               : "rcx", "r11", "memory");
  return result;
}

#else

inline long raw_syscall(long number, long a = 0, long b = 0, long c = 0, long d = 0, long e = 0,
                        long f = 0) noexcept {
  const int saved = errno;
  long result = ::syscall(number, a, b, c, d, e, f);
  if (result == -1) result = -errno;
  errno = saved;
  return result;
}

#endif

/// Whether a raw result is a failure.
[[nodiscard]] inline bool failed(long result) noexcept {
  return result < 0 && result > -4096;
}

inline long as_long(const void* pointer) noexcept {
  return static_cast<long>(reinterpret_cast<std::uintptr_t>(pointer));
}

}  // namespace acre::os
