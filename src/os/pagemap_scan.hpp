#pragma once

#include "os/kernel.hpp"
#include "os/kernel_abi.hpp"

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <span>

namespace acre::os {

/// What PAGEMAP_SCAN is asked, but for the range: see the kernel's
/// Documentation/admin-guide/mm/pagemap.rst.
struct scan_question {
  std::uint64_t flags = 0;
  std::uint64_t all_of = 0;
  std::uint64_t any_of = 0;
  std::uint64_t report = 0;
};

/// Scans the addresses from `start` to `end` through an open /proc/PID/pagemap and calls
/// `visit(const abi::page_region&)` for each run of pages, in ascending order. A run may be
/// reported in two pieces.
template <class Visit>
[[nodiscard]] result<void> scan_pages(int pagemap, std::uint64_t start, std::uint64_t end,
                                      const scan_question& question, Visit visit) {
  std::array<abi::page_region, 512> regions;
  abi::pagemap_scan argument{.size = sizeof(abi::pagemap_scan),
                             .flags = question.flags,
                             .start = start,
                             .end = end,
                             .walk_end = 0,
                             .regions = reinterpret_cast<std::uintptr_t>(regions.data()),
                             .regions_count = regions.size(),
                             .pages_max = 0,
                             .category_inverted = 0,
                             .category_mask = question.all_of,
                             .category_anyof_mask = question.any_of,
                             .return_mask = question.report};
  while (argument.start < argument.end) {
    const auto found = ask(calls::ioctl, pagemap, abi::pagemap_scan_request, &argument);
    if (!found && found.error().number == EINTR) continue;
    if (!found) return std::unexpected(found.error());
    for (std::size_t i = 0; i < static_cast<std::size_t>(*found); ++i)
      visit(regions[i]);
    // Without progress (a kernel that is not as documented) there must be an end all the same.
    if (argument.walk_end <= argument.start) break;
    argument.start = argument.walk_end;
  }
  return {};
}

/// The same for a range of this process.
template <class Visit>
[[nodiscard]] result<void> scan_pages(int pagemap, std::span<const std::byte> range,
                                      const scan_question& question, Visit visit) {
  const auto start = reinterpret_cast<std::uintptr_t>(range.data());
  return scan_pages(pagemap, start, start + range.size(), question, visit);
}

}  // namespace acre::os
