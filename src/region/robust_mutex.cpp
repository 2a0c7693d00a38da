#include <acre/region/robust_mutex.hpp>

#include "os/refusal.hpp"

#include <cerrno>
#include <system_error>

namespace acre::region {

namespace {

/// Tries before sleeping. A section of the segment takes tens of nanoseconds, sleeping and waking
/// thousands.
constexpr int spins_max = 200;

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

robust_mutex::robust_mutex() {
  attributes chosen;
  pthread_mutexattr_setpshared(&chosen.value, PTHREAD_PROCESS_SHARED);
  pthread_mutexattr_setrobust(&chosen.value, PTHREAD_MUTEX_ROBUST);
  pthread_mutexattr_settype(&chosen.value, PTHREAD_MUTEX_RECURSIVE);
  const int outcome = pthread_mutex_init(&mutex_, &chosen.value);
  if (outcome != 0) throw std::system_error(outcome, std::system_category(), "pthread_mutex_init");
}

result<lock_state> robust_mutex::locked(int outcome, const char* call) noexcept {
  if (outcome == 0) return lock_state::clean;
  if (outcome == EOWNERDEAD) return lock_state::owner_died;
  if (outcome == ENOTRECOVERABLE) {
    return os::refusal(outcome, call, "a process died holding the lock and nobody repaired it");
  }
  return os::refusal(outcome, call);
}

result<lock_state> robust_mutex::try_lock() noexcept {
  return locked(pthread_mutex_trylock(&mutex_), "pthread_mutex_trylock");
}

result<lock_state> robust_mutex::lock() noexcept {
  for (int spins = 0; spins < spins_max; ++spins) {
    const int outcome = pthread_mutex_trylock(&mutex_);
    if (outcome != EBUSY) return locked(outcome, "pthread_mutex_lock");
    pause_briefly();
  }
  return locked(pthread_mutex_lock(&mutex_), "pthread_mutex_lock");
}

void robust_mutex::mark_repaired() noexcept {
  static_cast<void>(pthread_mutex_consistent(&mutex_));
}

void robust_mutex::unlock() noexcept {
  static_cast<void>(pthread_mutex_unlock(&mutex_));
}

}  // namespace acre::region
