#include "limits/injector.hpp"

#include <cerrno>
#include <csignal>
#include <cstddef>
#include <iterator>

#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

namespace acre_test {

namespace {

struct watched_call {
  long number;
  const char* name;
};
constexpr watched_call watched[] = {{SYS_mmap, "mmap"},       {SYS_munmap, "munmap"},
                                    {SYS_mremap, "mremap"},   {SYS_mprotect, "mprotect"},
                                    {SYS_madvise, "madvise"}, {SYS_clone, "clone"},
                                    {SYS_clone3, "clone3"}};
/// No program makes this call by itself in these tests.
constexpr long marker_call = SYS_getpriority;
constexpr int marker_which = 0x4143;

/// Asks the parent about every watched call and the marker, allows all others.
int install_filter() noexcept {
  constexpr std::size_t count = std::size(watched) + 1;
  sock_filter program[count + 4];
  std::size_t at = 0;
  program[at++] = BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr));
  for (std::size_t index = 0; index < count; ++index) {
    const long number = index < std::size(watched) ? watched[index].number : marker_call;
    const auto steps_to_ask = static_cast<std::uint8_t>(count - index);
    program[at++] =
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, static_cast<std::uint32_t>(number), steps_to_ask, 0);
  }
  program[at++] = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
  program[at++] = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF);
  const sock_fprog whole{.len = static_cast<unsigned short>(at), .filter = program};
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return -1;
  return static_cast<int>(
      syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &whole));
}

union control_buffer {
  cmsghdr header;
  char bytes[CMSG_SPACE(sizeof(int))];
};

void send_descriptor(int socket, int descriptor) noexcept {
  char byte = 0;
  iovec data{.iov_base = &byte, .iov_len = 1};
  control_buffer control{};
  msghdr message{};
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  message.msg_control = &control;
  message.msg_controllen = sizeof control.bytes;
  control.header = {
      .cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
  __builtin_memcpy(CMSG_DATA(&control.header), &descriptor, sizeof descriptor);
  (void)sendmsg(socket, &message, 0);
}

int receive_descriptor(int socket) noexcept {
  char byte = 0;
  iovec data{.iov_base = &byte, .iov_len = 1};
  control_buffer control{};
  msghdr message{};
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  message.msg_control = &control;
  message.msg_controllen = sizeof control.bytes;
  if (recvmsg(socket, &message, 0) != 1 || message.msg_controllen == 0) return -1;
  int descriptor = -1;
  __builtin_memcpy(&descriptor, CMSG_DATA(&control.header), sizeof descriptor);
  return descriptor;
}

[[noreturn]] void become_child(int socket, char* const* arguments) noexcept {
  const int listener = install_filter();
  if (listener < 0) _exit(126);
  send_descriptor(socket, listener);
  close(listener);
  close(socket);
  execv(arguments[0], arguments);
  _exit(127);
}

const char* name_of(long number) noexcept {
  for (const watched_call& call : watched) {
    if (call.number == number) return call.name;
  }
  return "";
}

bool is_marker(const seccomp_data& call) noexcept {
  return call.nr == marker_call && call.args[0] == marker_which;
}

/// Answers the child's calls until it ends.
class referee {
 public:
  referee(int listener, const injection& what, injected_run& run)
      : listener_(listener), what_(what), run_(run), counting_(what.from_exec) {}

  /// Returns: false when the child has no process left that could ask.
  bool answer_one() {
    seccomp_notif asked{};
    if (ioctl(listener_, SECCOMP_IOCTL_NOTIF_RECV, &asked) != 0) return errno == EINTR;
    seccomp_notif_resp answer{};
    answer.id = asked.id;
    if (is_marker(asked.data)) {
      counting_ = true;
    } else if (fails(asked.data)) {
      run_.last_failed = name_of(asked.data.nr);
      answer.error = -ENOMEM;
      (void)ioctl(listener_, SECCOMP_IOCTL_NOTIF_SEND, &answer);
      return true;
    }
    answer.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
    (void)ioctl(listener_, SECCOMP_IOCTL_NOTIF_SEND, &answer);
    return true;
  }

 private:
  bool fails(const seccomp_data& call) {
    if (!counting_ || call.nr == marker_call) return false;
    const std::size_t index = run_.calls++;
    return index == what_.first || (what_.and_all_later && index > what_.first);
  }

  int listener_;
  const injection& what_;
  injected_run& run_;
  bool counting_;
};

std::int64_t now_ms() noexcept {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1000 + now.tv_nsec / 1'000'000;
}

}  // namespace

void start_injection() noexcept {
  (void)syscall(marker_call, marker_which, 0);
}

injected_run run_injected(char* const* arguments, const injection& what, int limit_ms) {
  injected_run run;
  int sockets[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets) != 0) return run;
  const pid_t child = fork();
  if (child == 0) become_child(sockets[1], arguments);
  close(sockets[1]);
  const int listener = receive_descriptor(sockets[0]);
  close(sockets[0]);
  if (listener < 0) {
    waitpid(child, &run.status, 0);
    return run;
  }
  run.is_supported = true;
  referee referee(listener, what, run);
  const std::int64_t end_ms = now_ms() + limit_ms;
  while (waitpid(child, &run.status, WNOHANG) != child) {
    pollfd wait{.fd = listener, .events = POLLIN, .revents = 0};
    if (poll(&wait, 1, 20) > 0 && (wait.revents & POLLIN) != 0 && !referee.answer_one()) break;
    if (now_ms() < end_ms) continue;
    kill(child, SIGKILL);
    close(listener);
    waitpid(child, &run.status, 0);
    return run;
  }
  close(listener);
  run.is_in_time = true;
  return run;
}

}  // namespace acre_test
