#include "tool/machine_affinity.hpp"

namespace acre::tool {

void stay_on_cpu(unsigned cpu) noexcept {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (cpu >= CPU_SETSIZE) return;
  CPU_SET(cpu, &set);
  ::sched_setaffinity(0, sizeof set, &set);
}

cpu_stay::cpu_stay(unsigned cpu) noexcept
    : is_known_(::sched_getaffinity(0, sizeof before_, &before_) == 0) {
  stay_on_cpu(cpu);
}

cpu_stay::~cpu_stay() {
  if (is_known_) ::sched_setaffinity(0, sizeof before_, &before_);
}

}  // namespace acre::tool
