#pragma once

#include "os/kernel.hpp"

#include <array>
#include <atomic>
#include <cstddef>

namespace acre_test {

/// A kernel that refuses or answers otherwise, for as long as the object lives.
///
///     fake_kernel kernel;
///     kernel.fail(acre::os::calls::mmap, ENOMEM);          // every mmap
///     kernel.fail(acre::os::calls::madvise, EINVAL, 2);    // only the second madvise
///     kernel.answer(acre::os::calls::pkey_alloc, 3);       // "succeeds" without being made
///     kernel.listen(acre::os::calls::mmap, spy);           // look at or change a call
///
/// Calls without a rule reach the real kernel. One object at a time; the rules are set before other
/// threads make calls.
class fake_kernel {
 public:
  using listener = long (*)(long number, const acre::os::call_arguments& arguments) noexcept;

  static constexpr int always = 0;

  fake_kernel() noexcept {
    current_ = this;
    acre::os::stand_in.store(&decide, std::memory_order_release);
  }
  ~fake_kernel() {
    acre::os::stand_in.store(nullptr, std::memory_order_release);
    current_ = nullptr;
  }
  fake_kernel(const fake_kernel&) = delete;
  fake_kernel& operator=(const fake_kernel&) = delete;

  /// Makes the nth of these calls from now on fail with `error`, or `always`.
  void fail(const acre::os::system_call& call, int error, int nth = always) {
    add({.number = call.number, .nth = nth, .outcome = -error});
  }

  /// Makes the nth of these calls from now on return `value` without entering the kernel.
  void answer(const acre::os::system_call& call, long value, int nth = always) {
    add({.number = call.number, .nth = nth, .outcome = value});
  }

  /// Hands each of these calls to `function`, which may pass it on to `acre::os::enter_kernel`.
  void listen(const acre::os::system_call& call, listener function) {
    add({.number = call.number, .nth = always, .function = function});
  }

  /// How often the call was made since its first rule was set.
  [[nodiscard]] int seen(const acre::os::system_call& call) const {
    for (std::size_t i = 0; i < count_; ++i) {
      if (rules_[i].number == call.number) return seen_[i].load(std::memory_order_relaxed);
    }
    return 0;
  }

 private:
  struct rule {
    long number = 0;
    int nth = always;
    long outcome = 0;
    listener function = nullptr;
  };

  void add(const rule& added) {
    rules_.at(count_) = added;
    ++count_;
  }

  static long decide(long number, const acre::os::call_arguments& arguments) noexcept {
    fake_kernel& self = *current_;
    const rule* applies = nullptr;
    for (std::size_t i = 0; i < self.count_; ++i) {
      if (self.rules_[i].number != number) continue;
      const int turn = self.seen_[i].fetch_add(1, std::memory_order_relaxed) + 1;
      const bool meant = self.rules_[i].nth == always || self.rules_[i].nth == turn;
      if (meant && applies == nullptr) applies = &self.rules_[i];
    }
    if (applies == nullptr) return acre::os::enter_kernel(number, arguments);
    return applies->function != nullptr ? applies->function(number, arguments) : applies->outcome;
  }

  static inline fake_kernel* current_ = nullptr;
  std::array<rule, 16> rules_{};
  std::array<std::atomic<int>, 16> seen_{};
  std::size_t count_ = 0;
};

}  // namespace acre_test
