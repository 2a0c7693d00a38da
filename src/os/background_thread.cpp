#include "os/background_thread.hpp"

#include "base/sanitizer.hpp"
#include "os/memory.hpp"
#include "os/syscall.hpp"

#include <linux/sched.h>
#include <signal.h>
#include <time.h>

namespace acre::os {

void background_thread::sleep_ms(std::int64_t milliseconds) noexcept {
  timespec time{.tv_sec = milliseconds / 1000, .tv_nsec = (milliseconds % 1000) * 1'000'000};
  raw_syscall(SYS_nanosleep, as_long(&time), as_long(&time));
}

void background_thread::abort_process() noexcept {
  constexpr std::int64_t handler_ms = 3000;
  const long process = raw_syscall(SYS_getpid);
  raw_syscall(SYS_kill, process, SIGABRT);
  sleep_ms(handler_ms);
  // Still here: it is blocked, or the handler returned or takes too long.
  std::uint64_t fallback[4] = {};
  std::uint64_t none = 0;
  raw_syscall(SYS_rt_sigaction, SIGABRT, as_long(fallback), 0, sizeof none);
  raw_syscall(SYS_rt_sigprocmask, SIG_SETMASK, as_long(&none), 0, sizeof none);
  for (;;)
    raw_syscall(SYS_tgkill, process, raw_syscall(SYS_gettid), SIGABRT);
}

#if defined(__x86_64__) && !ACRE_ASAN && !ACRE_TSAN

namespace {

constexpr std::int32_t refusals_max = 16;

/// clone(2) with the entry called on the new stack; returns in the parent only.
long clone_and_call(unsigned long flags, void* stack_top, std::atomic<std::int32_t>* id, void* tls,
                    void (*work)() noexcept) noexcept {
  long result = SYS_clone;
  register void* r10 asm("r10") = id;
  register void* r8 asm("r8") = tls;
  register void (*r9)() noexcept asm("r9") = work;
  asm volatile(
      "syscall\n\t"
      "test %%eax, %%eax\n\t"
      "jnz 1f\n\t"
      "xor %%ebp, %%ebp\n\t"
      "call *%%r9\n\t"
      "mov %[exit], %%eax\n\t"
      "xor %%edi, %%edi\n\t"
      "syscall\n\t"
      "ud2\n"
      "1:"
      : "+a"(result)
      : "D"(flags), "S"(stack_top), "d"(id), "r"(r10), "r"(r8), "r"(r9), [exit] "i"(SYS_exit)
      : "rcx", "r11", "memory");
  return result;
}

}  // namespace

bool background_thread::start(void (*work)() noexcept) noexcept {
  if (refusals_.load(std::memory_order_relaxed) >= refusals_max) return false;
  std::int32_t expected = 0;
  if (!id_.compare_exchange_strong(expected, -1, std::memory_order_acquire)) return true;
  constexpr unsigned long flags = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD |
                                  CLONE_SYSVSEM | CLONE_SETTLS | CLONE_PARENT_SETTID |
                                  CLONE_CHILD_CLEARTID;
  // The new thread inherits the mask: nobody may run a handler on its stack.
  std::uint64_t all = ~std::uint64_t{0};
  std::uint64_t before = 0;
  raw_syscall(SYS_rt_sigprocmask, SIG_SETMASK, as_long(&all), as_long(&before), sizeof before);
  block_.self = &block_;
  // Too deep a stack ends the program instead of writing over what lies below.
  (void)make_inaccessible(stack_, guard_bytes);
  const long thread = clone_and_call(flags, stack_ + sizeof stack_, &id_, &block_, work);
  raw_syscall(SYS_rt_sigprocmask, SIG_SETMASK, as_long(&before), 0, sizeof before);
  if (!failed(thread)) return true;
  refusals_.fetch_add(1, std::memory_order_relaxed);
  id_.store(0, std::memory_order_release);
  return false;
}

#else

// Elsewhere, and under sanitizers (whose instrumentation needs thread-local storage), memory comes
// back by malloc_trim and by growth alone.
bool background_thread::start(void (*)() noexcept) noexcept {
  return false;
}

#endif

}  // namespace acre::os
