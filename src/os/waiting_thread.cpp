#include "os/waiting_thread.hpp"

#include "base/text.hpp"
#include "os/syscall.hpp"

#include <algorithm>
#include <cerrno>
#include <iterator>
#include <string_view>

#include <fcntl.h>
#include <linux/membarrier.h>
#include <signal.h>

namespace acre::os {

namespace {

/// System calls in which a thread waits for something to do. Left out on purpose: those that share
/// the thread's memory with another process meanwhile (vfork, clone), those that wait for a process
/// which may do so (wait4, waitid), and all that change memory.
constexpr long waiting_calls[] = {
    SYS_futex,          SYS_read,       SYS_readv,           SYS_recvfrom,
    SYS_recvmsg,        SYS_recvmmsg,   SYS_accept,          SYS_accept4,
    SYS_ppoll,          SYS_pselect6,   SYS_epoll_pwait,     SYS_nanosleep,
    SYS_rt_sigsuspend,  SYS_semtimedop, SYS_clock_nanosleep, SYS_rt_sigtimedwait,
    SYS_io_getevents,   SYS_msgrcv,     SYS_restart_syscall, SYS_mq_timedreceive,
#if defined(SYS_poll)
    SYS_poll,           SYS_select,     SYS_epoll_wait,      SYS_pause,
#endif
#if defined(SYS_epoll_pwait2)
    SYS_epoll_pwait2,
#endif
#if defined(SYS_io_uring_enter)
    SYS_io_uring_enter,
#endif
#if defined(SYS_futex_waitv)
    SYS_futex_waitv,
#endif
};

/// Reads the start of a file; -errno on failure.
long read_start(const char* path, char* buffer, std::size_t size_bytes) noexcept {
  const long file = raw_syscall(SYS_openat, AT_FDCWD, as_long(path), O_RDONLY | O_CLOEXEC);
  if (failed(file)) return file;
  const long size = raw_syscall(SYS_read, file, as_long(buffer), static_cast<long>(size_bytes));
  raw_syscall(SYS_close, file);
  return size;
}

/// The value of a digit, 16 for what is none.
unsigned digit_of(char c, bool hex) noexcept {
  if (c >= '0' && c <= '9') return static_cast<unsigned>(c - '0');
  if (hex && c >= 'a' && c <= 'f') return static_cast<unsigned>(c - 'a') + 10;
  return 16;
}

/// Takes a number, decimal or with 0x before it, and the character behind it off the text.
bool take_number(std::string_view& text, std::uint64_t& value) noexcept {
  // Not starts_with(), which unoptimized code turns into a call to the C++ run-time library.
  const bool hex = text.size() > 2 && text[0] == '0' && text[1] == 'x';
  if (hex) text.remove_prefix(2);
  std::size_t used = 0;
  value = 0;
  for (; used < text.size() && digit_of(text[used], hex) < 16; ++used)
    value = value * (hex ? 16 : 10) + digit_of(text[used], hex);
  if (used == 0) return false;
  text.remove_prefix(std::min(used + 1, text.size()));
  return true;
}

/// The line is "running", or "-1 SP PC", or "CALL ARG ARG ARG ARG ARG ARG SP PC".
/// False for all but a call that only waits.
bool parse_place(std::string_view line, waiting_place& place) noexcept {
  std::uint64_t fields[9];
  for (std::uint64_t& field : fields)
    if (!take_number(line, field)) return false;
  const auto call = static_cast<long>(fields[0]);
  place = {.word = call == SYS_futex ? fields[1] : 0, .stack = fields[7]};
  return std::find(std::begin(waiting_calls), std::end(waiting_calls), call) !=
         std::end(waiting_calls);
}

/// What follows `key` in its line; empty when there is no such line.
std::string_view line_of(std::string_view status, std::string_view key) noexcept {
  const std::size_t at = status.find(key);
  if (at == std::string_view::npos) return {};
  std::string_view line = status;
  line.remove_prefix(at + key.size());
  line.remove_suffix(line.size() - std::min(line.find('\n'), line.size()));
  return line;
}

/// The process's id in each namespace, from that of /proc down to its own: one number when they are
/// the same (Linux 4.1).
bool shows_own_ids(std::string_view status) noexcept {
  std::string_view line = line_of(status, "\nNSpid:\t");
  std::uint64_t id = 0;
  return take_number(line, id) && line.empty() && id == static_cast<std::uint64_t>(process_id());
}

}  // namespace

bool has_sandbox_handler() noexcept {
  // The kernel's own layout: the handler comes first.
  std::uint64_t action[4] = {};
  const long result =
      raw_syscall(SYS_rt_sigaction, SIGSYS, 0, as_long(action), sizeof(std::uint64_t));
  return failed(result) || action[0] != 0;
}

thread_look look_at_thread(std::int32_t thread, waiting_place& place) noexcept {
  base::text<64> path;
  path.add("/proc/self/task/").add_number(static_cast<std::uint64_t>(thread)).add("/syscall");
  path.add(std::string_view("", 1));
  char line[256];
  const long size = read_start(path.view().data(), line, sizeof line);
  if (size == -ENOENT || size == -ESRCH) return thread_look::gone;
  if (failed(size)) return thread_look::refused;
  const bool waits = parse_place({line, static_cast<std::size_t>(size)}, place);
  return waits ? thread_look::waits : thread_look::busy;
}

bool fence_all_threads() noexcept {
  const auto fence = [] { return raw_syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED); };
  if (const long result = fence(); result != -EPERM) return result == 0;
  // Not registered yet; a program that is executed starts unregistered.
  raw_syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED);
  return fence() == 0;
}

bool may_look_at_threads() noexcept {
  if (has_sandbox_handler()) return false;
  char text[4096];
  const long size = read_start("/proc/self/status", text, sizeof text);
  return !failed(size) && shows_own_ids({text, static_cast<std::size_t>(size)});
}

bool has_rights_of_process() noexcept {
  if (has_sandbox_handler()) return true;
  char first[4096];
  char own[4096];
  const long first_size = read_start("/proc/self/status", first, sizeof first);
  const long own_size = read_start("/proc/thread-self/status", own, sizeof own);
  if (failed(first_size) || failed(own_size)) return true;
  for (const std::string_view key :
       {"\nUid:", "\nGid:", "\nGroups:", "\nCapInh:", "\nCapPrm:", "\nCapEff:", "\nCapBnd:",
        "\nCapAmb:", "\nNoNewPrivs:", "\nSeccomp:"})
    if (line_of({first, static_cast<std::size_t>(first_size)}, key) !=
        line_of({own, static_cast<std::size_t>(own_size)}, key))
      return false;
  return true;
}

std::size_t copy_memory(std::uintptr_t from, void* to, std::size_t size_bytes) noexcept {
  const long file =
      raw_syscall(SYS_openat, AT_FDCWD, as_long("/proc/self/mem"), O_RDONLY | O_CLOEXEC);
  if (failed(file)) return 0;
  const long size = raw_syscall(SYS_pread64, file, as_long(to), static_cast<long>(size_bytes),
                                static_cast<long>(from));
  raw_syscall(SYS_close, file);
  return failed(size) ? 0 : static_cast<std::size_t>(size);
}

bool may_hold_signal_frame(const std::uint64_t* words, std::size_t count) noexcept {
#if defined(__x86_64__)
  // struct sigcontext: the instruction pointer, the flags, and four selectors of which the first is
  // that of 64-bit user code. Flags: Intel SDM volume 1, 3.4.3; one bit is always set, and
  // interrupts are on in user mode.
  constexpr std::uint64_t flags_always = 0x202;
  constexpr std::uint64_t flags_ever = 0x3f7fd7;
  constexpr std::uint64_t user_code = 0x33;
  for (std::size_t i = 0; i + signal_frame_words <= count; ++i)
    if ((words[i + 1] & flags_always) == flags_always && (words[i + 1] & ~flags_ever) == 0 &&
        (words[i + 2] & 0xffffU) == user_code)
      return true;
  return false;
#else
  (void)words;
  (void)count;
  return true;
#endif
}

}  // namespace acre::os
