#pragma once

#include <acre/export.h>
#include <acre/os/guarded_copy.hpp>
#include <acre/os/mapping.hpp>
#include <acre/result.hpp>

#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>

namespace acre::os {

/// What a mapped file may be used for.
enum class file_access : std::uint8_t {
  read_only,
  read_write,     ///< what is written goes to the file, and to all who map it
  copy_on_write,  ///< what is written stays in this mapping; the file is only read
};

/// Which part of a file: any offset, and by default to the file's end.
struct file_part {
  static constexpr std::size_t to_end = SIZE_MAX;

  std::uint64_t offset_bytes = 0;
  std::size_t size_bytes = to_end;
};

/// How far a sync goes before it returns.
enum class sync_until : std::uint8_t {
  started,  ///< writing has begun; errors show in a later sync
  stored,   ///< on the device, as far as the device tells the truth
};

/// How a file gets longer.
enum class file_space : std::uint8_t {
  sparse,    ///< space is found at the first write to a page; when there is none, that is a SIGBUS
  reserved,  ///< space is found now, or the call fails with ENOSPC
};

/// A file, or a part of one, as memory.
///
/// Units:          bytes; offsets need not be multiples of anything.
/// Ownership:      sole owner of the mapping and of a file descriptor of its own; a moved-from
/// value is
///                 empty and closed.
/// Thread-safety:  distinct values are independent; one value needs outside locking.
/// Invariant:      `data() == nullptr` exactly when `size() == 0`; an open file may be empty.
/// Errors at the end: the destructor cannot report one. What was written is in the file at once for
///                 every reader; whether it reached the device is told by `sync` only, so call that
///                 first where it matters. `close` tells what unmapping and closing say.
/// Truncation:     when somebody makes the file shorter, touching what is gone raises SIGBUS.
///                 `guarded_read` and `guarded_write` give a failure instead.
///
/// Sources: mmap(2), msync(2), sync_file_range(2), fallocate(2).
class ACRE_API file_mapping {
 public:
  file_mapping() noexcept = default;

  /// Opens and maps a file that exists.
  ///
  /// Fails:  with the errno of openat or mmap; EINVAL when the part is not within the file, or when
  ///         no size is given for something that is no regular file.
  [[nodiscard]] static result<file_mapping> open(const char* path, file_access access,
                                                 file_part part = {}) noexcept;

  /// Creates a file of so many zero bytes, readable and writable by its owner alone, and maps it
  /// for writing. Fails: EEXIST when there is one; a file that could not be mapped is removed
  /// again.
  [[nodiscard]] static result<file_mapping> create(const char* path, std::size_t size_bytes,
                                                   file_space space = file_space::sparse) noexcept;

  /// Maps an open file, whose descriptor stays the caller's (it is duplicated).
  [[nodiscard]] static result<file_mapping> of(int descriptor, file_access access,
                                               file_part part = {}) noexcept;

  file_mapping(file_mapping&& other) noexcept
      : pages_(std::move(other.pages_)),
        descriptor_(std::exchange(other.descriptor_, -1)),
        offset_bytes_(std::exchange(other.offset_bytes_, 0)),
        size_bytes_(std::exchange(other.size_bytes_, 0)),
        access_(other.access_) {}
  file_mapping& operator=(file_mapping&& other) noexcept {
    file_mapping taken(std::move(other));
    swap(taken);
    return *this;
  }
  ~file_mapping();

  void swap(file_mapping& other) noexcept;

  [[nodiscard]] bool is_open() const noexcept { return descriptor_ >= 0; }
  [[nodiscard]] bool empty() const noexcept { return size_bytes_ == 0; }
  [[nodiscard]] std::size_t size() const noexcept { return size_bytes_; }
  [[nodiscard]] std::uint64_t offset() const noexcept { return offset_bytes_; }
  [[nodiscard]] file_access access() const noexcept { return access_; }

  /// The first byte of the part. Writing raises SIGSEGV where `access()` is `read_only`.
  [[nodiscard]] std::byte* data() const noexcept;
  [[nodiscard]] std::span<std::byte> bytes() const noexcept { return {data(), size_bytes_}; }

  /// The pages that hold the part and what shares them with it, to ask about residency or backing.
  [[nodiscard]] const mapping& pages() const noexcept { return pages_; }

  /// Copies from the part; what has become unreadable is a failure, not a signal.
  ///
  /// Returns: how many bytes: as many as `to` holds, or to the part's end.
  /// Fails:   EIO when the file has become shorter or cannot be read; EINVAL when `offset_bytes` is
  ///          beyond the part.
  [[nodiscard]] result<std::size_t> guarded_read(std::size_t offset_bytes,
                                                 std::span<std::byte> to) const noexcept;

  /// Copies into the part, likewise; EIO also when no space is left on the device.
  /// Fails: EACCES where `access()` is `read_only`.
  [[nodiscard]] result<std::size_t> guarded_write(std::size_t offset_bytes,
                                                  std::span<const std::byte> from) noexcept;

  /// Has what was written to the range stored, or at least started on its way.
  ///
  /// Fails:  EIO when the device refuses, ENOSPC, EDQUOT; EINVAL where `access()` is
  ///         `copy_on_write`, since nothing goes to the file. Does nothing where it is `read_only`.
  [[nodiscard]] result<void> sync(byte_range where = {},
                                  sync_until until = sync_until::stored) noexcept;

  /// Makes the file end where a part of `size_bytes` ends, and maps that part. With `may_move`
  /// pointers into the mapping are void afterwards.
  ///
  /// Fails:  EACCES but for `read_write`; EINVAL when the file goes on behind the part; ENOSPC;
  /// EOPNOTSUPP when the file system cannot reserve;
  ///         ENOMEM when there is no room to grow, and the file may then be longer already.
  [[nodiscard]] result<void> resize(std::size_t size_bytes,
                                    resize_policy policy = resize_policy::may_move,
                                    file_space space = file_space::sparse) noexcept;

  /// Maps up to where the file ends now, after somebody else has changed its size.
  [[nodiscard]] result<void> follow(resize_policy policy = resize_policy::may_move) noexcept;

  /// Tells the kernel how the pages will be used; see `mapping::advise`. Advice that discards takes
  /// whole pages, which bytes beside the part may share.
  [[nodiscard]] result<void> advise(advice what) noexcept { return pages_.advise(what); }
  [[nodiscard]] result<void> populate(populate_for use) noexcept { return pages_.populate(use); }

  /// Unmaps and closes; the value is empty afterwards whatever comes of it. Syncs nothing.
  [[nodiscard]] result<void> close() noexcept;

 private:
  [[nodiscard]] static result<file_mapping> take(int descriptor, file_access access,
                                                 file_part part) noexcept;
  [[nodiscard]] std::size_t lead_bytes() const noexcept;
  [[nodiscard]] result<void> map_size(std::size_t size_bytes, resize_policy policy) noexcept;
  [[nodiscard]] result<void> set_file_size(std::uint64_t size_bytes, file_space space) noexcept;

  mapping pages_;
  int descriptor_ = -1;
  std::uint64_t offset_bytes_ = 0;
  std::size_t size_bytes_ = 0;
  file_access access_ = file_access::read_only;
};

}  // namespace acre::os
