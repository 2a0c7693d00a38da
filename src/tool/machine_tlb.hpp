#pragma once

#include "tool/machine_cpuid.hpp"
#include "tool/machine_description.hpp"

#include <cstdint>
#include <optional>
#include <vector>

namespace acre::tool {

using cpuid_source = std::optional<cpuid_answer> (*)(std::uint32_t leaf, std::uint32_t subleaf);

/// Reads the translation caches out of CPUID.
///
/// AMD: leaves 0x80000005, 0x80000006 and 0x80000019 (AMD64 Architecture Programmer's Manual,
/// volume 3, appendix E). Intel: leaf 0x18, and leaf 2 with its table of descriptors on processors
/// before it (Intel SDM, volume 2A, CPUID).
///
/// Returns:  an empty list where the processor does not tell.
[[nodiscard]] std::vector<tlb_facts> read_tlbs(cpuid_source ask);

}  // namespace acre::tool
