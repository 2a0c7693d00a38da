#pragma once

#include <acre/export.h>
#include <acre/result.hpp>

#include <atomic>
#include <cstdint>

#include <pthread.h>
#include <sys/types.h>

namespace acre::region {

/// What came with a lock.
enum class lock_state : unsigned char {
  clean,
  owner_died,  ///< what it guards may be half-changed: repair it, then call `mark_repaired`
};

namespace detail {

/// This process's number, without a system call. Written at the first use of a mutex or segment,
/// and in children of fork.
ACRE_API extern constinit std::atomic<std::uint32_t> own_process;
ACRE_API void know_own_process() noexcept;

}  // namespace detail

/// A lock in shared memory, between threads of all processes that map it, that notices when its
/// owner dies: pthread_mutexattr_setrobust(3), recursive.
///
/// Place it in a segment and use it from anywhere; it holds no address of the program's. Initialise
/// it once, before anybody else can see it. It is no kernel object and needs no end.
///
/// Thread-safety:  any thread of any process.
/// Cost:           8 to 13 ns for lock and unlock when nobody else wants it.
class ACRE_API robust_mutex {
 public:
  /// Fails: as pthread_mutex_init, which it does not with glibc.
  robust_mutex();
  robust_mutex(const robust_mutex&) = delete;
  robust_mutex& operator=(const robust_mutex&) = delete;
  ~robust_mutex() = default;

  /// Waits for the lock; a short while without sleeping.
  ///
  /// Fails: ENOTRECOVERABLE when somebody unlocked it unrepaired after its owner had died; EAGAIN
  ///        when it is locked too many times over.
  [[nodiscard]] result<lock_state> lock() noexcept {
    if (holds() != 0 && !is_own()) [[unlikely]]
      wait_briefly();
    const int outcome = pthread_mutex_lock(&mutex_);
    if (outcome != 0) [[unlikely]]
      return not_clean(outcome);
    if (holds() == 0) become_owner();
    holds_.store(holds() + 1, std::memory_order_relaxed);
    return lock_state::clean;
  }

  /// Says that what the dead owner left is whole again. Without it `unlock` makes the lock useless
  /// for ever, which is right when nothing can be repaired.
  /// Requires: the lock, which came as `owner_died`.
  void mark_repaired() noexcept;

  /// Requires: the lock.
  void unlock() noexcept {
    if (holds() == 1) owner_process_.store(0, std::memory_order_relaxed);
    holds_.store(holds() - 1, std::memory_order_relaxed);
    static_cast<void>(pthread_mutex_unlock(&mutex_));
  }

  /// How many times over its owner has it, or a dead owner had it; 0 for nobody. Exact for the
  /// owner, and a hint for others.
  [[nodiscard]] std::uint32_t holds() const noexcept {
    return holds_.load(std::memory_order_relaxed);
  }

  /// The owner's process, or that of a dead owner until `mark_repaired`; 0 for none or not known.
  [[nodiscard]] pid_t owner_process() const noexcept {
    return static_cast<pid_t>(owner_process_.load(std::memory_order_relaxed));
  }

 private:
  /// Whether this thread is the owner; a hint, as the rest is.
  [[nodiscard]] bool is_own() const noexcept {
    return owner_process_.load(std::memory_order_relaxed) ==
               detail::own_process.load(std::memory_order_relaxed) &&
           owner_thread_.load(std::memory_order_relaxed) == pthread_self();
  }
  void become_owner() noexcept {
    owner_process_.store(detail::own_process.load(std::memory_order_relaxed),
                         std::memory_order_relaxed);
    owner_thread_.store(pthread_self(), std::memory_order_relaxed);
  }
  void wait_briefly() noexcept;
  [[nodiscard]] result<lock_state> not_clean(int outcome) noexcept;

  pthread_mutex_t mutex_;
  // Written by the owner alone; waiters look at them before they sleep.
  std::atomic<std::uint32_t> holds_{0};
  std::atomic<std::uint32_t> owner_process_{0};
  std::atomic<pthread_t> owner_thread_{0};
};

}  // namespace acre::region
