#pragma once

#include "bytes/kernels.hpp"

namespace acre::bytes::detail {

/// The functions for the instruction set in use; chosen at the first call.
[[nodiscard]] const kernel_table& kernels() noexcept;

}  // namespace acre::bytes::detail
