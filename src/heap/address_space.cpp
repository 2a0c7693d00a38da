#include "heap/address_space.hpp"

#include "base/bits.hpp"
#include "heap/descriptor.hpp"
#include "os/memory.hpp"

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstddef>

namespace acre::heaps {

constinit address_space space;

/// Nothing here refers to it, so the compiler is told that it is used.
extern "C" [[gnu::used]] constinit const heap_descriptor acre_heap_descriptor{
    .magic = heap_descriptor::magic_number,
    .self = &acre_heap_descriptor,
    .version = heap_descriptor::version_number,
    .page_shift = page_shift,
    .space = &space,
    .space_bytes = sizeof(address_space),
    .space_base = offsetof(address_space, base),
    .space_pages = offsetof(address_space, pages),
    .space_run_of_page = offsetof(address_space, run_of_page),
    .space_runs = offsetof(address_space, runs),
    .space_owner = offsetof(address_space, owner),
    .run_bytes = sizeof(page_run),
    .run_page = offsetof(page_run, page),
    .run_pages = offsetof(page_run, pages),
    .run_free_count = offsetof(page_run, free_count),
    .run_block_count = offsetof(page_run, block_count),
    .run_size_class = offsetof(page_run, size_class),
    .run_state = offsetof(page_run, state),
    .state_slab = static_cast<std::uint8_t>(run_state::slab),
    .state_large = static_cast<std::uint8_t>(run_state::large),
    .state_dirty = static_cast<std::uint8_t>(run_state::dirty),
    .state_clean = static_cast<std::uint8_t>(run_state::clean),
    .state_held = static_cast<std::uint8_t>(run_state::held),
    .class_count = class_count,
    .shape_bytes = sizeof(class_shape),
    .shapes = class_shapes.data(),
};

namespace {

// As maps(5) and `acre maps` show them.
constexpr const char* pages_name = "acre-heap";
constexpr const char* tables_name = "acre-tables";

constexpr std::size_t gib = std::size_t{1} << 30U;
/// A page's number and a run's length are 32 bits: 16 TiB, less a page.
constexpr std::size_t most_bytes = (std::size_t{1} << (32 + page_shift));
constexpr std::size_t huge_page_bytes = std::size_t{2} << 20U;
constexpr std::size_t table_bytes_per_page = sizeof(bin*) + sizeof(run_index) + sizeof(page_run);
/// Least step of making pages usable. A multiple of what one page of the smallest table describes.
constexpr std::size_t whole_step_pages = 1024;
constexpr std::size_t stepwise_step_pages = (std::size_t{1} << 20U) / page_bytes;
/// Records beyond one a page: number 0, and those that children of forks skip.
constexpr std::size_t extra_runs = 4096;
/// Where page 0 goes in stepwise mode, counted down from the tables: far below all that the kernel
/// places by itself.
constexpr std::size_t stepwise_distance = std::size_t{4} << 40U;

// Guarded by the page heap's lock, as the functions' contracts say.
constinit bool stepwise = false;
constinit std::size_t all_pages = 0;    // written once, before any allocation
constinit bool names_are_kept = false;  // the same

void set_usable(std::size_t pages) noexcept {
  std::atomic_ref(space.pages).store(pages, std::memory_order_relaxed);
}

void lay_out(std::byte* tables, std::size_t pages, std::byte* first_page) noexcept {
  space.owner = reinterpret_cast<bin**>(tables);
  space.runs = reinterpret_cast<page_run*>(tables + pages * sizeof(bin*));
  space.run_of_page =
      reinterpret_cast<run_index*>(tables + pages * (sizeof(bin*) + sizeof(page_run)));
  space.base = reinterpret_cast<std::uintptr_t>(first_page);
  all_pages = pages;
}

/// Makes the space usable up to `page` and somewhat further: the pages, then what describes them.
bool extend_whole(std::size_t page) noexcept {
  const std::size_t now = space.pages;
  const std::size_t least = std::max(whole_step_pages, base::align_down(now / 8, whole_step_pages));
  const std::size_t end =
      std::min(all_pages, now + std::max(least, base::align_up(page - now, whole_step_pages)));
  const std::size_t count = end - now;
  auto* const runs = reinterpret_cast<std::byte*>(space.runs);
  const std::size_t runs_from = now == 0 ? 0 : (now + extra_runs) * sizeof(page_run);
  const std::size_t runs_to = std::min(end + extra_runs, all_pages) * sizeof(page_run);
  if (!os::make_usable(reinterpret_cast<std::byte*>(space.owner + now), count * sizeof(bin*)) ||
      !os::make_usable(reinterpret_cast<std::byte*>(space.run_of_page + now),
                       count * sizeof(run_index)) ||
      (runs_to > runs_from && !os::make_usable(runs + runs_from, runs_to - runs_from)) ||
      !os::make_usable(space.address_of(now), count * page_bytes))
    return false;
  set_usable(end);
  return true;
}

bool reserve_whole() noexcept {
  if (os::address_space_limit() != SIZE_MAX) return false;
  const std::size_t most =
      std::min(most_bytes, std::max(256 * gib, std::bit_ceil(os::physical_memory()) * 4));
  for (std::size_t bytes = most; bytes >= 16 * gib; bytes /= 2) {
    const std::size_t pages = bytes / page_bytes;
    const std::size_t tables = base::align_up(pages * table_bytes_per_page, huge_page_bytes);
    std::byte* start = os::reserve(tables + bytes + huge_page_bytes);
    if (start == nullptr) continue;
    const auto first =
        base::align_up(reinterpret_cast<std::uintptr_t>(start) + tables, huge_page_bytes);
    lay_out(start, pages, reinterpret_cast<std::byte*>(first));
    // Both names before anything is made usable: what is split later keeps its part's name.
    os::name(start, tables, tables_name);
    names_are_kept = os::name(reinterpret_cast<std::byte*>(first), bytes, pages_name);
    return extend_whole(1);
  }
  return false;
}

bool reserve_stepwise() noexcept {
  const std::size_t most =
      std::min({os::address_space_limit(), os::physical_memory() * 4, most_bytes});
  for (std::size_t bytes = base::align_up(most, huge_page_bytes); bytes >= huge_page_bytes;
       bytes = base::align_up(bytes / 2, huge_page_bytes)) {
    const std::size_t pages = bytes / page_bytes;
    std::byte* tables = os::map_on_demand(base::align_up(pages * table_bytes_per_page, page_bytes));
    if (tables != nullptr) {
      const auto first = base::align_down(
          reinterpret_cast<std::uintptr_t>(tables) - stepwise_distance, huge_page_bytes);
      stepwise = true;
      os::name(tables, base::align_up(pages * table_bytes_per_page, page_bytes), tables_name);
      lay_out(tables, pages, reinterpret_cast<std::byte*>(first));
      return true;
    }
    if (bytes == huge_page_bytes) return false;
  }
  return false;
}

}  // namespace

bool reserve_space() noexcept {
  return reserve_whole() || reserve_stepwise();
}

void name_usable_pages() noexcept {
  if (!names_are_kept) return;
  const std::size_t pages = std::atomic_ref(space.pages).load(std::memory_order_relaxed);
  os::name(space.address_of(0), pages * page_bytes, pages_name);
}

std::size_t committed_pages() noexcept {
  return space.pages;
}

std::size_t reserved_pages() noexcept {
  return all_pages;
}

bool commit_up_to(std::size_t page) noexcept {
  if (page > all_pages) return false;
  if (page <= space.pages) return true;
  if (!stepwise) {
    // The reservation took the address space before a limit that was set later; honour it here.
    const std::size_t limit = os::address_space_limit();
    return (limit == SIZE_MAX || page * page_bytes <= limit) && extend_whole(page);
  }
  std::size_t count =
      std::min(base::align_up(page - space.pages, stepwise_step_pages), all_pages - space.pages);
  std::byte* const start = space.address_of(space.pages);
  if (!os::map_at(start, count * page_bytes)) {
    count = page - space.pages;  // Close to the limit: no more than is asked for.
    if (!os::map_at(start, count * page_bytes)) return false;
  }
  // No name: it would be a system call that a program's seccomp filter, set up meanwhile, may not
  // expect.
  set_usable(space.pages + count);
  return true;
}

}  // namespace acre::heaps
