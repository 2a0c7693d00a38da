// acre-measure: runs a command and writes what it used as one line of JSON to a file descriptor.
//
//   acre-measure FD TIMEOUT_S REPEAT COMMAND [ARGUMENT…]
//
// Linux counts the peak resident set of a process from before its exec, so a program started by a
// large process appears at least as large as that one. This one is linked statically and touches
// next to nothing, which also keeps LD_PRELOAD, meant for the command, out of it. With REPEAT > 1
// times and faults are summed, and the peak is the largest.

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

namespace {

volatile sig_atomic_t child_group = 0;

void kill_child(int /*signal*/) {
  if (child_group > 0) ::kill(-static_cast<pid_t>(child_group), SIGKILL);
}

double seconds(const timeval& time) {
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) * 1e-6;
}

double now() {
  timespec time{};
  ::clock_gettime(CLOCK_MONOTONIC, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
}

struct used {
  double user_s = 0, system_s = 0;
  long peak_kib = 0, minor_faults = 0, major_faults = 0;
  int status = 0;  ///< exit code, or 128 + signal

  void add(const rusage& usage, int wait_status) {
    user_s += seconds(usage.ru_utime);
    system_s += seconds(usage.ru_stime);
    if (usage.ru_maxrss > peak_kib) peak_kib = usage.ru_maxrss;
    minor_faults += usage.ru_minflt;
    major_faults += usage.ru_majflt;
    status = WIFSIGNALED(wait_status) ? 128 + WTERMSIG(wait_status) : WEXITSTATUS(wait_status);
  }
};

/// Runs the command once, in a process group of its own; false when it failed.
bool run(char** command, used& sum) {
  const pid_t child = ::fork();
  if (child == 0) {
    ::setpgid(0, 0);
    ::execvp(command[0], command);
    ::_exit(127);
  }
  child_group = child;
  int status = 0;
  rusage usage{};
  while (::wait4(child, &status, 0, &usage) < 0)
    if (errno != EINTR) return false;
  child_group = 0;
  sum.add(usage, status);
  return sum.status == 0;
}

}  // namespace

int main(int count, char** words) {
  if (count < 5) {
    static constexpr char usage[] = "usage: acre-measure FD TIMEOUT_S REPEAT COMMAND…\n";
    return ::write(2, usage, sizeof usage - 1) < 0 ? 3 : 2;
  }
  const int result = std::atoi(words[1]);
  ::fcntl(result, F_SETFD, FD_CLOEXEC);
  struct sigaction on_alarm{};
  on_alarm.sa_handler = kill_child;
  ::sigaction(SIGALRM, &on_alarm, nullptr);
  ::sigaction(SIGINT, &on_alarm, nullptr);  // the command, in its own group, would not get it
  ::sigaction(SIGTERM, &on_alarm, nullptr);
  ::alarm(static_cast<unsigned>(std::atoi(words[2])));
  used sum;
  const double start = now();
  for (int left = std::atoi(words[3]); left > 0 && run(words + 4, sum); --left) {
  }
  char line[256];
  const int length = std::snprintf(line, sizeof line,
                                   "{\"user_s\":%.6f,\"system_s\":%.6f,\"wall_s\":%.6f,"
                                   "\"peak_kib\":%ld,\"minor_faults\":%ld,\"major_faults\":%ld,"
                                   "\"status\":%d}\n",
                                   sum.user_s, sum.system_s, now() - start, sum.peak_kib,
                                   sum.minor_faults, sum.major_faults, sum.status);
  return ::write(result, line, static_cast<std::size_t>(length)) == length ? 0 : 3;
}
