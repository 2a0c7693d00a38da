#pragma once

#include <acre/result.hpp>

#include <cstddef>

/// How `guarded_copy` survives missing pages on this processor.
///
/// There is one implementation for x86-64, in fault_copy_x86_64.cpp, and one that goes through the
/// kernel for the others, in fault_copy_kernel.cpp, which is built and tested everywhere.
namespace acre::os {

/// What came of a copy: how many bytes were copied, and 0 or the errno that stands for the fault.
struct copy_outcome {
  std::size_t copied_bytes = 0;
  int fault = 0;
};

/// Makes `copy_with_faults` safe to call.
[[nodiscard]] result<void> prepare_fault_copy() noexcept;

/// Requires: `prepare_fault_copy` has succeeded; the ranges do not overlap.
[[nodiscard]] copy_outcome copy_with_faults(std::byte* to, const std::byte* from,
                                            std::size_t size_bytes) noexcept;

/// The same by a system call, without preparation.
[[nodiscard]] copy_outcome copy_through_kernel(std::byte* to, const std::byte* from,
                                               std::size_t size_bytes) noexcept;

}  // namespace acre::os
