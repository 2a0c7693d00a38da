#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace acre::os {

/// A thread that the C library does not know of, with a small stack and no thread-local storage.
///
/// It can be started from inside malloc, where pthread_create (which allocates) cannot. All signals
/// are blocked in it. What it runs must use no thread-local variable, no errno and no stdio.
/// Invariant: constant-initialised; at most one runs at a time.
class background_thread {
 public:
  /// Whether the thread is there; only a hint when other threads start it too.
  [[nodiscard]] bool running() const noexcept { return id_.load(std::memory_order_relaxed) != 0; }

  /// Runs `work` in the thread, unless it is running already. False when the kernel refuses;
  /// after a few refusals it is not tried again.
  bool start(void (*work)() noexcept) noexcept;

  /// Whether the caller runs in this object's thread.
  [[nodiscard]] bool is_here() const noexcept {
    const auto at = reinterpret_cast<std::uintptr_t>(__builtin_frame_address(0));
    const auto start = reinterpret_cast<std::uintptr_t>(stack_);
    return at - start < sizeof stack_;
  }

  /// abort(3) for such a thread, which the C library's cannot be called from: the program's handler
  /// of SIGABRT, if there is one, runs in another thread.
  [[noreturn]] static void abort_process() noexcept;

  static void sleep_ms(std::int64_t milliseconds) noexcept;

  /// In the child of a fork: no thread is running.
  void reset() noexcept { id_.store(0, std::memory_order_relaxed); }

 private:
  /// 0: none; -1: being started; else the thread's id. The kernel writes 0 when the thread is gone
  /// and its stack is free again (CLONE_CHILD_CLEARTID); acquire in `start` pairs with that.
  std::atomic<std::int32_t> id_{0};
  std::atomic<std::int32_t> refusals_{0};

  /// What the thread pointer of the thread leads to: zeros, so that code which reads a word of the
  /// C library's thread block (a stack guard) reads something.
  struct thread_block {
    void* self;
    std::byte rest[248];
  };
  [[maybe_unused]] alignas(64) thread_block block_{};
  static constexpr std::size_t guard_bytes = 4096;
  [[maybe_unused]] alignas(guard_bytes) std::byte stack_[guard_bytes + 32768]{};
};

}  // namespace acre::os
