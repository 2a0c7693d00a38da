#pragma once

#include <cstddef>

/// The processor's side of memory protection keys (pkeys(7)); the kernel's is in calls::pkey_….
namespace acre::os {

inline constexpr std::size_t protection_key_count = 16;

/// Whether the processor has keys and the kernel lets programs use them.
[[nodiscard]] bool processor_has_protection_keys() noexcept;

/// Gives the calling thread access to pages with the key, or takes it.
/// Requires: `processor_has_protection_keys()`.
void set_key_access(int key, bool open) noexcept;

}  // namespace acre::os
