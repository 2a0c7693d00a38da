#pragma once

#include <cstdint>
#include <optional>

namespace acre::tool {

/// The four registers that CPUID answers in.
struct cpuid_answer {
  std::uint32_t eax = 0;
  std::uint32_t ebx = 0;
  std::uint32_t ecx = 0;
  std::uint32_t edx = 0;
};

/// Asks the processor; nothing where it has no such leaf, or is not x86.
[[nodiscard]] std::optional<cpuid_answer> ask_cpuid(std::uint32_t leaf,
                                                    std::uint32_t subleaf) noexcept;

}  // namespace acre::tool
