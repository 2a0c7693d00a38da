#pragma once

#include <acre/export.h>
#include <acre/os/aligned.hpp>
#include <acre/result.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

/// Pages: how large they are, which huge ones this machine has, and rounding to them.
///
/// Units: bytes.
namespace acre::os {

/// The size of an ordinary page: 4096 on x86-64.
/// Cost: after the first call a load.
[[nodiscard]] ACRE_API std::size_t page_size() noexcept;

/// Nothing when the result does not fit.
[[nodiscard]] inline std::optional<std::size_t> round_up_to_pages(std::size_t bytes) noexcept {
  return round_up(bytes, page_size());
}

[[nodiscard]] inline std::size_t round_down_to_pages(std::size_t bytes) noexcept {
  return round_down(bytes, page_size());
}

/// How many pages hold so many bytes.
[[nodiscard]] inline std::size_t pages_for(std::size_t bytes) noexcept {
  return bytes / page_size() + (bytes % page_size() != 0 ? 1 : 0);
}

/// When the kernel backs anonymous memory with transparent huge pages
/// (/sys/kernel/mm/transparent_hugepage/enabled).
enum class transparent_huge_pages : std::uint8_t {
  never,      ///< nowhere; a request for them is refused
  on_advice,  ///< where a mapping asks for them
  always,     ///< wherever they fit
};

/// Fails: ENOENT when the kernel is built without them.
[[nodiscard]] ACRE_API result<transparent_huge_pages> transparent_huge_page_mode() noexcept;

/// The size of one, 2 MiB on x86-64. Fails: ENOENT when the kernel is built without them.
[[nodiscard]] ACRE_API result<std::size_t> transparent_huge_page_size() noexcept;

/// The reserved huge pages of one size (hugetlb), as the kernel counts them now.
struct huge_page_pool {
  std::size_t page_size_bytes = 0;
  std::size_t pages = 0;           ///< in the pool, used or not
  std::size_t free_pages = 0;      ///< not in use; some may be promised
  std::size_t reserved_pages = 0;  ///< promised to mappings that have not touched them
  std::size_t surplus_pages = 0;   ///< beyond what was configured
};

/// The sizes this machine has, smallest first; a size may have no pages at all. Empty where the
/// kernel has no hugetlb.
/// Throws: `std::bad_alloc`.
[[nodiscard]] ACRE_API std::vector<huge_page_pool> huge_page_pools();

}  // namespace acre::os
