#include "heap/wide_block.hpp"

#include "base/bits.hpp"
#include "heap/address_space.hpp"
#include "heap/size_class.hpp"
#include "os/memory.hpp"

#include <algorithm>
#include <bit>

namespace acre::heaps {

constinit std::atomic<further_slots*> further_table{nullptr};

namespace {

/// Entries that may be used; only ever grows.
constinit std::atomic<std::size_t> usable_entries{0};

constexpr std::size_t step_bytes = 65536;

/// Several heaps may come here at once, each under its own lock, and a fork may copy any moment of
/// it: so there is no lock here. Who loses the race gives its reservation back.
[[nodiscard]] further_slots* table() noexcept {
  further_slots* known = further_table.load(std::memory_order_acquire);
  if (known != nullptr) return known;
  const std::size_t size_bytes =
      base::align_up(reserved_pages() * sizeof(further_slots), step_bytes);
  std::byte* const fresh = os::reserve(size_bytes);
  if (fresh == nullptr) return nullptr;
  if (further_table.compare_exchange_strong(known, reinterpret_cast<further_slots*>(fresh)))
    return reinterpret_cast<further_slots*>(fresh);
  os::unmap(fresh, size_bytes);
  return known;
}

}  // namespace

bool prepare_wide(page_run& slab) noexcept {
  further_slots* const entries = table();
  if (entries == nullptr) return false;
  const auto run = static_cast<std::size_t>(&slab - space.runs);
  std::size_t usable = usable_entries.load(std::memory_order_acquire);
  if (run >= usable) {
    constexpr std::size_t step = step_bytes / sizeof(further_slots);
    const std::size_t end = base::align_up(run + 1, step);
    if (end > reserved_pages()) return false;
    // Making usable what is usable already changes nothing.
    if (!os::make_usable(reinterpret_cast<std::byte*>(entries + usable),
                         (end - usable) * sizeof(further_slots)))
      return false;
    while (usable < end && !usable_entries.compare_exchange_weak(usable, end)) {
    }
  }
  std::atomic_ref(slab.wide).store(true, std::memory_order_relaxed);
  return true;
}

std::size_t take_wide(page_run& slab, unsigned slots, void** to, std::size_t count) noexcept {
  const std::size_t bytes = class_shapes[slab.size_class].bytes;
  std::byte* const start = space.address_of(slab.page);
  const std::uint64_t block = (std::uint64_t{1} << slots) - 1;
  std::size_t left = count;
  for (std::size_t word = 0; word < 4 && left > 0; ++word) {
    std::uint64_t bits = slab.free_bits[word];
    std::uint64_t starts = bits;
    for (unsigned i = 1; i < slots; ++i)
      starts &= bits >> i;
    std::uint64_t further = 0;
    while (starts != 0 && left > 0) {
      const auto first = static_cast<unsigned>(std::countr_zero(starts));
      const std::uint64_t taken = block << first;
      bits &= ~taken;
      further |= taken & (taken - 1);  // all but the first
      // Blocks that would begin inside this one begin nowhere.
      starts &= ~taken;
      *to-- = start + (word * 64 + first) * bytes;
      --left;
    }
    if (further == 0) continue;
    slab.free_bits[word] = bits;
    const std::atomic_ref<std::uint64_t> noted = further_word(slab, word * 64);
    noted.store(noted.load(std::memory_order_relaxed) | further, std::memory_order_relaxed);
  }
  slab.free_count = static_cast<std::uint16_t>(slab.free_count - (count - left) * slots);
  return count - left;
}

std::size_t count_further_slots(const page_run& slab) noexcept {
  std::size_t count = 0;
  for (std::size_t word = 0; word < 4; ++word)
    count += static_cast<std::size_t>(
        std::popcount(further_word(slab, word * 64).load(std::memory_order_relaxed)));
  return count;
}

}  // namespace acre::heaps
