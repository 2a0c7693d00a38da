#pragma once

#include <acre/export.h>
#include <acre/result.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include <fcntl.h>

/// Single pages of a process: /proc/PID/pagemap, the PAGEMAP_SCAN ioctl and /proc/kpageflags
/// (admin-guide/mm/pagemap.rst of the kernel).
namespace acre::os {

/// One word of /proc/PID/pagemap.
///
/// The kernel leaves the frame's number 0 for readers without CAP_SYS_ADMIN.
struct page_entry {
  std::uint64_t bits = 0;

  [[nodiscard]] bool present() const noexcept { return (bits >> 63U & 1U) != 0; }
  [[nodiscard]] bool swapped() const noexcept { return (bits >> 62U & 1U) != 0; }
  /// A page of a file, or of shared anonymous memory.
  [[nodiscard]] bool of_file() const noexcept { return (bits >> 61U & 1U) != 0; }
  /// A guard region of MADV_GUARD_INSTALL (Linux 6.15 says so).
  [[nodiscard]] bool guard() const noexcept { return (bits >> 58U & 1U) != 0; }
  [[nodiscard]] bool write_protected() const noexcept { return (bits >> 57U & 1U) != 0; }
  /// Mapped by this process alone (Linux 4.2).
  [[nodiscard]] bool exclusive() const noexcept { return (bits >> 56U & 1U) != 0; }
  /// Written since clear_refs; only where `soft_dirty_works()`.
  [[nodiscard]] bool soft_dirty() const noexcept { return (bits >> 55U & 1U) != 0; }
  /// Number of the page frame; 0 when not present or not permitted.
  [[nodiscard]] std::uint64_t frame() const noexcept {
    return present() ? bits & ((std::uint64_t{1} << 55U) - 1) : 0;
  }
};

/// Categories of PAGEMAP_SCAN; a set of them is their sum.
enum class page_category : std::uint64_t {
  write_tracked = 1U << 0U,  ///< userfaultfd with asynchronous write protection is on for it
  written = 1U << 1U,        ///< since it was last write-protected; where not tracked, always
  file = 1U << 2U,
  present = 1U << 3U,
  swapped = 1U << 4U,
  zero_page = 1U << 5U,  ///< the kernel's shared page of zeros
  huge = 1U << 6U,       ///< mapped by a huge page, transparent or hugetlb
  soft_dirty = 1U << 7U,
  guard = 1U << 8U,  ///< Linux 6.15
};

/// Pages in a row that are of the same categories.
struct page_span {
  std::uint64_t start = 0;
  std::uint64_t end = 0;
  std::uint64_t categories = 0;

  [[nodiscard]] bool is(page_category category) const noexcept {
    return (categories & static_cast<std::uint64_t>(category)) != 0;
  }
  bool operator==(const page_span&) const = default;
};

/// Takes the words that PAGEMAP_SCAN writes, and drops what cannot be: empty, reversed or
/// overlapping ranges and ranges outside of [start, end).
[[nodiscard]] ACRE_API std::vector<page_span> checked_spans(std::span<const page_span> spans,
                                                            std::uint64_t start, std::uint64_t end);

/// The pagemap of one process, open.
///
/// Ownership:      sole owner of the file descriptor.
/// Thread-safety:  all members may be called at the same time.
class ACRE_API page_map {
 public:
  page_map(page_map&& other) noexcept : file_(std::exchange(other.file_, -1)) {}
  page_map& operator=(page_map&& other) noexcept {
    std::swap(file_, other.file_);
    return *this;
  }
  page_map(const page_map&) = delete;
  page_map& operator=(const page_map&) = delete;
  ~page_map();

  /// Opens a file such as /proc/self/pagemap; `directory` is what a relative path begins at.
  ///
  /// Fails:  EACCES without permission to look into the process.
  [[nodiscard]] static result<page_map> open(const char* path, int directory = AT_FDCWD) noexcept;

  /// Reads the entries of the pages from `address` on.
  ///
  /// Returns:  how many; fewer than asked for at the end of the address space.
  /// Fails:    ESRCH when the process ended.
  [[nodiscard]] result<std::size_t> read(std::uint64_t address,
                                         std::span<page_entry> into) const noexcept;

  /// The spans of [start, end) whose pages are in any of `categories` (a sum; 0: all that are in
  /// any category at all). Pages in none are left out, so a hole of terabytes costs nothing.
  ///
  /// Fails:  ENOTTY where the kernel has no PAGEMAP_SCAN (before 6.7), ESRCH when the process
  /// ended.
  [[nodiscard]] result<std::vector<page_span>> scan(std::uint64_t start, std::uint64_t end,
                                                    std::uint64_t categories = 0) const;

 private:
  explicit page_map(int file) noexcept : file_(file) {}
  int file_ = -1;
};

/// Flags of a page frame, one word of /proc/kpageflags (linux/kernel-page-flags.h).
enum class frame_flag : std::uint8_t {
  locked = 0,
  error = 1,
  referenced = 2,
  uptodate = 3,
  dirty = 4,
  lru = 5,
  active = 6,
  slab = 7,
  writeback = 8,
  reclaim = 9,
  buddy = 10,
  mmap = 11,
  anon = 12,
  swap_cache = 13,
  swap_backed = 14,
  compound_head = 15,
  compound_tail = 16,
  huge = 17,
  unevictable = 18,
  poisoned = 19,
  no_page = 20,
  ksm = 21,
  thp = 22,
  offline = 23,
  zero_page = 24,
  idle = 25,
  page_table = 26,
};

/// Reads the flags of the frames with these numbers into `flags`, which is as long.
///
/// Fails:  EACCES without CAP_SYS_ADMIN, ENOENT without CONFIG_PROC_PAGE_MONITOR.
[[nodiscard]] ACRE_API result<void> read_frame_flags(std::span<const std::uint64_t> frames,
                                                     std::span<std::uint64_t> flags) noexcept;

/// Whether this kernel really keeps soft-dirty bits: a kernel without CONFIG_MEM_SOFT_DIRTY accepts
/// the request to clear them, and does nothing. Tried once, on a page of our own.
[[nodiscard]] ACRE_API bool soft_dirty_works() noexcept;

}  // namespace acre::os
