#pragma once

#include <acre/result.hpp>

#include <cstdint>

namespace acre::os {

/// What tells this process from the one it was forked from, without a system call.
struct process_mark {
  std::uint64_t generation = 0;  ///< never that of a process this one descends from
  std::uint64_t key = 0;         ///< random, and another one in a child
};

/// Fails: as mmap, madvise (MADV_WIPEONFORK, Linux 4.14) or getrandom; only on the first call in a
///        process.
[[nodiscard]] result<process_mark> current_process_mark() noexcept;

/// Whether this is the process of that generation.
[[nodiscard]] bool is_generation(std::uint64_t generation) noexcept;

}  // namespace acre::os
