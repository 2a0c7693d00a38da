#pragma once

#include <cstddef>
#include <cstdint>

#include <fcntl.h>
#include <sys/uio.h>
#include <unistd.h>

namespace acre_test {

/// Whether reading the byte would fault; the kernel tries it, so that nothing dies.
inline bool fault_at(const std::byte* place) {
  std::byte copy{};
  iovec to{.iov_base = &copy, .iov_len = 1};
  iovec from{.iov_base = const_cast<std::byte*>(place), .iov_len = 1};
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return true;
  const bool faults = ::writev(ends[1], &from, 1) != 1;
  if (!faults) static_cast<void>(::readv(ends[0], &to, 1));
  ::close(ends[0]);
  ::close(ends[1]);
  return faults;
}

/// Whether writing the byte would fault; where not, it is written with 0.
inline bool fault_writing(std::byte* place) {
  const int zero = ::open("/dev/zero", O_RDONLY | O_CLOEXEC);
  if (zero < 0) return true;
  iovec to{.iov_base = place, .iov_len = 1};
  const bool faults = ::readv(zero, &to, 1) != 1;
  ::close(zero);
  return faults;
}

}  // namespace acre_test
