#pragma once

#include "tool/machine_measurement.hpp"

#include <cstdint>

namespace acre::tool {

/// Watches, from its making on, what else goes on at the machine.
class noise_watch {
 public:
  noise_watch();

  /// Judges what was measured since. Adds to `measurement.noise`, which holds notes already.
  void judge(machine_measurement& measurement) const;

 private:
  /// Time of all CPUs together, in seconds (proc_stat(5)), and our own.
  struct times {
    double stolen = 0;
    double busy = 0;
    double total = 0;
    double own = 0;
  };
  [[nodiscard]] static times read_times();

  times start_;
  clock_facts clock_;
};

}  // namespace acre::tool
