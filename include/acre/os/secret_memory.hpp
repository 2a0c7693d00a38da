#pragma once

#include <acre/export.h>
#include <acre/result.hpp>

#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>

/// Memory for keys and passwords.
///
/// What each level keeps away, every one more than the one before:
///
///     guarded   overruns and underruns (pages without access on both sides), core dumps
///               (MADV_DONTDUMP), child processes (MADV_WIPEONFORK: they read zeros, Linux 4.14)
///     locked    the swap device (mlock2)
///     hidden    the kernel itself, and so every other process, a debugger of root's and most of
///               what a flaw in the kernel could leak: the pages are taken out of the kernel's own
///               map (memfd_secret, Linux 5.14; `secretmem.enable=1` before 6.5). A child process
///               does not have these pages at all.
///
/// Nothing here helps against code in the same process that can read memory, or against registers
/// and copies that the program itself makes. A machine with hidden memory in use cannot hibernate.
///
/// For many small secrets: secret_pool.hpp.
namespace acre::os {

enum class secret_level : std::uint8_t { guarded = 1, locked = 2, hidden = 3 };

/// What to try, and what to insist on. The levels between the two are the fallbacks.
struct secret_request {
  secret_level wanted = secret_level::hidden;
  secret_level required = secret_level::locked;  ///< less is a failure
};

enum class secret_access : std::uint8_t { none, read, read_write };

/// One secret on pages of its own, between guard pages.
///
///     |guard|fence .. the secret .. fence|guard|
///
/// The secret ends at the guard page, less what alignment takes (up to 15 bytes); what is left over
/// before and after it is a fence of bytes that are checked when the secret is closed.
///
/// Units:          bytes; the secret starts on a multiple of 16.
/// Ownership:      sole owner; wiped and unmapped when the owner dies; a moved-from one is empty.
/// Thread-safety:  distinct secrets are independent; one needs outside locking.
/// Fork:           a child has zeros in its place, or at level `hidden` no memory: an access
///                 faults. Its copy of the object may be destroyed and is otherwise of no use.
class secret_memory {
 public:
  /// Fails:  as the call refuses that `required` needs, naming RLIMIT_MEMLOCK when it is set;
  ///         EINVAL for no bytes, or a required level above the wanted one.
  /// Cost:   at level `hidden` a page's first touch is some ten times that of ordinary memory.
  [[nodiscard]] ACRE_API static result<secret_memory> create(std::size_t size_bytes,
                                                             secret_request request = {}) noexcept;

  secret_memory() noexcept = default;
  secret_memory(secret_memory&& other) noexcept { swap(other); }
  secret_memory& operator=(secret_memory&& other) noexcept {
    secret_memory(std::move(other)).swap(*this);
    return *this;
  }
  secret_memory(const secret_memory&) = delete;
  secret_memory& operator=(const secret_memory&) = delete;
  /// As `close`; ends the program when the fence is damaged, since no memory is to be trusted then,
  /// and when the secret could not be wiped.
  ACRE_API ~secret_memory();

  [[nodiscard]] std::span<std::byte> bytes() noexcept { return {data_, size_}; }
  [[nodiscard]] std::span<const std::byte> bytes() const noexcept { return {data_, size_}; }
  /// The level that was reached. Requires: not empty.
  [[nodiscard]] secret_level level() const noexcept { return level_; }

  /// What the program may do with the bytes; an access beyond it faults.
  /// Fails: as mprotect.
  [[nodiscard]] ACRE_API result<void> allow(secret_access access) noexcept;

  /// Wipes and unmaps; nothing happens a second time.
  /// Fails: EOVERFLOW when the fence was written to: the secret is wiped and unmapped all the same.
  ///        As mprotect refuses, with the secret as it was; as munmap refuses, with the secret
  ///        wiped and its pages there, to be tried again.
  ACRE_API result<void> close() noexcept;

 private:
  void swap(secret_memory& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    std::swap(pages_, other.pages_);
    std::swap(pages_bytes_, other.pages_bytes_);
    std::swap(generation_, other.generation_);
    std::swap(level_, other.level_);
  }

  std::byte* data_ = nullptr;
  std::size_t size_ = 0;
  std::byte* pages_ = nullptr;
  std::size_t pages_bytes_ = 0;
  std::uint64_t generation_ = 0;  // of the process that made it
  secret_level level_ = secret_level::guarded;
};

}  // namespace acre::os
