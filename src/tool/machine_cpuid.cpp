#include "tool/machine_cpuid.hpp"

#if defined(__x86_64__)
#include <cpuid.h>
#endif

namespace acre::tool {

#if defined(__x86_64__)

std::optional<cpuid_answer> ask_cpuid(std::uint32_t leaf, std::uint32_t subleaf) noexcept {
  cpuid_answer answer;
  // The range of hypervisor leaves tells its end in its own first leaf.
  const auto range = leaf & 0xf000'0000U;
  unsigned last = 0;
  unsigned unused = 0;
  __cpuid_count(range, 0, last, unused, unused, unused);
  if (leaf > last && leaf != range) return {};
  __cpuid_count(leaf, subleaf, answer.eax, answer.ebx, answer.ecx, answer.edx);
  return answer;
}

#else

std::optional<cpuid_answer> ask_cpuid(std::uint32_t /*leaf*/, std::uint32_t /*subleaf*/) noexcept {
  return {};
}

#endif

}  // namespace acre::tool
