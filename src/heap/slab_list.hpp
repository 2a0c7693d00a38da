#pragma once

#include "heap/address_space.hpp"
#include "heap/body.hpp"

#include <atomic>

/// The list of a class's slabs that have free slots. All under the owning heap's lock, but
/// for `may_have_free`.
namespace acre::heaps {

/// Written under the lock; `may_have_free` reads it without.
inline void set_first_slab(class_slabs& slabs, run_index run) noexcept {
  std::atomic_ref(slabs.partial).store(run, std::memory_order_relaxed);
}

/// Whether it is worth to wait for the lock: a hint that needs none.
[[nodiscard]] inline bool may_have_free(class_slabs& slabs) noexcept {
  return std::atomic_ref(slabs.partial).load(std::memory_order_relaxed) != 0;
}

/// Makes a slab the first of the list.
inline void list_slab(class_slabs& slabs, run_index run) noexcept {
  page_run& slab = space.runs[run];
  slab.previous = 0;
  slab.next = slabs.partial;
  if (slab.next != 0)
    space.runs[slab.next].previous = run;
  else
    slabs.partial_last = run;
  set_first_slab(slabs, run);
  slab.listed = true;
}

inline void unlist_slab(class_slabs& slabs, run_index run) noexcept {
  page_run& slab = space.runs[run];
  if (slab.next != 0)
    space.runs[slab.next].previous = slab.previous;
  else
    slabs.partial_last = slab.previous;
  if (slab.previous != 0)
    space.runs[slab.previous].next = slab.next;
  else
    set_first_slab(slabs, slab.next);
  slab.listed = false;
}

/// The same, behind the last.
inline void append_slab(class_slabs& slabs, run_index run) noexcept {
  if (slabs.partial == 0) return list_slab(slabs, run);
  page_run& slab = space.runs[run];
  slab.next = 0;
  slab.previous = slabs.partial_last;
  space.runs[slab.previous].next = run;
  slabs.partial_last = run;
  slab.listed = true;
}

/// Moves the first listed slab behind the last.
inline void rotate_slabs(class_slabs& slabs) noexcept {
  const run_index run = slabs.partial;
  if (run == slabs.partial_last) return;
  unlist_slab(slabs, run);
  append_slab(slabs, run);
}

}  // namespace acre::heaps
