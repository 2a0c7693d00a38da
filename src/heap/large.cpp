#include "heap/large.hpp"

#include "base/bits.hpp"
#include "heap/address_space.hpp"
#include "heap/config.hpp"
#include "heap/misuse.hpp"
#include "heap/page_heap.hpp"
#include "heap/purger.hpp"
#include "heap/registry.hpp"
#include "heap/slabs.hpp"
#include "heap/usage.hpp"
#include "os/memory.hpp"

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstring>

namespace acre::heaps {

namespace {

constexpr std::size_t huge_page_pages = 512;
/// Blocks of 8 to 64 MiB are advised for huge pages. Smaller ones gain little; much larger ones are
/// often reserved for more than they hold, and would then take memory that nobody asked for.
constexpr std::size_t huge_block_pages_min = 4 * huge_page_pages;
constexpr std::size_t huge_block_pages_max = 32 * huge_page_pages;
/// From here moving pages is cheaper than copying them.
constexpr std::size_t move_pages_min = 64;

run_index run_at(const void* block) noexcept {
  return space.run_of_page[space.page_of(block)];
}

void advise(std::size_t first, std::size_t count) noexcept {
  const huge_policy policy = config.huge.load(std::memory_order_relaxed);
  if (policy == huge_policy::never || count < huge_block_pages_min) return;
  if (policy == huge_policy::large && count > huge_block_pages_max) return;
  const std::size_t start = base::align_up(first, huge_page_pages);
  const std::size_t end = base::align_down(first + count, huge_page_pages);
  if (start < end) os::advise_huge(space.address_of(start), (end - start) * page_bytes);
}

/// Counts live pages; those of the heap are counted by `reserve_pages` and `return_pages`.
void count_live(heap_body& owner, std::ptrdiff_t count) noexcept {
  owner.large_live_pages.fetch_add(static_cast<std::size_t>(count), std::memory_order_relaxed);
  used.add(count * static_cast<std::ptrdiff_t>(page_bytes));
}

}  // namespace

large_block allocate_large(heap_body& owner, std::size_t size_bytes,
                           std::size_t alignment_bytes) noexcept {
  if (size_bytes > PTRDIFF_MAX || alignment_bytes > PTRDIFF_MAX) return {};
  const std::size_t count = base::divide_up(size_bytes, page_bytes);
  if (!reserve_pages(owner, count)) return {};
  const page_grant grant = process_pages.allocate(
      {.pages = count,
       .alignment_pages = std::max(alignment_bytes / page_bytes, std::size_t{1}),
       .home = own_home()});
  if (grant.run == 0) {
    return_pages(owner, count);
    return {};
  }
  const std::size_t first = space.runs[grant.run].page;
  if (owner.kind == body_kind::object) {
    const os::hold guard(owner.lock);
    own_run(owner, grant.run);
  }
  set_owner(first, &owner.large_marker);
  if (grant.reads_zero) advise(first, count);
  owner.large_allocations.fetch_add(1, std::memory_order_relaxed);
  owner.large_live.fetch_add(1, std::memory_order_relaxed);
  count_live(owner, static_cast<std::ptrdiff_t>(count));
  return {.address = space.address_of(first), .reads_zero = grant.reads_zero};
}

void free_large(void* block) noexcept {
  const std::size_t page = space.page_of(block);
  const run_index run = space.run_of_page[page];
  heap_body& owner = *body_of(space.owner[page]);
  // Two threads that free the same block: one of them finds the page without an owner.
  bin* expected = &owner.large_marker;
  if (!std::atomic_ref(space.owner[page]).compare_exchange_strong(expected, nullptr))
    return report_misuse(misuse::double_free, block);
  if (owner.kind == body_kind::object) {
    const os::hold guard(owner.lock);
    disown_run(owner, run);
  }
  owner.large_live.fetch_sub(1, std::memory_order_relaxed);
  count_live(owner, -static_cast<std::ptrdiff_t>(space.runs[run].pages));
  return_pages(owner, space.runs[run].pages);
  process_pages.release(run);
  purge_later();
}

std::size_t large_bytes(const void* block) noexcept {
  return std::size_t{space.runs[run_at(block)].pages} * page_bytes;
}

namespace {

/// Moves the pages to a place with room to grow again. Null when that cannot be done.
void* move_large(run_index run, std::size_t count) noexcept {
  if (!may_move_pages()) return nullptr;
  const std::size_t old_count = space.runs[run].pages;
  const std::size_t old_page = space.runs[run].page;
  // Ask for half as much again and give it back at once: free pages follow the block for its next
  // growth, at no cost but address space.
  const std::size_t roomy = count + count / 2;
  page_request request{.pages = roomy,
                       .source = page_source::clean_only,
                       .replaced_pages = old_count + (roomy - count)};
  page_grant grant = process_pages.allocate(request);
  if (grant.run != 0) {
    process_pages.shorten_clean(grant.run, count);
  } else {
    request.pages = count;
    request.replaced_pages = old_count;
    grant = process_pages.allocate(request);
    if (grant.run == 0) return nullptr;
  }
  const std::size_t page = space.runs[grant.run].page;
  std::byte* const target = space.address_of(page);
  // A program that locked all its memory (mlockall) gains nothing: what is mapped where the pages
  // were is locked and filled at once, and the kernel counts the locked pages twice. Locked pages
  // cannot be purged, and these are still empty.
  if (!os::purge(target, page_bytes) ||
      !os::move_pages(space.address_of(old_page), target, old_count * page_bytes)) {
    process_pages.release_clean(grant.run);
    return nullptr;
  }
  note_move();
  set_owner(page, space.owner[old_page]);
  set_owner(old_page, nullptr);
  process_pages.release_clean(run);
  return target;
}

/// Whether it costs less to copy a block into resident pages than to move it and have its growth
/// faulted in. Measured from 1 to 512 MiB: copying costs a seventh to a quarter of faulting as much
/// in, and moving pages next to nothing, but 0.1 ms by itself; see docs/design/heap.md.
bool worth_copying(std::size_t old_count, std::size_t count) noexcept {
  constexpr std::size_t always_pages = 256;
  return old_count <= always_pages || (count - old_count) >= old_count / 4;
}

/// Copies into free pages that are resident. Null when there is no such run, or when it is better
/// to move the block.
void* copy_to_dirty(run_index run, std::size_t count) noexcept {
  const page_run& old = space.runs[run];
  if (!worth_copying(old.pages, count)) return nullptr;
  const page_grant grant = process_pages.allocate(
      {.pages = count, .source = page_source::dirty_only, .home = own_home()});
  if (grant.run == 0) return nullptr;
  const std::size_t page = space.runs[grant.run].page;
  std::memcpy(space.address_of(page), space.address_of(old.page), old.pages * page_bytes);
  set_owner(page, space.owner[old.page]);
  set_owner(old.page, nullptr);
  process_pages.release(run);
  return space.address_of(page);
}

}  // namespace

void* resize_large(void* block, std::size_t size_bytes) noexcept {
  if (size_bytes > PTRDIFF_MAX) return nullptr;
  const run_index run = run_at(block);
  const std::size_t old_count = space.runs[run].pages;
  const std::size_t count = base::divide_up(size_bytes, page_bytes);
  heap_body& owner = *body_of(space.owner[space.page_of(block)]);
  if (count == old_count) return block;
  if (count < old_count) {
    process_pages.shorten(run, count);
    const std::size_t gone = old_count - space.runs[run].pages;
    count_live(owner, -static_cast<std::ptrdiff_t>(gone));
    return_pages(owner, gone);
    purge_later();
    return block;
  }
  const std::size_t more = count - old_count;
  if (!reserve_pages(owner, more)) return nullptr;
  if (process_pages.extend(run, count)) {
    count_live(owner, static_cast<std::ptrdiff_t>(more));
    return block;
  }
  return_pages(owner, more);
  // The pages of a heap object are on its list by run, which a move would change.
  if (old_count < move_pages_min || owner.kind == body_kind::object) return nullptr;
  void* moved = copy_to_dirty(run, count);
  if (moved == nullptr) moved = move_large(run, count);
  if (moved == nullptr) return nullptr;
  // While a fork is pending the place stays as roomy as it was asked for. No limit: not an object.
  const std::size_t gained = space.runs[run_at(moved)].pages - old_count;
  (void)reserve_pages(owner, gained);
  count_live(owner, static_cast<std::ptrdiff_t>(gained));
  return moved;
}

}  // namespace acre::heaps
