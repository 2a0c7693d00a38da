#pragma once

#include <acre/export.h>
#include <acre/os/advice.hpp>
#include <acre/result.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <utility>
#include <vector>

namespace acre::os {

/// What the program may do with pages. There is no state that is both writable and executable.
enum class page_access : std::uint8_t { none, read, read_write, read_execute };

/// Who sees what is written.
enum class page_sharing : std::uint8_t {
  own,        ///< this process; a child of fork gets a copy when either writes (MAP_PRIVATE)
  shared,     ///< every process that maps the same pages, children of fork included (MAP_SHARED)
  droppable,  ///< this process; the kernel may turn pages to zero when memory is short (Linux 6.11)
};

/// What stands behind a mapping's addresses.
enum class page_kind : std::uint8_t {
  ordinary,
  transparent_huge,  ///< huge pages where the kernel finds them, ordinary ones elsewhere
  huge_2_mib,        ///< from the pool of reserved huge pages (hugetlb), or not at all
  huge_1_gib,
};

/// Kinds of pages in the order in which they are tried.
///
///     mapping_options{.pages = {page_kind::huge_1_gib, page_kind::huge_2_mib}}
///
/// tries two sizes and fails when neither is to be had: a fallback is taken only when it is named.
class page_order {
 public:
  constexpr page_order(page_kind only) noexcept
      : kinds_{only}, count_(1) {}  // NOLINT(*-explicit-*)
  /// Kinds beyond the fourth are left out: there are four.
  constexpr page_order(std::initializer_list<page_kind> kinds) noexcept {
    for (const page_kind kind : kinds) {
      if (count_ < kinds_.size()) kinds_[count_++] = kind;
    }
  }

  [[nodiscard]] constexpr const page_kind* begin() const noexcept { return kinds_.data(); }
  [[nodiscard]] constexpr const page_kind* end() const noexcept { return kinds_.data() + count_; }

 private:
  std::array<page_kind, 4> kinds_{};
  std::size_t count_ = 0;
};

/// A part of a mapping, in bytes from its start; by default all of it.
struct byte_range {
  static constexpr std::size_t to_end = SIZE_MAX;

  std::size_t offset_bytes = 0;
  std::size_t size_bytes = to_end;

  friend bool operator==(const byte_range&, const byte_range&) = default;
};

/// How a mapping is made. There is no option to populate it: MAP_POPULATE hides what goes wrong,
/// and `mapping::populate` tells it.
struct mapping_options {
  page_access access = page_access::read_write;
  page_sharing sharing = page_sharing::own;
  page_order pages = page_kind::ordinary;
  std::size_t alignment_bytes = 0;  ///< a power of two; 0 is that of the pages
  /// Whether the kernel counts the memory against the commit limit at once (vm.overcommit_memory 0
  /// and 2), or not until it is touched (MAP_NORESERVE).
  bool charged = true;
};

/// What `mapping::resize` may do.
enum class resize_policy : std::uint8_t {
  may_move,   ///< another address is fine; all pointers into the mapping are then void
  must_stay,  ///< fail with ENOMEM where there is no room behind it
};

/// What `mapping::populate` makes pages ready for.
enum class populate_for : std::uint8_t { reading, writing };

/// How guard pages are made.
enum class guard_kind : std::uint8_t {
  marker,      ///< in the page table (MADV_GUARD_INSTALL, Linux 6.13): the mapping stays one piece
  protection,  ///< by mprotect: each guard splits the mapping, of which a process has about 65 530
};

/// What is behind a part of a mapping now, in bytes.
struct page_backing {
  std::size_t present_bytes = 0;  ///< in memory and mapped; the others are parts of it
  std::size_t huge_bytes = 0;     ///< in huge pages, transparent or reserved
  std::size_t file_bytes = 0;     ///< pages of a file or of shared memory
  std::size_t zero_bytes = 0;     ///< the kernel's shared zero page: read, but never written
  std::size_t swapped_bytes = 0;  ///< in swap, so not present
};

/// A range of address space with one owner; unmapped when the owner dies.
///
/// Units:          bytes; sizes are rounded up to whole pages, and offsets are multiples of
///                 `granule()`.
/// Ownership:      sole owner of `[data(), data() + size())`; a moved-from mapping is empty.
/// Thread-safety:  distinct mappings are independent; one mapping needs outside locking.
/// Invariant:      `data() == nullptr` exactly when `size() == 0`.
/// Fails:          every member with EINVAL and a reason where the mapping is empty or the range is
///                 not within it; with the kernel's errno otherwise. A failed call has changed
///                 nothing, unless it says so.
/// Errors at the end: the destructor cannot report one; `release()` does. The kernel refuses to
///                 unmap a sealed mapping (EPERM), and rarely, when adjoining mappings are one for
///                 it and splitting them exceeds vm.max_map_count (ENOMEM); the memory then stays.
///
/// Sources: mmap(2), mremap(2), madvise(2), process_madvise(2), mprotect(2), mincore(2),
/// ioctl_userfaultfd(2), PAGEMAP_SCAN in the kernel's Documentation/admin-guide/mm/pagemap.rst.
class ACRE_API mapping {
 public:
  mapping() noexcept = default;

  /// Memory that reads as zero.
  ///
  /// Fails:  EINVAL for a size of 0, an alignment that is none or an empty `pages`; ENOMEM; with
  /// the
  ///         last kind's failure when no kind of `pages` is to be had.
  /// Cost:   one system call; two for transparent huge pages, three more when the kernel does not
  ///         align by itself (as it does since 6.7 from 2 MiB on).
  [[nodiscard]] static result<mapping> anonymous(std::size_t size_bytes,
                                                 const mapping_options& options = {}) noexcept;

  /// Address space alone, for `commit`: no access, no memory, nothing charged.
  [[nodiscard]] static result<mapping> reserve(std::size_t size_bytes,
                                               std::size_t alignment_bytes = 0) noexcept;

  /// Pages of an open file, from a multiple of the page size; `file_mapping` takes any offset.
  ///
  /// The descriptor may be closed afterwards. Access beyond the file's end raises SIGBUS; see
  /// `guarded_copy`. Of `options.pages` only ordinary ones can be had, but of a file in hugetlbfs.
  [[nodiscard]] static result<mapping> file(int descriptor, std::uint64_t offset_bytes,
                                            std::size_t size_bytes,
                                            const mapping_options& options = {}) noexcept;

  /// Takes over what was mapped elsewhere, such as by `detach`.
  /// Requires: whole pages of `kind` that nothing else unmaps.
  [[nodiscard]] static mapping adopt(std::span<std::byte> pages,
                                     page_kind kind = page_kind::ordinary) noexcept;

  mapping(mapping&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)),
        size_bytes_(std::exchange(other.size_bytes_, 0)),
        write_tracker_(std::exchange(other.write_tracker_, -1)),
        kind_(other.kind_),
        sharing_(other.sharing_),
        is_file_(other.is_file_) {}
  mapping& operator=(mapping&& other) noexcept {
    mapping taken(std::move(other));
    swap(taken);
    return *this;
  }
  ~mapping();

  void swap(mapping& other) noexcept;

  [[nodiscard]] std::byte* data() const noexcept { return data_; }
  [[nodiscard]] std::size_t size() const noexcept { return size_bytes_; }
  [[nodiscard]] bool empty() const noexcept { return size_bytes_ == 0; }
  [[nodiscard]] std::span<std::byte> bytes() const noexcept { return {data_, size_bytes_}; }

  /// The kind of pages that was got, of those that were asked for. Whether the kernel found huge
  /// ones for a transparent mapping is told by `backing()`.
  [[nodiscard]] page_kind kind() const noexcept { return kind_; }
  [[nodiscard]] page_sharing sharing() const noexcept { return sharing_; }
  [[nodiscard]] bool is_file() const noexcept { return is_file_; }

  /// What offsets and sizes of ranges are multiples of: the page size of reserved huge pages, or
  /// the ordinary one.
  [[nodiscard]] std::size_t granule() const noexcept;

  /// Gives the address space back and leaves the mapping empty; on failure it stays as it is.
  [[nodiscard]] result<void> release() noexcept;

  /// Leaves the mapping empty and the pages to the caller. Ends write tracking.
  [[nodiscard]] std::span<std::byte> detach() noexcept;

  /// Makes reserved address space usable.
  /// Fails: ENOMEM when the commit limit or the count of mappings is reached.
  [[nodiscard]] result<void> commit(byte_range where = {},
                                    page_access access = page_access::read_write) noexcept;

  /// Gives the contents and the charge back and keeps the address space, without access; after
  /// another `commit` it reads as zero. Locks, advice and guards in the range end.
  ///
  /// Fails:  EOPNOTSUPP for a file, shared memory or reserved huge pages.
  [[nodiscard]] result<void> decommit(byte_range where = {}) noexcept;

  /// Fails:  EACCES when the file was not opened for it; ENOMEM when splitting the mapping exceeds
  ///         vm.max_map_count. A range that has several states may then be changed in part.
  [[nodiscard]] result<void> protect(page_access access, byte_range where = {}) noexcept;

  /// Fails:  EOPNOTSUPP where this kernel lacks the advice, with the version that brought it;
  /// EINVAL
  ///         where it does not suit the mapping, EPERM for what needs rights.
  [[nodiscard]] result<void> advise(advice what, byte_range where = {}) noexcept;

  /// Changes the size, rounded up to pages, without copying: the page tables move. New bytes of an
  /// anonymous mapping read as zero. Ends write tracking.
  ///
  /// Fails:  ENOMEM, and with `must_stay` when what is behind the mapping is taken; EFAULT when
  ///         parts of it differ in protection or advice (they are several mappings for the kernel).
  [[nodiscard]] result<void> resize(std::size_t size_bytes, resize_policy policy) noexcept;

  /// Has pages in memory now instead of at the first touch (Linux 5.14).
  ///
  /// Fails:  EFAULT beyond the end of a file; EINVAL where the access is not allowed; ENOMEM;
  ///         EHWPOISON for a broken page. Pages before the failing one are populated.
  [[nodiscard]] result<void> populate(populate_for use, byte_range where = {}) noexcept;

  /// Whether each ordinary page is in memory, so that touching it needs no disk: one byte a page, 0
  /// or 1. Of a file that the process may neither write nor own, all pages count as present.
  /// Throws: `std::bad_alloc`.
  [[nodiscard]] result<std::vector<std::uint8_t>> residency(byte_range where = {}) const;

  /// What is really behind the pages.
  /// Fails: EOPNOTSUPP before Linux 6.7, which brought PAGEMAP_SCAN.
  [[nodiscard]] result<page_backing> backing(byte_range where = {}) const noexcept;

  /// Starts to note which pages are written, all of them unwritten as of now.
  ///
  /// Each first write to a page costs a fault; reads cost nothing, and no signal or thread is
  /// involved (userfaultfd in asynchronous write-protect mode). A child of fork is not tracked.
  /// Fails: EOPNOTSUPP before Linux 6.7; EBUSY when tracking has started.
  [[nodiscard]] result<void> track_writes() noexcept;

  /// The pages written since `track_writes` or the last `dirty_since`, as runs in ascending order,
  /// and counts them as unwritten from now on. A write between is in this answer or the next.
  ///
  /// Fails: EINVAL when nothing is tracked.
  /// Throws: `std::bad_alloc`; the runs found are then lost.
  [[nodiscard]] result<std::vector<byte_range>> dirty_since();

  /// Makes the range's addresses, protection and existence final until the process ends (Linux
  /// 6.10): protect, resize, release and advice that discards fail with EPERM from then on.
  /// Fails: EOPNOTSUPP before.
  [[nodiscard]] result<void> seal(byte_range where = {}) noexcept;

  /// Makes pages whose touch raises SIGSEGV; their contents are lost.
  ///
  /// Returns: how it was done: by markers where kernel and mapping allow it, or by protection.
  [[nodiscard]] result<guard_kind> guard(byte_range where) noexcept;

  /// Undoes `guard`, given what it returned; the pages of private memory read as zero. `access`
  /// matters for guards by protection only: what it was.
  [[nodiscard]] result<void> unguard(byte_range where, guard_kind how,
                                     page_access access = page_access::read_write) noexcept;

  /// `guard` for many places, in any order, with one system call for every 256 of them (Linux 6.15;
  /// one for each before). Places that lie in one another cost more and are otherwise harmless.
  ///
  /// Returns: how it was done at all of them: where one cannot have a marker, by protection.
  /// Fails:   having changed nothing where a place is not within the mapping; else some places may
  ///          be guarded, and the contents of all may be gone.
  [[nodiscard]] result<guard_kind> guard_all(std::span<const byte_range> places) noexcept;

  /// Undoes `guard_all`, as `unguard` does at one place.
  /// Fails: some places may be open again.
  [[nodiscard]] result<void> unguard_all(std::span<const byte_range> places, guard_kind how,
                                         page_access access = page_access::read_write) noexcept;

 private:
  void end_write_tracking() noexcept;

  std::byte* data_ = nullptr;
  std::size_t size_bytes_ = 0;
  int write_tracker_ = -1;  // the userfaultfd, or -1
  page_kind kind_ = page_kind::ordinary;
  page_sharing sharing_ = page_sharing::own;
  bool is_file_ = false;
};

}  // namespace acre::os
