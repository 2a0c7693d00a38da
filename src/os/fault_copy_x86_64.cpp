#if defined(__x86_64__)

#include "os/fault_copy.hpp"
#include "os/lock.hpp"
#include "os/refusal.hpp"

#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdint>

#include <ucontext.h>

// The copy is one instruction. When it faults, the registers say how far it came, so the handler
// needs neither state of its own nor a jump: it lets the thread go on behind the instruction.
//
//   in   rdi to, rsi from, rdx count
//   out  rax bytes left, rdx 0, or what the handler put there
asm(R"(
  .pushsection .text
  .p2align 4
  .globl acre_fault_copy
  .hidden acre_fault_copy
  .type acre_fault_copy, @function
acre_fault_copy:
  .cfi_startproc
  movq %rdx, %rcx
  xorl %edx, %edx
  .globl acre_fault_copy_instruction
  .hidden acre_fault_copy_instruction
acre_fault_copy_instruction:
  rep movsb
  .globl acre_fault_copy_behind
  .hidden acre_fault_copy_behind
acre_fault_copy_behind:
  movq %rcx, %rax
  ret
  .cfi_endproc
  .size acre_fault_copy, . - acre_fault_copy
  .popsection
)");

struct acre_fault_copy_result {
  std::size_t left_bytes;
  long fault;
};
extern "C" acre_fault_copy_result acre_fault_copy(std::byte* to, const std::byte* from,
                                                  std::size_t size_bytes) noexcept;
extern "C" const char acre_fault_copy_instruction[];
extern "C" const char acre_fault_copy_behind[];

namespace acre::os {

namespace {

// Written before the handler is installed, and once more while it is, by `install` alone; read by
// the handler.
struct sigaction previous;
constinit std::atomic<bool> previous_is_spent{false};
// release in `prepare_fault_copy` pairs with acquire there.
constinit std::atomic<bool> is_installed{false};
constinit lock install_lock;

long address_of(const char* label) noexcept {
  return static_cast<long>(reinterpret_cast<std::uintptr_t>(label));
}

/// Lets the default have the signal: the same fault comes again when the handler returns.
void fall_to_default(const siginfo_t& info) noexcept {
  struct sigaction action{};
  action.sa_handler = SIG_DFL;
  ::sigaction(SIGBUS, &action, nullptr);
  // Sent by kill(2) or the like, it does not come again by itself; it is blocked until we return.
  if (info.si_code <= 0) static_cast<void>(::raise(SIGBUS));
}

/// Does what the kernel would do for the action that was there before.
void pass_on(int number, siginfo_t* info, void* context) noexcept {
  const bool spent = (previous.sa_flags & static_cast<int>(SA_RESETHAND)) != 0 &&
                     previous_is_spent.exchange(true, std::memory_order_relaxed);
  const bool plain = (previous.sa_flags & SA_SIGINFO) == 0;
  if (spent || (plain && previous.sa_handler == SIG_DFL)) return fall_to_default(*info);
  if (plain && previous.sa_handler == SIG_IGN) {
    // A fault cannot be ignored; a signal that was sent can.
    if (info->si_code > 0) fall_to_default(*info);
    return;
  }
  ::pthread_sigmask(SIG_BLOCK, &previous.sa_mask, nullptr);
  if ((previous.sa_flags & SA_NODEFER) != 0) {
    sigset_t own;
    ::sigemptyset(&own);
    ::sigaddset(&own, SIGBUS);
    ::pthread_sigmask(SIG_UNBLOCK, &own, nullptr);
  }
  if (plain) {
    previous.sa_handler(number);
  } else {
    previous.sa_sigaction(number, info, context);
  }
}

void on_bus_error(int number, siginfo_t* info, void* context) noexcept {
  auto& registers = static_cast<ucontext_t*>(context)->uc_mcontext.gregs;
  if (info->si_code <= 0 || registers[REG_RIP] != address_of(acre_fault_copy_instruction)) {
    const int saved = errno;
    pass_on(number, info, context);
    errno = saved;
    return;
  }
  const bool broken = info->si_code == BUS_MCEERR_AR || info->si_code == BUS_MCEERR_AO;
  registers[REG_RDX] = broken ? EHWPOISON : EIO;
  registers[REG_RIP] = address_of(acre_fault_copy_behind);
}

result<void> install() noexcept {
  if (::sigaction(SIGBUS, nullptr, &previous) != 0) return refusal(errno, "sigaction");
  struct sigaction action{};
  action.sa_sigaction = &on_bus_error;
  action.sa_flags = SA_SIGINFO | SA_ONSTACK;
  ::sigemptyset(&action.sa_mask);
  struct sigaction replaced;
  if (::sigaction(SIGBUS, &action, &replaced) != 0) return refusal(errno, "sigaction");
  // Another thread may have installed one since we looked.
  previous = replaced;
  return {};
}

}  // namespace

result<void> prepare_fault_copy() noexcept {
  if (is_installed.load(std::memory_order_acquire)) return {};
  const hold held(install_lock);
  if (is_installed.load(std::memory_order_relaxed)) return {};
  const auto installed = install();
  if (installed) is_installed.store(true, std::memory_order_release);
  return installed;
}

copy_outcome copy_with_faults(std::byte* to, const std::byte* from,
                              std::size_t size_bytes) noexcept {
  const acre_fault_copy_result outcome = acre_fault_copy(to, from, size_bytes);
  return {.copied_bytes = size_bytes - outcome.left_bytes,
          .fault = static_cast<int>(outcome.fault)};
}

}  // namespace acre::os

#endif
