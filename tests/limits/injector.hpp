#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

/// Makes the system calls of a child process fail, by a seccomp filter that asks the parent.
///
/// It needs no library in the child and reaches calls that are made inline, by threads without a C
/// library, and before main. Linux 5.5 or later; no privileges.
namespace acre_test {

/// Which call of the child is made to fail.
struct injection {
  static constexpr std::size_t none = SIZE_MAX;
  std::size_t first = none;  ///< index of the first call that fails
  bool and_all_later = false;
  bool from_exec = false;  ///< count from the start of the program, not from its marker
};

/// What a child under injection did.
struct injected_run {
  bool is_supported = false;
  bool is_in_time = false;
  int status = 0;                ///< as from waitpid
  std::size_t calls = 0;         ///< watched calls that were counted
  const char* last_failed = "";  ///< name of the last call that was made to fail
};

/// Tells the parent that calls count from here on. Does nothing outside an injected child.
void start_injection() noexcept;

/// Runs `arguments` (null-terminated) with mmap, munmap, mremap, mprotect, madvise and clone (of
/// threads) watched. Calls before the marker pass.
injected_run run_injected(char* const* arguments, const injection& what, int limit_ms);

}  // namespace acre_test
