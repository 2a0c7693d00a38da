#pragma once

#include "base/thread_annotations.hpp"
#include "os/syscall.hpp"

#include <atomic>
#include <cstdint>

#include <linux/futex.h>
#include <time.h>

namespace acre::os {

inline void cpu_pause() noexcept {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

/// A mutex in one word that waits in the kernel; constant-initialised, never allocates.
///
/// The states and the hand-over are those of "Futexes Are Tricky" (Drepper 2011), mutex 2.
/// A wait can be given up when a fork is pending: see `acquire_unless`.
class ACRE_CAPABILITY("mutex") lock {
 public:
  void acquire() noexcept ACRE_ACQUIRE() {
    if (!try_acquire()) wait(nullptr);
  }

  [[nodiscard]] bool try_acquire() noexcept ACRE_TRY_ACQUIRE(true) {
    std::uint32_t expected = free_;
    return word_.compare_exchange_strong(expected, taken_, std::memory_order_acquire,
                                         std::memory_order_relaxed);
  }

  /// Takes the lock, or gives up once `stop` is non-zero.
  ///
  /// Whoever sets `stop` calls `wake_all` afterwards; a waiter that just missed it looks again
  /// within two milliseconds.
  [[nodiscard]] bool acquire_unless(const std::atomic<std::uint32_t>& stop) noexcept
      ACRE_TRY_ACQUIRE(true) {
    return try_acquire() || wait(&stop);
  }

  void release() noexcept ACRE_RELEASE() {
    // release pairs with the acquire of the next owner.
    if (word_.exchange(free_, std::memory_order_release) == contended_) wake(1);
  }

  /// Whether nobody holds it at this moment.
  [[nodiscard]] bool is_free() const noexcept {
    return word_.load(std::memory_order_relaxed) == free_;
  }

  void wake_all() noexcept { wake(INT32_MAX); }

  /// Makes the lock free whatever it was: for the child of a fork, where no other thread is.
  void reset() noexcept ACRE_NO_THREAD_SAFETY_ANALYSIS {
    word_.store(free_, std::memory_order_relaxed);
  }

 private:
  static constexpr std::uint32_t free_ = 0, taken_ = 1, contended_ = 2;
  static constexpr int spin_count = 64;

  bool wait(const std::atomic<std::uint32_t>* stop) noexcept ACRE_NO_THREAD_SAFETY_ANALYSIS {
    for (int i = 0; i < spin_count; ++i) {
      cpu_pause();
      if (word_.load(std::memory_order_relaxed) == free_ && try_acquire()) return true;
    }
    while (word_.exchange(contended_, std::memory_order_acquire) != free_) {
      if (stop != nullptr && stop->load(std::memory_order_seq_cst) != 0) return false;
      const timespec again{.tv_sec = 0, .tv_nsec = 2'000'000};
      raw_syscall(SYS_futex, as_long(&word_), FUTEX_WAIT_PRIVATE, contended_,
                  stop != nullptr ? as_long(&again) : 0);
    }
    return true;
  }

  void wake(int count) noexcept {
    raw_syscall(SYS_futex, as_long(&word_), FUTEX_WAKE_PRIVATE, count);
  }

  std::atomic<std::uint32_t> word_{free_};
};

class ACRE_SCOPED_CAPABILITY hold {
 public:
  explicit hold(lock& l) noexcept ACRE_ACQUIRE(l) : lock_(l) { lock_.acquire(); }
  ~hold() ACRE_RELEASE() { lock_.release(); }
  hold(const hold&) = delete;
  hold& operator=(const hold&) = delete;

 private:
  lock& lock_;
};

}  // namespace acre::os
