#pragma once

#include "heap/size_class.hpp"
#include "os/lock.hpp"

#include <cstddef>

/// What bins counted before they were emptied with their thread's heap (idle.hpp), by class.
namespace acre::heaps {

struct past_count {
  std::size_t allocations = 0, seen_bytes = 0, seen_count = 0;
};

/// Held while heaps' counts and the past ones are added up; counts become past ones under it, and
/// under their heap's lock. Whoever holds a heap's lock only tries to take it.
extern constinit os::lock past_lock;
extern constinit past_count past_counts[class_count] ACRE_GUARDED_BY(past_lock);

}  // namespace acre::heaps
