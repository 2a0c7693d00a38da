#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace acre::heaps {

/// When memory is advised for transparent huge pages.
enum class huge_policy : std::uint8_t { never, large, always };

/// Settings of the heap; constants once the program's own code runs.
///
/// Written by whoever builds the heap into something (the preload library from ACRE_OPTIONS) before
/// threads start; every field may be read at any time, so each is a relaxed atomic.
struct settings {
  std::atomic<std::int64_t> purge_delay_ms{250};   ///< negative: never
  std::atomic<std::size_t> memory_limit_bytes{0};  ///< 0: none
  std::atomic<bool> background{true};
  std::atomic<bool> abort_on_misuse{true};
  std::atomic<huge_policy> huge{huge_policy::never};
};

inline constinit settings config;

}  // namespace acre::heaps
