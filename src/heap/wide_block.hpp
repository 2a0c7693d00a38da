#pragma once

#include "heap/address_space.hpp"
#include "heap/page_run.hpp"

#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>

/// Wide blocks: blocks over several slots of a slab of a smaller class.
///
/// A class that shrank leaves slabs in which a few blocks survive; their pages cannot go back, and
/// classes of other sizes could not use them. So a class that needs pages first looks for slots
/// next to each other there. A wide block is known by its first slot; that it goes on is noted in a
/// table beside the slabs' records, four words a slab, which exists only once a program needs it.
/// Freed, it is a free block of the smaller class: it waits in that class's stack, may be given out
/// as such, and falls apart into its slots when it comes back to the slab.
///
/// Thread-safety: written under the lock of the slab's heap; the words that tell a live block's
/// length are read without (a block's own bits do not change while it lives, its neighbours' may).
namespace acre::heaps {

/// Bit i is 1 while slot i belongs to the block that begins before it.
struct further_slots {
  std::uint64_t words[4];
};

/// One for each run record; null until the first wide block. Written once.
extern constinit std::atomic<further_slots*> further_table;

inline void prefetch_further(run_index run) noexcept {
  const further_slots* const table = further_table.load(std::memory_order_relaxed);
  if (table != nullptr) __builtin_prefetch(&table[run], 1);
}

/// Whether a slab has held wide blocks since it was made.
[[nodiscard]] inline bool may_hold_wide(const page_run& slab) noexcept {
  return std::atomic_ref(const_cast<bool&>(slab.wide)).load(std::memory_order_relaxed);
}

/// Makes the table reach to the slab's entry and marks the slab. False when the kernel refuses.
[[nodiscard]] bool prepare_wide(page_run& slab) noexcept;

/// Takes up to `count` blocks of `slots` slots each out of a slab, downwards from `to`; returns how
/// many. None crosses a word of the bitmap. Requires: prepare_wide, 2 <= slots <= 32.
std::size_t take_wide(page_run& slab, unsigned slots, void** to, std::size_t count) noexcept;

/// The word of the table that says it of slot `index`. Requires: may_hold_wide.
[[nodiscard]] inline std::atomic_ref<std::uint64_t> further_word(const page_run& slab,
                                                                 std::size_t index) noexcept {
  further_slots* const table = further_table.load(std::memory_order_acquire);
  return std::atomic_ref(table[&slab - space.runs].words[index / 64]);
}

/// Whether slot `index` belongs to a block that begins before it. Requires: may_hold_wide.
[[nodiscard]] inline bool is_further_slot(const page_run& slab, std::size_t index) noexcept {
  const std::uint64_t word = further_word(slab, index).load(std::memory_order_relaxed);
  return (word >> (index % 64) & 1U) != 0;
}

/// Slots of the block that begins at slot `index`. Requires: may_hold_wide.
[[nodiscard]] inline std::size_t slots_of_block(const page_run& slab, std::size_t index) noexcept {
  const std::uint64_t word = further_word(slab, index).load(std::memory_order_relaxed);
  // Shifted twice, since the slot may be the word's last.
  return 1 + static_cast<std::size_t>(std::countr_one(word >> (index % 64) >> 1U));
}

/// Frees the further slots of the block that begins at slot `index`; returns how many there were.
/// Requires: may_hold_wide.
[[nodiscard]] inline unsigned part_block(page_run& slab, std::size_t index) noexcept {
  const std::size_t further = slots_of_block(slab, index) - 1;
  if (further == 0) return 0;
  const std::uint64_t bits = ((std::uint64_t{1} << further) - 1) << (index % 64 + 1);
  const std::atomic_ref<std::uint64_t> word = further_word(slab, index);
  word.store(word.load(std::memory_order_relaxed) & ~bits, std::memory_order_relaxed);
  slab.free_bits[index / 64] |= bits;
  return static_cast<unsigned>(further);
}

/// Further slots in a slab. Requires: may_hold_wide.
[[nodiscard]] std::size_t count_further_slots(const page_run& slab) noexcept;

}  // namespace acre::heaps
