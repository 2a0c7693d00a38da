#include <acre/region/robust_mutex.hpp>

#include "os/refusal.hpp"

#include <algorithm>
#include <cerrno>
#include <system_error>

#include <unistd.h>

namespace acre::region {

constinit std::atomic<std::uint32_t> detail::own_process{0};

namespace {

void note_own_process() noexcept {
  detail::own_process.store(static_cast<std::uint32_t>(getpid()), std::memory_order_relaxed);
}

/// Pauses before sleeping: a section of the segment takes tens of nanoseconds, sleeping and waking
/// thousands. They get longer, so that the owner can do several sections in a row: the memory that
/// they share moves between processors less often.
constexpr unsigned pauses_max = 2000;
constexpr unsigned pauses_between_looks_max = 64;

void pause_briefly() noexcept {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield" : : : "memory");
#endif
}

/// Attributes that are given back.
struct attributes {
  pthread_mutexattr_t value{};
  attributes() noexcept { pthread_mutexattr_init(&value); }
  attributes(const attributes&) = delete;
  attributes& operator=(const attributes&) = delete;
  ~attributes() { pthread_mutexattr_destroy(&value); }
};

}  // namespace

void detail::know_own_process() noexcept {
  // Without memory for the handler, a child is taken for its parent: it waits in another way, and
  // its death is told with its parent's number.
  static const bool is_known = [] {
    note_own_process();
    return pthread_atfork(nullptr, nullptr, note_own_process) == 0;
  }();
  static_cast<void>(is_known);
}

robust_mutex::robust_mutex() {
  detail::know_own_process();
  attributes chosen;
  pthread_mutexattr_setpshared(&chosen.value, PTHREAD_PROCESS_SHARED);
  pthread_mutexattr_setrobust(&chosen.value, PTHREAD_MUTEX_ROBUST);
  pthread_mutexattr_settype(&chosen.value, PTHREAD_MUTEX_RECURSIVE);
  const int outcome = pthread_mutex_init(&mutex_, &chosen.value);
  if (outcome != 0) throw std::system_error(outcome, std::system_category(), "pthread_mutex_init");
}

// pthread_mutex_trylock is no help here: in glibc 2.36, where it says ENOTRECOVERABLE it leaves the
// mutex locked, and whoever comes next waits for ever.
void robust_mutex::wait_briefly() noexcept {
  unsigned between = 1;
  for (unsigned pauses = 0; holds() != 0 && pauses < pauses_max; pauses += between) {
    for (unsigned pause = 0; pause < between; ++pause)
      pause_briefly();
    between = std::min(2 * between, pauses_between_looks_max);
  }
}

result<lock_state> robust_mutex::not_clean(int outcome) noexcept {
  if (outcome == EOWNERDEAD) {
    holds_.store(1, std::memory_order_relaxed);
    return lock_state::owner_died;
  }
  if (outcome == ENOTRECOVERABLE) {
    return os::refusal(outcome, "pthread_mutex_lock",
                       "a process died holding the lock and nobody repaired it");
  }
  return os::refusal(outcome, "pthread_mutex_lock");
}

void robust_mutex::mark_repaired() noexcept {
  become_owner();
  static_cast<void>(pthread_mutex_consistent(&mutex_));
}

}  // namespace acre::region
