#pragma once

namespace acre::heaps {

/// What is wrong with a pointer that was given to free or realloc.
enum class misuse : unsigned char { double_free, interior, not_ours, never_allocated, wrong_size };

/// Writes one report with the address and what is known of it to standard error; then ends the
/// program, or returns when option on_misuse says so. Allocates nothing.
void report_misuse(misuse kind, const void* address) noexcept;

struct bad_free {
  misuse kind = misuse::double_free;
  const void* address = nullptr;
};

/// What lies in the calling thread's caches, or in those of a thread that ended, and should not: a
/// block twice, or a pointer that is no block's start. Its address is null when there is none.
[[nodiscard]] bad_free find_cached_misuse() noexcept;

}  // namespace acre::heaps
