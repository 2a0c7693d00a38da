#pragma once

#include <acre/result.hpp>

#include "base/sanitizer.hpp"
#include "os/kernel_abi.hpp"
#include "os/syscall.hpp"

#include <array>
#include <atomic>
#include <cstdint>
#include <type_traits>

/// The one door to the kernel for the values in `include/acre/os`.
///
/// Every system call is made through `ask`, which gives its result or a failure with errno and the
/// call's name. Tests put a stand-in at the door to make any call fail or answer otherwise, since a
/// real kernel refuses too seldom; see tests/os/fake_kernel.hpp. Without one the door costs a load
/// and a branch that is never taken, next to the 150 ns and more of the call.
namespace acre::os {

/// A system call by its number, and the name it has in failures.
struct system_call {
  long number;
  const char* name;
};

/// The calls that the values use. A call that older C headers lack has its number in
/// kernel_abi.hpp.
namespace calls {
inline constexpr system_call mmap{SYS_mmap, "mmap"};
inline constexpr system_call munmap{SYS_munmap, "munmap"};
inline constexpr system_call mremap{SYS_mremap, "mremap"};
inline constexpr system_call mprotect{SYS_mprotect, "mprotect"};
inline constexpr system_call madvise{SYS_madvise, "madvise"};
inline constexpr system_call process_madvise{SYS_process_madvise, "process_madvise"};
inline constexpr system_call msync{SYS_msync, "msync"};
inline constexpr system_call mincore{SYS_mincore, "mincore"};
inline constexpr system_call mseal{SYS_mseal, "mseal"};
inline constexpr system_call mlock{SYS_mlock, "mlock"};
inline constexpr system_call mlock2{SYS_mlock2, "mlock2"};
inline constexpr system_call munlock{SYS_munlock, "munlock"};
inline constexpr system_call mlockall{SYS_mlockall, "mlockall"};
inline constexpr system_call munlockall{SYS_munlockall, "munlockall"};
inline constexpr system_call pkey_alloc{SYS_pkey_alloc, "pkey_alloc"};
inline constexpr system_call pkey_free{SYS_pkey_free, "pkey_free"};
inline constexpr system_call pkey_mprotect{SYS_pkey_mprotect, "pkey_mprotect"};
inline constexpr system_call userfaultfd{SYS_userfaultfd, "userfaultfd"};
inline constexpr system_call memfd_create{SYS_memfd_create, "memfd_create"};
inline constexpr system_call memfd_secret{SYS_memfd_secret, "memfd_secret"};
inline constexpr system_call openat{SYS_openat, "openat"};
inline constexpr system_call close{SYS_close, "close"};
inline constexpr system_call read{SYS_read, "read"};
inline constexpr system_call pread{SYS_pread64, "pread"};
inline constexpr system_call write{SYS_write, "write"};
inline constexpr system_call fstat{SYS_fstat, "fstat"};
inline constexpr system_call ftruncate{SYS_ftruncate, "ftruncate"};
inline constexpr system_call fallocate{SYS_fallocate, "fallocate"};
inline constexpr system_call fchmod{SYS_fchmod, "fchmod"};
inline constexpr system_call fsync{SYS_fsync, "fsync"};
inline constexpr system_call fcntl{SYS_fcntl, "fcntl"};
inline constexpr system_call ioctl{SYS_ioctl, "ioctl"};
inline constexpr system_call unlinkat{SYS_unlinkat, "unlinkat"};
inline constexpr system_call renameat2{SYS_renameat2, "renameat2"};
inline constexpr system_call linkat{SYS_linkat, "linkat"};
inline constexpr system_call sync_file_range{SYS_sync_file_range, "sync_file_range"};
inline constexpr system_call process_vm_readv{SYS_process_vm_readv, "process_vm_readv"};
inline constexpr system_call sendmsg{SYS_sendmsg, "sendmsg"};
inline constexpr system_call recvmsg{SYS_recvmsg, "recvmsg"};
inline constexpr system_call prlimit{SYS_prlimit64, "prlimit"};
inline constexpr system_call rt_sigaction{SYS_rt_sigaction, "rt_sigaction"};
inline constexpr system_call brk{SYS_brk, "brk"};
inline constexpr system_call getrandom{SYS_getrandom, "getrandom"};
inline constexpr system_call mbind{SYS_mbind, "mbind"};
inline constexpr system_call set_mempolicy{SYS_set_mempolicy, "set_mempolicy"};
inline constexpr system_call get_mempolicy{SYS_get_mempolicy, "get_mempolicy"};
inline constexpr system_call set_mempolicy_home_node{SYS_set_mempolicy_home_node,
                                                     "set_mempolicy_home_node"};
inline constexpr system_call move_pages{SYS_move_pages, "move_pages"};
inline constexpr system_call migrate_pages{SYS_migrate_pages, "migrate_pages"};
inline constexpr system_call getcpu{SYS_getcpu, "getcpu"};
inline constexpr system_call sched_getaffinity{SYS_sched_getaffinity, "sched_getaffinity"};
inline constexpr system_call sched_setaffinity{SYS_sched_setaffinity, "sched_setaffinity"};
}  // namespace calls

using call_arguments = std::array<long, 6>;

/// Enters the kernel; the result, or -errno.
[[nodiscard]] long enter_kernel(long number, const call_arguments& arguments) noexcept;

/// Answers in the kernel's place, or passes on to `enter_kernel`. May be called from any thread.
using kernel_stand_in = long (*)(long number, const call_arguments& arguments) noexcept;

/// Written by tests alone, while nothing else uses the values; release there pairs with acquire
/// here.
inline constinit std::atomic<kernel_stand_in> stand_in{nullptr};

namespace detail {

// A sanitizer must see mappings come and go, or it takes new memory for what was there before; it
// sees them only in the library's functions, which `enter_kernel` then goes through.
inline constexpr bool is_sanitized = ACRE_ASAN != 0 || ACRE_TSAN != 0;

template <class T>
[[nodiscard]] inline long call_argument(T value) noexcept {
  if constexpr (std::is_null_pointer_v<T>) {
    return 0;
  } else if constexpr (std::is_pointer_v<T>) {
    return static_cast<long>(reinterpret_cast<std::uintptr_t>(value));
  } else {
    static_assert(std::is_integral_v<T> || std::is_enum_v<T>);
    return static_cast<long>(value);
  }
}

}  // namespace detail

/// Makes the call; arguments are integers and pointers, as many as it takes.
///
/// Returns:  the kernel's result, never negative errno.
/// Fails:    with the errno that the kernel gives, EINTR included.
template <class... Arguments>
[[nodiscard]] inline result<long> ask(const system_call& call, Arguments... arguments) noexcept {
  static_assert(sizeof...(arguments) <= 6);
  const call_arguments all{detail::call_argument(arguments)...};
  const kernel_stand_in other = stand_in.load(std::memory_order_acquire);
  long outcome = 0;
  if (other != nullptr || detail::is_sanitized) {
    outcome = (other != nullptr ? other : enter_kernel)(call.number, all);
  } else {
    outcome = raw_syscall(call.number, all[0], all[1], all[2], all[3], all[4], all[5]);
  }
  if (failed(outcome)) {
    return std::unexpected(failure{.number = static_cast<int>(-outcome), .call = call.name});
  }
  return outcome;
}

/// The same where only success matters.
template <class... Arguments>
[[nodiscard]] inline result<void> tell(const system_call& call, Arguments... arguments) noexcept {
  const result<long> outcome = ask(call, arguments...);
  if (!outcome) return std::unexpected(outcome.error());
  return {};
}

}  // namespace acre::os
