#include "os/kernel.hpp"

#include <cerrno>

#include <sys/mman.h>

namespace acre::os {

namespace {

void* as_pointer(long value) noexcept {
  return reinterpret_cast<void*>(static_cast<std::uintptr_t>(value));
}

long or_errno(long outcome) noexcept {
  return outcome == -1 ? -errno : outcome;
}

/// The calls that a sanitizer intercepts to keep its shadow of the address space.
long through_library(long number, const call_arguments& a) noexcept {
  const int saved = errno;
  long outcome = 0;
  if (number == SYS_mmap) {
    outcome = or_errno(
        as_long(::mmap(as_pointer(a[0]), static_cast<std::size_t>(a[1]), static_cast<int>(a[2]),
                       static_cast<int>(a[3]), static_cast<int>(a[4]), a[5])));
  } else {
    outcome = or_errno(::munmap(as_pointer(a[0]), static_cast<std::size_t>(a[1])));
  }
  errno = saved;
  return outcome;
}

}  // namespace

long enter_kernel(long number, const call_arguments& a) noexcept {
  if (detail::is_sanitized && (number == SYS_mmap || number == SYS_munmap)) {
    return through_library(number, a);
  }
  return raw_syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

}  // namespace acre::os
