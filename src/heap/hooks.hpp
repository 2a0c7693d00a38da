#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace acre::heaps {

/// What a sampler or a guard places on the slow path; the heap owns the type.
///
/// A heap counts the bytes it grants down from a budget. The grant in which the budget ends is cut
/// so that its last allocation is the one that crosses it: `reached` is called for exactly that
/// allocation, and the fast path has no instruction for it.
struct hooks {
  /// Called by the allocating thread, for the allocation at which its budget
  /// ended. Returns the next budget in bytes (> 0). May not allocate from the heap.
  std::int64_t (*reached)(void* block, std::size_t size_bytes) noexcept = nullptr;
  std::int64_t first_budget_bytes = 0;  ///< of each heap; > 0
};

/// Null or a table that lives for ever; set before threads start.
/// acquire on every slow path pairs with the release of whoever sets it, so the fields are seen
/// whole.
inline constinit std::atomic<const hooks*> active_hooks{nullptr};

}  // namespace acre::heaps
