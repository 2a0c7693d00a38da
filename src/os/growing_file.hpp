#pragma once

#include <acre/result.hpp>

#include "os/unique_descriptor.hpp"

#include <cstddef>
#include <cstdint>
#include <span>

#include <sys/types.h>

/// A file that several processes map whole, up to the size that it may reach one day.
///
/// Linux lets a mapping reach beyond a file's end; pages there raise SIGBUS until the file has
/// grown over them, and are then usable in every process, without a call and at their old place. So
/// growth moves nothing and need not be announced.
namespace acre::os {

/// A growing file in memory, with a page of this process's own before it.
///
///     |own page|the file ...|
struct growing_view {
  std::byte* own_page = nullptr;
  std::byte* file = nullptr;
  std::size_t file_bytes = 0;  ///< of the view; the file may end before
};

class growing_file {
 public:
  /// A file without a name in the directory (O_TMPFILE, open(2)): killed now, it leaves nothing.
  /// Fails: EOPNOTSUPP where the file system cannot do this.
  [[nodiscard]] static result<growing_file> unnamed_in(const char* directory,
                                                       mode_t permissions) noexcept;
  /// One in memory, with a label for /proc (memfd_create(2)).
  [[nodiscard]] static result<growing_file> in_memory(const char* label) noexcept;
  [[nodiscard]] static result<growing_file> open(const char* path) noexcept;
  /// The file of a descriptor, which stays the caller's.
  [[nodiscard]] static result<growing_file> of_descriptor(int descriptor) noexcept;

  /// Gives the file its name in one step. Fails: EEXIST when it is taken.
  [[nodiscard]] result<void> publish(const char* path) const noexcept;

  /// Where the file ends. Fails: EBADMSG when it is no ordinary file.
  [[nodiscard]] result<std::uint64_t> size_bytes() const noexcept;
  /// Returns: how many bytes there were.
  [[nodiscard]] result<std::size_t> read(std::span<std::byte> to) const noexcept;

  /// Sets space aside for the range, so that no access there can fail, and moves the end there.
  /// Fails: ENOSPC; EOPNOTSUPP where the file system cannot.
  [[nodiscard]] result<void> reserve(std::uint64_t offset_bytes, std::uint64_t size_bytes) noexcept;

  /// Maps the file's first bytes, which may reach beyond its end.
  ///
  /// `address` is where the own page goes, or null for anywhere.
  /// Fails: EEXIST when something is at the address; ENOMEM.
  [[nodiscard]] result<growing_view> map(std::size_t file_bytes, void* address) const noexcept;
  [[nodiscard]] static result<void> unmap(const growing_view& view) noexcept;

  /// Takes the file for this user alone, if it has no other; a user is what one `growing_file` and
  /// its copies by fork are. The kernel ends the claim with the user (F_OFD_SETLK in fcntl(2)).
  /// Returns: whether it did.
  [[nodiscard]] result<bool> try_use_alone() noexcept;
  /// Becomes one of several users, after waiting for one that has it alone.
  [[nodiscard]] result<void> use_with_others() noexcept;
  [[nodiscard]] result<void> stop_using() noexcept;

  [[nodiscard]] int descriptor() const noexcept { return descriptor_.get(); }

 private:
  explicit growing_file(unique_descriptor descriptor) noexcept
      : descriptor_(std::move(descriptor)) {}

  unique_descriptor descriptor_;
};

/// Takes the name away. Fails: ENOENT when there is none.
[[nodiscard]] result<void> remove_file(const char* path) noexcept;

}  // namespace acre::os
