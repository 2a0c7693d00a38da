#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace acre::heaps {

/// What a run of pages is used for.
enum class run_state : std::uint8_t {
  none,   ///< the record is unused
  slab,   ///< holds blocks of one size class
  large,  ///< one block
  dirty,  ///< free, contents arbitrary, probably resident
  clean,  ///< free, reads as zero, not resident
  held,   ///< being purged, a heap's spare slab, or the heap's own memory
};

/// Number of a run record; 0 is no run.
using run_index = std::uint32_t;

/// Sets of lists for dirty runs; see page_heap.hpp. A heap has one, which it may share.
inline constexpr unsigned home_count = 8;

/// All facts about one run of pages; one cache line, out of reach of the program's own writes.
///
/// Every page below the frontier lies in exactly one run; a run's first and last page (for a slab
/// every page) lead to its record through `address_space::run_of_page`.
///
/// Guarded by: the page heap's lock, but for a slab by the lock of the heap that owns it.
struct alignas(64) page_run {
  std::uint64_t free_bits[4];  ///< slab: bit i is 1 while slot i is free and in no cache
  run_index next;              ///< of the list the run is on
  run_index previous;
  std::uint32_t page;    ///< first page, counted from the start of the space
  std::uint32_t pages;   ///< length
  run_index owned_next;  ///< list of all runs of a heap object
  run_index owned_previous;
  std::uint16_t free_count;   ///< slab: number of bits set
  std::uint16_t block_count;  ///< slab: slots there are
  std::uint8_t size_class;    ///< slab
  run_state state;
  bool listed : 1;        ///< slab: on its class's list of slabs with free slots
  std::uint8_t home : 3;  ///< whose dirty list the run goes to when it is freed
  bool wide;              ///< slab: has held blocks of several slots; see wide_block.hpp
};
static_assert(sizeof(page_run) == 64);

/// The state of a run, read or written without the lock that guards the rest of its record: the
/// page heap looks at neighbours, which a heap may turn from slab to spare run and back meanwhile.
/// Relaxed: neither of these is free, and what is free changes under the page heap's lock alone.
[[nodiscard]] inline run_state state_of(const page_run& run) noexcept {
  return std::atomic_ref(const_cast<run_state&>(run.state)).load(std::memory_order_relaxed);
}
inline void set_state(page_run& run, run_state state) noexcept {
  std::atomic_ref(run.state).store(state, std::memory_order_relaxed);
}

}  // namespace acre::heaps
