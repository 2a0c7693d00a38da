#pragma once

#include "tool/machine_clock.hpp"
#include "tool/machine_description.hpp"

#include <cstddef>
#include <string>

namespace acre::tool {

/// How much is measured, and until when.
struct machine_plan {
  std::size_t line_bytes = 64;
  std::size_t page_bytes = 4096;
  std::size_t set_bytes_max = 0;  ///< the largest working set
  int points_per_octave = 4;
  int repetitions = 11;
  double repetition_ns = 1.4e6;
  double deadline_ns = 0;  ///< by `now_ns`; what has not begun then is left out

  [[nodiscard]] bool is_late() const noexcept { return now_ns() > deadline_ns; }
};

/// The largest working set that one node's memory holds beside everything else, as far as the plan
/// goes; 0 when that is too little to measure. Memory that is bound to a node cannot spill over, so
/// asking for too much would have the kernel end some program.
[[nodiscard]] std::size_t largest_set_on(const node_facts& node, const machine_plan& plan) noexcept;

/// One line on a terminal that is written over and over; nothing elsewhere.
class machine_progress {
 public:
  machine_progress();
  machine_progress(const machine_progress&) = delete;
  machine_progress& operator=(const machine_progress&) = delete;
  ~machine_progress();

  /// Begins a stage that takes about this part of the whole time.
  void begin(const std::string& stage, double part);
  /// `part` of the stage is done.
  void advance(double part);

 private:
  bool is_terminal_ = false;
  std::string stage_;
  double before_ = 0;  ///< part of the whole that earlier stages took
  double part_ = 0;
  int shown_ = -1;
};

}  // namespace acre::tool
