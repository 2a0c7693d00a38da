#pragma once

#include <csignal>
#include <cstdio>
#include <string>

#include <poll.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

namespace acre_test {

/// How a child process ended.
struct child_end {
  bool in_time = false;  ///< false: it was killed by the watchdog
  int status = 0;        ///< as from waitpid

  [[nodiscard]] bool is_clean() const noexcept {
    return in_time && WIFEXITED(status) && WEXITSTATUS(status) == 0;
  }
  [[nodiscard]] std::string text() const {
    if (!in_time) return "did not end in time (deadlock?)";
    if (WIFSIGNALED(status)) return "died of signal " + std::to_string(WTERMSIG(status));
    return "exit code " + std::to_string(WEXITSTATUS(status));
  }
};

/// Waits for `child`; kills it after `limit_ms`, because a deadlocked child never ends by itself.
inline child_end wait_for(pid_t child, int limit_ms) {
  child_end end;
  for (int waited_ms = 0; waited_ms < limit_ms;) {
    const pid_t ended = waitpid(child, &end.status, WNOHANG);
    if (ended == child) {
      end.in_time = true;
      return end;
    }
    const long pause_ms = waited_ms < 20 ? 1 : 10;
    const timespec pause{.tv_sec = 0, .tv_nsec = pause_ms * 1'000'000};
    nanosleep(&pause, nullptr);
    waited_ms += static_cast<int>(pause_ms);
  }
  kill(child, SIGKILL);
  waitpid(child, &end.status, 0);
  return end;
}

/// Runs `body` in a forked child; what it returns is the exit code. No stdio or atexit in the
/// child.
template <class Body>
child_end run_in_child(Body&& body, int limit_ms = 10'000) {
  const pid_t child = fork();
  if (child == 0) _exit(body());
  return wait_for(child, limit_ms);
}

}  // namespace acre_test
