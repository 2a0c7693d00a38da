#pragma once

#include <acre/os/advice.hpp>

#include "os/kernel_abi.hpp"

namespace acre::os {

/// What there is to know of one advice: the kernel's number, and what to say when it is refused.
struct advice_facts {
  advice what;
  int number;
  const char* lacking;   ///< when the kernel does not know it
  const char* unsuited;  ///< when it knows it, but not for such memory
};

[[nodiscard]] const advice_facts& facts_of(advice what) noexcept;

/// Whether the kernel takes the number: it checks that before it looks at the empty range.
[[nodiscard]] bool kernel_knows_number(int number) noexcept;

}  // namespace acre::os
