#include "heap/address_space.hpp"

#include "base/bits.hpp"
#include "os/memory.hpp"

#include <algorithm>

namespace acre::heaps {

constinit address_space space;

namespace {

constexpr std::size_t gib = std::size_t{1} << 30U;
/// A page's number and a run's length are 32 bits: 16 TiB, less a page.
constexpr std::size_t most_bytes = (std::size_t{1} << (32 + page_shift));
constexpr std::size_t huge_page_bytes = std::size_t{2} << 20U;
constexpr std::size_t table_bytes_per_page = sizeof(bin*) + sizeof(run_index) + sizeof(page_run);
/// How far the frontier moves between looks at the limits, and the step of mapping.
constexpr std::size_t step_pages = (std::size_t{1} << 20U) / page_bytes;
/// Where page 0 goes in stepwise mode, counted down from the tables: far below all that the kernel
/// places by itself.
constexpr std::size_t stepwise_distance = std::size_t{4} << 40U;

// Guarded by the page heap's lock, as the functions' contracts say.
constinit bool stepwise = false;
constinit std::size_t usable_pages = 0;

void lay_out(std::byte* tables, std::size_t pages, std::byte* first_page) noexcept {
  space.owner = reinterpret_cast<bin**>(tables);
  space.runs = reinterpret_cast<page_run*>(tables + pages * sizeof(bin*));
  space.run_of_page =
      reinterpret_cast<run_index*>(tables + pages * (sizeof(bin*) + sizeof(page_run)));
  space.base = reinterpret_cast<std::uintptr_t>(first_page);
  space.pages = pages;
}

bool reserve_whole() noexcept {
  if (os::address_space_limit() != SIZE_MAX) return false;
  const std::size_t most =
      std::min(most_bytes, std::max(256 * gib, std::bit_ceil(os::physical_memory()) * 4));
  for (std::size_t bytes = most; bytes >= 16 * gib; bytes /= 2) {
    const std::size_t pages = bytes / page_bytes;
    const std::size_t tables = base::align_up(pages * table_bytes_per_page, huge_page_bytes);
    std::byte* start = os::map_on_demand(tables + bytes + huge_page_bytes);
    if (start == nullptr) continue;
    const auto first =
        base::align_up(reinterpret_cast<std::uintptr_t>(start) + tables, huge_page_bytes);
    usable_pages = pages;
    lay_out(start, pages, reinterpret_cast<std::byte*>(first));
    return true;
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

std::size_t committed_pages() noexcept {
  return usable_pages;
}

bool commit_up_to(std::size_t page) noexcept {
  if (page > space.pages) return false;
  if (!stepwise) {
    // The reservation took the address space before a limit that was set later; honour it here.
    const std::size_t limit = os::address_space_limit();
    return limit == SIZE_MAX || page * page_bytes <= limit;
  }
  if (page <= usable_pages) return true;
  std::size_t pages =
      std::min(base::align_up(page - usable_pages, step_pages), space.pages - usable_pages);
  std::byte* const start = space.address_of(usable_pages);
  if (!os::map_at(start, pages * page_bytes)) {
    pages = page - usable_pages;  // Close to the limit: no more than is asked for.
    if (!os::map_at(start, pages * page_bytes)) return false;
  }
  usable_pages += pages;
  return true;
}

}  // namespace acre::heaps
