#pragma once

#include "base/bits.hpp"
#include "base/sanitizer.hpp"
#include "heap/page_run.hpp"
#include "heap/size_class.hpp"

#include <atomic>
#include <cstddef>
#include <cstdint>

/// The one range of addresses in which every page of every heap lies, and the tables beside it.
///
///     owner | runs | run_of_page |            ...            | page 0 | page 1 | ... frontier ...
///
/// Normally the range is reserved at once, far larger than memory, and made usable step by step,
/// pages and tables together, so that a program which locks all its memory locks what it uses.
/// Where a limit on address space is set or the kernel commits strictly, only the tables are mapped
/// at first and pages are mapped where the frontier passes, so that the limit counts what is used.
namespace acre::heaps {

struct bin;

/// Read by every free; written once, before the first block is given out.
struct address_space {
  std::uintptr_t base = 0;  ///< address of page 0
  std::size_t pages = 0;    ///< usable ones; 0 until the space is ready: every address is foreign
  bin** owner = nullptr;    ///< per page: the bin its slab belongs to, the owner's large marker at
                            ///< the first page of a large block, or null
  run_index* run_of_page = nullptr;
  page_run* runs = nullptr;

  /// Grows under the page heap's lock. Whoever was given a block also sees a number beyond its
  /// page, by the same synchronisation, so a plain load will do; ThreadSanitizer is told so.
  [[nodiscard]] std::size_t page_count() const noexcept {
#if ACRE_TSAN
    return std::atomic_ref(const_cast<std::size_t&>(pages)).load(std::memory_order_relaxed);
#else
    return pages;
#endif
  }

  [[nodiscard]] std::size_t page_of(const void* address) const noexcept {
    return (reinterpret_cast<std::uintptr_t>(address) - base) >> page_shift;
  }
  [[nodiscard]] bool contains(const void* address) const noexcept {
    return page_of(address) < page_count();
  }
  [[nodiscard]] std::byte* address_of(std::size_t page) const noexcept {
    return reinterpret_cast<std::byte*>(base + (page << page_shift));
  }
};

extern constinit address_space space;

/// Writes the owner of a page. Atomic: the page heap looks at the owners of pages beside those that
/// become free. Relaxed: see `page_heap::insert_free`.
inline void set_owner(std::size_t page, bin* owner) noexcept {
  std::atomic_ref(space.owner[page]).store(owner, std::memory_order_relaxed);
}

/// The number of the slot that an address in a slab lies in, or of one that is not there.
[[nodiscard]] inline std::size_t slot_of(const page_run& slab, const void* address) noexcept {
  const auto offset = static_cast<std::size_t>(static_cast<const std::byte*>(address) -
                                               space.address_of(slab.page));
  return offset / class_shapes[slab.size_class].bytes;
}

/// Whether a slot of the slab begins at the address.
[[nodiscard]] inline bool starts_slot(const page_run& slab, const void* address) noexcept {
  const std::size_t index = slot_of(slab, address);
  const std::size_t offset = index * class_shapes[slab.size_class].bytes;
  return index < slab.block_count && space.address_of(slab.page) + offset == address;
}

/// The first page at or after `page` whose address is aligned.
[[nodiscard]] inline std::size_t aligned_page(std::size_t page,
                                              std::size_t alignment_pages) noexcept {
  const std::size_t base_page = space.base >> page_shift;
  return base::align_up(base_page + page, alignment_pages) - base_page;
}

/// A large run leads to its record from every such page too, so that the record of an interior
/// address is found by looking back at most this far.
inline constexpr std::size_t landmark_pages = 512;

/// Writes the landmarks of a large run, from its page `from` on. Atomic: without a lock others look
/// for a run's record from any page of it, and the last page may be a landmark. Relaxed: they look
/// for blocks that they know of.
inline void mark_inside(run_index run, std::size_t from) noexcept {
  const page_run& r = space.runs[run];
  const std::size_t end = std::size_t{r.page} + r.pages;
  for (std::size_t page = base::align_up(from, landmark_pages); page < end; page += landmark_pages)
    std::atomic_ref(space.run_of_page[page]).store(run, std::memory_order_relaxed);
}

/// Reserves the range and its tables. False when the kernel refuses even a small one.
/// Requires: the page heap's lock; called once with success.
[[nodiscard]] bool reserve_space() noexcept;

/// Makes pages up to `page` usable; false when a limit forbids it. Requires: the page heap's lock.
[[nodiscard]] bool commit_up_to(std::size_t page) noexcept;

/// Gives usable pages that were mapped afresh the heap's name again, where the kernel keeps names.
/// One system call; mappings that have it are left alone and joined with those that had lost it.
void name_usable_pages() noexcept;

/// First page that is not usable yet. Requires: the page heap's lock.
[[nodiscard]] std::size_t committed_pages() noexcept;

/// Pages that there can ever be; 0 until the space is ready.
[[nodiscard]] std::size_t reserved_pages() noexcept;

}  // namespace acre::heaps
