#include "os/fault_copy.hpp"
#include "os/kernel.hpp"

#include <algorithm>
#include <cerrno>

#include <sys/uio.h>
#include <unistd.h>

namespace acre::os {

copy_outcome copy_through_kernel(std::byte* to, const std::byte* from,
                                 std::size_t size_bytes) noexcept {
  constexpr std::size_t most_bytes = std::size_t{1} << 30U;  // well below the kernel's MAX_RW_COUNT
  copy_outcome outcome;
  while (outcome.copied_bytes < size_bytes) {
    const std::size_t wanted = std::min(size_bytes - outcome.copied_bytes, most_bytes);
    const iovec local{.iov_base = to + outcome.copied_bytes, .iov_len = wanted};
    const iovec remote{.iov_base = const_cast<std::byte*>(from) + outcome.copied_bytes,
                       .iov_len = wanted};
    const auto copied = ask(calls::process_vm_readv, ::getpid(), &local, 1, &remote, 1, 0);
    if (!copied || *copied == 0) {
      const int number = copied ? EFAULT : copied.error().number;
      outcome.fault = number == EFAULT ? EIO : number;
      return outcome;
    }
    outcome.copied_bytes += static_cast<std::size_t>(*copied);
  }
  return outcome;
}

#if !defined(__x86_64__)

result<void> prepare_fault_copy() noexcept {
  return {};
}

copy_outcome copy_with_faults(std::byte* to, const std::byte* from,
                              std::size_t size_bytes) noexcept {
  return copy_through_kernel(to, from, size_bytes);
}

#endif

}  // namespace acre::os
