#include <acre/region/robust_mutex.hpp>

#include "os/refusal.hpp"

#include <algorithm>
#include <cerrno>
#include <system_error>

namespace acre::region {

namespace {

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

robust_mutex::robust_mutex() {
  attributes chosen;
  pthread_mutexattr_setpshared(&chosen.value, PTHREAD_PROCESS_SHARED);
  pthread_mutexattr_setrobust(&chosen.value, PTHREAD_MUTEX_ROBUST);
  pthread_mutexattr_settype(&chosen.value, PTHREAD_MUTEX_RECURSIVE);
  const int outcome = pthread_mutex_init(&mutex_, &chosen.value);
  if (outcome != 0) throw std::system_error(outcome, std::system_category(), "pthread_mutex_init");
}

result<lock_state> robust_mutex::locked(int outcome, const char* call) noexcept {
  if (outcome == 0) {
    holds_.store(holds() + 1, std::memory_order_relaxed);
    return lock_state::clean;
  }
  if (outcome == EOWNERDEAD) {
    holds_.store(1, std::memory_order_relaxed);
    return lock_state::owner_died;
  }
  if (outcome == ENOTRECOVERABLE) {
    return os::refusal(outcome, call, "a process died holding the lock and nobody repaired it");
  }
  return os::refusal(outcome, call);
}

result<lock_state> robust_mutex::try_lock() noexcept {
  return locked(pthread_mutex_trylock(&mutex_), "pthread_mutex_trylock");
}

result<lock_state> robust_mutex::lock_after(int tried) noexcept {
  unsigned between = 1;
  for (unsigned pauses = 0; tried == EBUSY && pauses < pauses_max; pauses += between) {
    for (unsigned pause = 0; pause < between; ++pause)
      pause_briefly();
    between = std::min(2 * between, pauses_between_looks_max);
    if (holds() == 0) tried = pthread_mutex_trylock(&mutex_);
  }
  if (tried == EBUSY) tried = pthread_mutex_lock(&mutex_);
  return locked(tried, "pthread_mutex_lock");
}

void robust_mutex::mark_repaired() noexcept {
  static_cast<void>(pthread_mutex_consistent(&mutex_));
}

}  // namespace acre::region
