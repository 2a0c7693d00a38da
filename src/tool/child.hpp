#pragma once

#include "tool/environment.hpp"
#include "tool/file_descriptor.hpp"

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include <signal.h>
#include <sys/resource.h>
#include <sys/types.h>

/// Runs the command of `acre run` as if the tool were not there.
namespace acre::tool {

struct command {
  std::string path;                ///< the file to execute
  std::vector<std::string> words;  ///< its arguments, from its name on
  environment variables;
};

/// How the command ended, and what the kernel counted for it and the children it waited for.
struct child_end {
  pid_t pid = 0;
  std::optional<int> exit_code;  ///< empty when a signal killed it
  int signal = 0;
  bool dumped_core = false;
  rusage usage{};
  std::chrono::duration<double, std::milli> wall{};

  /// The code to exit with: the child's own, or 128 + the signal.
  [[nodiscard]] int shell_code() const noexcept { return exit_code.value_or(128 + signal); }
};

/// The command's process; started by the constructor.
///
/// While it lives, the signals that end or steer a program are blocked in the tool, so that they
/// reach the command and not the tool. The command itself starts with the signal mask and the
/// dispositions that the tool was started with, in the tool's process group and on its terminal.
///
/// Thread-safety:  one at a time in a process with one thread.
class child {
 public:
  /// Throws:  error with exit code 126 or 127 when the kernel refuses to execute it.
  explicit child(const command& what);
  child(const child&) = delete;
  child& operator=(const child&) = delete;
  ~child();

  /// Waits for the end, forwards signals meanwhile, and calls `tick` once in every `interval`
  /// unless that is 0.
  [[nodiscard]] child_end wait(std::chrono::milliseconds interval,
                               const std::function<void()>& tick);

  [[nodiscard]] pid_t pid() const noexcept { return pid_; }

 private:
  void forward_signal() noexcept;
  [[nodiscard]] std::optional<child_end> try_reap();

  pid_t pid_ = -1;
  std::chrono::steady_clock::time_point start_;
  file_descriptor signals_;
  sigset_t mask_before_{};
  struct sigaction child_action_before_{};
  struct sigaction pipe_action_before_{};
};

}  // namespace acre::tool
