#pragma once

#include <sched.h>

namespace acre::tool {

/// Keeps the calling thread on one CPU. Where the kernel refuses, the thread may move, which the
/// spread of the figures then shows.
void stay_on_cpu(unsigned cpu) noexcept;

/// Keeps the calling thread on one CPU for as long as it lives.
class cpu_stay {
 public:
  explicit cpu_stay(unsigned cpu) noexcept;
  cpu_stay(const cpu_stay&) = delete;
  cpu_stay& operator=(const cpu_stay&) = delete;
  ~cpu_stay();

 private:
  cpu_set_t before_{};
  bool is_known_ = false;
};

}  // namespace acre::tool
