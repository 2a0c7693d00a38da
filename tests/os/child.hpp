#pragma once

#include <csignal>

#include <sys/wait.h>
#include <unistd.h>

namespace acre_test {

/// How a child process ended.
struct child_end {
  int code = -1;   ///< its exit code, or -1
  int signal = 0;  ///< what killed it, or 0
};

/// Runs `body` in a child process, which exits with the code it returns and without destructors.
template <class Body>
child_end in_child(Body body) {
  const pid_t child = fork();
  if (child == 0) {
    // A sanitizer would turn a fault into a report and an exit.
    (void)signal(SIGSEGV, SIG_DFL);
    (void)signal(SIGBUS, SIG_DFL);
    _exit(body());
  }
  int status = 0;
  if (child < 0 || waitpid(child, &status, 0) != child) return {};
  if (WIFSIGNALED(status)) return {.code = -1, .signal = WTERMSIG(status)};
  return {.code = WEXITSTATUS(status), .signal = 0};
}

}  // namespace acre_test
