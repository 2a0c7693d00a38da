#include <acre/region/mapping_source.hpp>

#include "base/bits.hpp"
#include "os/memory.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdint>

namespace acre::region {

namespace {

constexpr std::size_t page_bytes = 4096;
constexpr std::size_t huge_page_bytes = std::size_t{2} << 20U;

/// A mapping whose size and alignment are multiples of a page, cut out of a longer one.
result<block> map_aligned(std::size_t size_bytes, std::size_t alignment,
                          std::size_t unit) noexcept {
  const failure refused{ENOMEM, "mmap"};
  const std::size_t boundary = std::max(alignment, unit);
  const std::size_t size = base::align_up(size_bytes, unit);
  const std::size_t spare = boundary > page_bytes ? boundary : 0;
  std::byte* const start = os::map_on_demand(size + spare);
  if (start == nullptr) return std::unexpected(refused);
  const auto number = reinterpret_cast<std::uintptr_t>(start);
  const std::size_t before = base::align_up(number, boundary) - number;
  if (before > 0) os::unmap(start, before);
  if (spare > before) os::unmap(start + before + size, spare - before);
  return block{start + before, size, alignment};
}

}  // namespace

std::size_t mapping_source::granularity() const noexcept {
  return page_bytes;
}

source_report mapping_source::report() const noexcept {
  return {.kind = "mapping", .page_size_bytes = page_bytes};
}

result<block> mapping_source::do_take(std::size_t size_bytes, std::size_t alignment) noexcept {
  return map_aligned(size_bytes, alignment, page_bytes);
}

void mapping_source::do_give_back(block taken) noexcept {
  os::unmap(taken.data, taken.size_bytes);
}

std::size_t huge_page_source::granularity() const noexcept {
  return huge_page_bytes;
}

source_report huge_page_source::report() const noexcept {
  return {.kind = "transparent huge pages", .page_size_bytes = huge_page_bytes};
}

result<block> huge_page_source::do_take(std::size_t size_bytes, std::size_t alignment) noexcept {
  result<block> taken = map_aligned(size_bytes, alignment, huge_page_bytes);
  if (taken) os::advise_huge(taken->data, taken->size_bytes);
  return taken;
}

void huge_page_source::do_give_back(block taken) noexcept {
  os::unmap(taken.data, taken.size_bytes);
}

}  // namespace acre::region
