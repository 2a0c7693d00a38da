#pragma once

#include "os/syscall.hpp"

#include <cstddef>
#include <cstdint>

/// What the kernel tells of another thread of this process: whether it waits in a system call, and
/// where its stack then ends.
///
/// All without errno, thread-local storage and allocation. Files are open only within a call, and
/// are not inherited by what the program executes.
namespace acre::os {

/// A thread that waits in the kernel.
struct waiting_place {
  std::uintptr_t word = 0;   ///< the futex it waits on, if it waits on one
  std::uintptr_t stack = 0;  ///< the thread's stack pointer when it entered the kernel
};

enum class thread_look : std::uint8_t {
  waits,    ///< in a system call of those that only wait: `look_at_thread` filled the place
  busy,     ///< runs, can run, or is somewhere else in the kernel
  gone,     ///< there is no such thread
  refused,  ///< the kernel does not tell
};

/// Looks at a thread of this process by its id. Reads /proc/self/task/ID/syscall, whose answer is
/// of one moment at which the thread did not run (proc(5); the kernel's task_current_syscall).
[[nodiscard]] thread_look look_at_thread(std::int32_t thread, waiting_place& place) noexcept;

/// Every thread of this process that runs now passes a full memory barrier before this returns, and
/// one that does not run has passed one since it last did: membarrier(2), Linux 4.14. False when
/// the kernel refuses.
[[nodiscard]] bool fence_all_threads() noexcept;

/// Whether the program has a handler for system calls that its sandbox forbids (SIGSYS): it may
/// forbid ours.
[[nodiscard]] bool has_sandbox_handler() noexcept;

/// Whether the two above may be asked: false in a program with such a handler, and where /proc is
/// missing or shows other thread ids than ours (those of another PID namespace).
[[nodiscard]] bool may_look_at_threads() noexcept;

/// Whether the calling thread has the user, groups, capabilities and sandbox that the process's
/// first thread has now. True as well where /proc does not tell. For a thread that the C library
/// does not know of, and so does not change with the others.
[[nodiscard]] bool has_rights_of_process() noexcept;

/// Copies this process's memory, wherever it is; never faults. Returns the bytes copied.
[[nodiscard]] std::size_t copy_memory(std::uintptr_t from, void* to,
                                      std::size_t size_bytes) noexcept;

/// Words of a signal frame that `may_hold_signal_frame` needs to see together.
inline constexpr std::size_t signal_frame_words = 3;

/// Whether the words hold what lies above a signal handler's frame: the registers that the kernel
/// saved on the stack before it called the handler. True as well where that cannot be told.
[[nodiscard]] bool may_hold_signal_frame(const std::uint64_t* words, std::size_t count) noexcept;

/// Inline: a thread's heap is given these, and every program has one; the rest here few ever call.
[[nodiscard]] inline std::int32_t process_id() noexcept {
  return static_cast<std::int32_t>(raw_syscall(SYS_getpid));
}
[[nodiscard]] inline std::int32_t thread_id() noexcept {
  return static_cast<std::int32_t>(raw_syscall(SYS_gettid));
}

}  // namespace acre::os
