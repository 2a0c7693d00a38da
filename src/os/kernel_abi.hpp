#pragma once

#include <cstdint>

#include <linux/userfaultfd.h>
#include <sys/mman.h>
#include <sys/syscall.h>

/// What the kernel understands and older C headers do not name: numbers, flags and structures of
/// the kernel's interface, each with the version that brought it. A number is the same on every
/// machine unless it says otherwise; asking an older kernel gives ENOSYS or EINVAL.

// System calls since 5.1 have one number on all architectures.
#ifndef SYS_process_madvise
#define SYS_process_madvise 440  // 5.10
#endif
#ifndef SYS_memfd_secret
#define SYS_memfd_secret 447  // 5.14
#endif
#ifndef SYS_set_mempolicy_home_node
#define SYS_set_mempolicy_home_node 450  // 5.17
#endif
#ifndef SYS_mseal
#define SYS_mseal 462  // 6.10
#endif

#ifndef MAP_FIXED_NOREPLACE
#define MAP_FIXED_NOREPLACE 0x100000  // 4.17
#endif
#ifndef MAP_DROPPABLE
#define MAP_DROPPABLE 0x08  // 6.11; a mapping type in the place of MAP_PRIVATE
#endif
#ifndef MREMAP_DONTUNMAP
#define MREMAP_DONTUNMAP 4  // 5.7
#endif
#ifndef MAP_HUGE_SHIFT
#define MAP_HUGE_SHIFT 26  // 3.8; the logarithm of the page size goes into the bits above
#endif

#ifndef MADV_SOFT_OFFLINE
#define MADV_SOFT_OFFLINE 101  // 2.6.33; not in the C library's header
#endif
#ifndef MADV_COLD
#define MADV_COLD 20     // 5.4
#define MADV_PAGEOUT 21  // 5.4
#endif
#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22   // 5.14
#define MADV_POPULATE_WRITE 23  // 5.14
#endif
#ifndef MADV_DONTNEED_LOCKED
#define MADV_DONTNEED_LOCKED 24  // 5.18
#endif
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25  // 6.1
#endif
#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL 102  // 6.13
#define MADV_GUARD_REMOVE 103   // 6.13
#endif

#ifndef PIDFD_SELF_THREAD
#define PIDFD_SELF_THREAD (-10000)  // 6.15; the calling thread, where a pidfd is taken
#endif

#ifndef UFFD_USER_MODE_ONLY
#define UFFD_USER_MODE_ONLY 1  // 5.11
#endif
#ifndef UFFD_FEATURE_WP_UNPOPULATED
#define UFFD_FEATURE_WP_UNPOPULATED (1 << 13)  // 6.4
#endif
#ifndef UFFD_FEATURE_WP_ASYNC
#define UFFD_FEATURE_WP_ASYNC (1 << 15)  // 6.7
#endif

namespace acre::os::abi {

/// One run of pages that PAGEMAP_SCAN reports (struct page_region, Linux 6.7).
struct page_region {
  std::uint64_t start;
  std::uint64_t end;
  std::uint64_t categories;
};

/// The argument of PAGEMAP_SCAN (struct pm_scan_arg, Linux 6.7).
struct pagemap_scan {
  std::uint64_t size;
  std::uint64_t flags;
  std::uint64_t start;
  std::uint64_t end;
  std::uint64_t walk_end;
  std::uint64_t regions;
  std::uint64_t regions_count;
  std::uint64_t pages_max;
  std::uint64_t category_inverted;
  std::uint64_t category_mask;
  std::uint64_t category_anyof_mask;
  std::uint64_t return_mask;
};
static_assert(sizeof(pagemap_scan) == 96 && sizeof(page_region) == 24);

/// _IOWR('f', 16, struct pm_scan_arg).
inline constexpr unsigned long pagemap_scan_request = 0xc0606610UL;

inline constexpr std::uint64_t page_is_write_protection_allowed = 1U << 0U;
inline constexpr std::uint64_t page_is_written = 1U << 1U;
inline constexpr std::uint64_t page_is_file = 1U << 2U;
inline constexpr std::uint64_t page_is_present = 1U << 3U;
inline constexpr std::uint64_t page_is_swapped = 1U << 4U;
inline constexpr std::uint64_t page_is_zero = 1U << 5U;
inline constexpr std::uint64_t page_is_huge = 1U << 6U;
inline constexpr std::uint64_t page_is_soft_dirty = 1U << 7U;
inline constexpr std::uint64_t page_is_guard = 1U << 8U;  // 6.15

inline constexpr std::uint64_t scan_write_protect = 1U << 0U;
inline constexpr std::uint64_t scan_check_async = 1U << 1U;

}  // namespace acre::os::abi
