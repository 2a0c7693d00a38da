#include "tool/child.hpp"

#include "tool/error.hpp"

#include <array>
#include <cerrno>
#include <cstring>

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <unistd.h>

namespace acre::tool {
namespace {

/// Signals that somebody sends to a program to end or steer it. Stop signals are not among them:
/// the terminal's reach the whole process group, and a shell must see the tool itself stop.
constexpr std::array forwarded{SIGHUP,  SIGINT,  SIGQUIT, SIGTERM,  SIGUSR1, SIGUSR2,
                               SIGALRM, SIGCONT, SIGPWR,  SIGWINCH, SIGIO,   SIGURG};

sigset_t handled_signals() {
  sigset_t set;
  sigemptyset(&set);
  for (const int signal : forwarded)
    sigaddset(&set, signal);
  for (int signal = SIGRTMIN; signal <= SIGRTMAX; ++signal)
    sigaddset(&set, signal);
  sigaddset(&set, SIGCHLD);
  return set;
}

/// Reads the errno that the new process left because it could not execute; 0 when it could.
int read_exec_problem(int pipe) {
  int problem = 0;
  ssize_t size = 0;
  do {
    size = ::read(pipe, &problem, sizeof problem);
  } while (size < 0 && errno == EINTR);
  return size == static_cast<ssize_t>(sizeof problem) ? problem : 0;
}

file_descriptor start_timer(std::chrono::milliseconds interval) {
  file_descriptor timer(::timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK));
  const timespec each{interval.count() / 1000, (interval.count() % 1000) * 1'000'000};
  const itimerspec setting{each, each};
  ::timerfd_settime(timer.get(), 0, &setting, nullptr);
  return timer;
}

}  // namespace

child::child(const command& what) {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0)
    throw error(exit_code::misuse, fmt::format("cannot make a pipe: {}", std::strerror(errno)));
  const file_descriptor read_end(ends[0]);
  file_descriptor write_end(ends[1]);
  auto words = exec_pointers(what.words);
  auto variables = exec_pointers(what.variables.entries());

  const sigset_t handled = handled_signals();
  ::sigprocmask(SIG_BLOCK, &handled, &mask_before_);
  // A parent may have left SIGCHLD ignored, and then there would be nothing to wait for. A closed
  // standard error must not kill the tool before it has the command's exit code.
  struct sigaction action{};
  action.sa_handler = SIG_DFL;
  ::sigaction(SIGCHLD, &action, &child_action_before_);
  action.sa_handler = SIG_IGN;
  ::sigaction(SIGPIPE, &action, &pipe_action_before_);
  signals_ = file_descriptor(::signalfd(-1, &handled, SFD_CLOEXEC | SFD_NONBLOCK));

  start_ = std::chrono::steady_clock::now();
  // fork, not posix_spawn: that shares the tool's memory until the exec, and the kernel then counts
  // the tool's resident pages in the command's peak.
  pid_ = ::fork();
  if (pid_ == 0) {
    ::sigaction(SIGCHLD, &child_action_before_, nullptr);
    ::sigaction(SIGPIPE, &pipe_action_before_, nullptr);
    ::sigprocmask(SIG_SETMASK, &mask_before_, nullptr);
    ::execvpe(what.path.c_str(), words.data(), variables.data());
    const int problem = errno;
    (void)!::write(write_end.get(), &problem, sizeof problem);
    ::_exit(127);
  }
  const int fork_problem = errno;
  write_end.close();
  const int problem = pid_ < 0 ? fork_problem : read_exec_problem(read_end.get());
  if (problem == 0) return;
  if (pid_ > 0) ::waitpid(pid_, nullptr, 0);
  ::sigprocmask(SIG_SETMASK, &mask_before_, nullptr);
  throw error(problem == ENOENT ? exit_code::not_found : exit_code::cannot_execute,
              fmt::format("cannot run {}: {}", what.path, std::strerror(problem)));
}

child::~child() {
  ::sigprocmask(SIG_SETMASK, &mask_before_, nullptr);
}

child_end child::wait(std::chrono::milliseconds interval, const std::function<void()>& tick) {
  file_descriptor timer;
  if (interval.count() > 0) timer = start_timer(interval);
  std::array<pollfd, 2> sources{{{signals_.get(), POLLIN, 0}, {timer.get(), POLLIN, 0}}};
  while (true) {
    // The command may have ended before the first signal could be read.
    if (const auto end = try_reap()) return *end;
    if (::poll(sources.data(), sources.size(), -1) < 0) continue;
    forward_signal();
    std::uint64_t expirations = 0;
    if ((sources[1].revents & POLLIN) != 0 &&
        ::read(timer.get(), &expirations, sizeof expirations) > 0)
      tick();
  }
}

void child::forward_signal() noexcept {
  signalfd_siginfo received{};
  while (::read(signals_.get(), &received, sizeof received) == sizeof received) {
    const int number = static_cast<int>(received.ssi_signo);
    if (number == SIGCHLD) continue;
    // The terminal has already sent its signals to everyone in the process group.
    const bool is_terminal = received.ssi_code == SI_KERNEL;
    if (is_terminal && ::getpgid(pid_) == ::getpgrp()) continue;
    ::kill(pid_, number);
  }
}

std::optional<child_end> child::try_reap() {
  child_end end;
  int status = 0;
  if (::wait4(pid_, &status, WNOHANG, &end.usage) != pid_) return {};
  end.pid = pid_;
  end.wall = std::chrono::steady_clock::now() - start_;
  if (WIFEXITED(status)) end.exit_code = WEXITSTATUS(status);
  if (WIFSIGNALED(status)) {
    end.signal = WTERMSIG(status);
    end.dumped_core = WCOREDUMP(status);
  }
  return end;
}

}  // namespace acre::tool
