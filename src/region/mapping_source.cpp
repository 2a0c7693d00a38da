#include <acre/os/page.hpp>
#include <acre/region/mapping_source.hpp>

#include "base/bits.hpp"

#include <algorithm>
#include <cerrno>
#include <utility>

namespace acre::region {

namespace {

std::size_t page_bytes(os::page_kind kind) noexcept {
  switch (kind) {
    case os::page_kind::transparent_huge:
      return os::transparent_huge_page_size().value_or(os::page_size());
    case os::page_kind::huge_2_mib:
      return std::size_t{2} << 20U;
    case os::page_kind::huge_1_gib:
      return std::size_t{1} << 30U;
    case os::page_kind::ordinary:
      break;
  }
  return os::page_size();
}

std::string_view name_of(os::page_kind kind) noexcept {
  switch (kind) {
    case os::page_kind::transparent_huge:
      return "mapping of transparent huge pages";
    case os::page_kind::huge_2_mib:
    case os::page_kind::huge_1_gib:
      return "mapping of reserved huge pages";
    case os::page_kind::ordinary:
      break;
  }
  return "mapping";
}

os::page_kind first_of(const os::page_order& pages) noexcept {
  return pages.begin() != pages.end() ? *pages.begin() : os::page_kind::ordinary;
}

}  // namespace

mapping_source::mapping_source(const mapping_source_options& options) noexcept
    : options_(options),
      granularity_(page_bytes(first_of(options.pages))),
      last_kind_(first_of(options.pages)) {}

source_report mapping_source::report() const noexcept {
  const os::page_kind kind = last_kind_.load(std::memory_order_relaxed);
  const int number = fallback_number_.load(std::memory_order_relaxed);
  source_report told{.kind = name_of(kind), .page_size_bytes = page_bytes(kind)};
  if (number != 0) {
    told.fell_back = true;
    told.fallback_reason = {number, fallback_call_.load(std::memory_order_relaxed)};
  }
  if (options_.placement && options_.placement->mode() == os::numa_mode::bind &&
      options_.placement->nodes().size() == 1) {
    told.node = static_cast<int>(options_.placement->nodes().front());
  }
  return told;
}

result<block> mapping_source::do_take(std::size_t size_bytes, std::size_t alignment) noexcept {
  failure refused{EINVAL, "mapping_source: no kind of pages"};
  for (const os::page_kind kind : options_.pages) {
    result<os::mapping> mapped = map(kind, size_bytes, alignment);
    if (mapped) {
      last_kind_.store(kind, std::memory_order_relaxed);
      if (kind != first_of(options_.pages)) {
        fallback_call_.store(refused.call, std::memory_order_relaxed);
        fallback_number_.store(refused.number, std::memory_order_relaxed);
      }
      const std::span<std::byte> pages = mapped->detach();
      return block{pages.data(), pages.size(), alignment};
    }
    refused = mapped.error();
  }
  return std::unexpected(refused);
}

result<os::mapping> mapping_source::map(os::page_kind kind, std::size_t size_bytes,
                                        std::size_t alignment) const noexcept {
  const std::size_t page = page_bytes(kind);
  // Reserved huge pages that are not charged at once would be missed at the first touch, by SIGBUS.
  const bool is_reserved = kind == os::page_kind::huge_2_mib || kind == os::page_kind::huge_1_gib;
  result<os::mapping> mapped = os::mapping::anonymous(
      base::align_up(size_bytes, page),
      {.pages = kind, .alignment_bytes = std::max(alignment, page), .charged = is_reserved});
  if (!mapped || !options_.placement) return mapped;
  const auto placed = os::set_range_policy(mapped->bytes(), {*options_.placement});
  if (!placed) return std::unexpected(placed.error());
  return mapped;
}

void mapping_source::do_give_back(block taken) noexcept {
  // The destructor unmaps; only a sealed mapping could refuse, and this one was never shown.
  const os::mapping gone = os::mapping::adopt({taken.data, taken.size_bytes});
}

}  // namespace acre::region
