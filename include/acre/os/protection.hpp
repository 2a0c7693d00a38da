#pragma once

#include <acre/export.h>
#include <acre/os/mapping.hpp>
#include <acre/result.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <utility>

/// Memory that is closed but for marked stretches of the program.
///
/// Sources: mprotect(2), pkeys(7).
namespace acre::os {

/// What closes the pages.
enum class protection_means : std::uint8_t {
  /// A memory protection key of the processor: opening is an instruction, and opens the pages for
  /// the
  /// opening thread alone. A process has 15 keys. A thread that is started while the pages are open
  /// inherits that; a signal handler finds them closed.
  key,
  /// mprotect: opening is a system call, and opens the pages for all threads.
  pages,
};

/// Which means `protection::over` takes.
enum class protection_choice : std::uint8_t {
  best,        ///< a key where it can be had and the pages rest without access, or else pages
  key_only,    ///< fail without a key
  pages_only,  ///< never a key
};

/// Whether processor and kernel have protection keys and one is free now.
/// Cost: two system calls.
[[nodiscard]] ACRE_API bool protection_keys_work() noexcept;

/// Pages that rest closed and are opened for writing in scopes.
///
///     auto guarded = protection::over(table.bytes(), page_access::read);
///     …
///     {
///       auto open = guarded->open();
///       table.bytes()[0] = …;
///     }                         // closed again
///
/// Scopes may nest and overlap; the pages close with the last of them: the thread's last for a key,
/// the last of all threads for pages. The value and its scopes must not outlive the pages.
///
/// Ownership:      of the key and of the pages' protection, not of the pages; a moved-from value is
///                 empty.
/// Thread-safety:  `open` and the end of scopes may happen in any thread; a scope must end in the
///                 thread that opened it.
/// Errors at the end: a scope that cannot close its pages leaves them open; `scope::close` tells.
///                 The destructor gives the pages read and write access back; `release` tells
///                 whether that went well.
class ACRE_API protection {
 public:
  class scope;

  protection() noexcept;

  /// Closes the pages to what `resting` allows: `none` or `read`. A key can close to `none` only:
  /// threads that run already have no access through a new key, and nobody can give it to them.
  ///
  /// Requires: whole pages that are readable and writable, and of which this is the only value.
  /// Fails:    EINVAL when `range` is not whole pages or `resting` is something else; EOPNOTSUPP
  ///           when a key is demanded and processor or kernel have none or `resting` is `read`;
  ///           ENOSPC when all are taken; with the errno of mprotect.
  [[nodiscard]] static result<protection> over(
      std::span<std::byte> range, page_access resting,
      protection_choice choice = protection_choice::best) noexcept;

  protection(protection&&) noexcept;
  protection& operator=(protection&&) noexcept;
  ~protection();

  [[nodiscard]] bool empty() const noexcept { return state_ == nullptr; }

  /// What closes the pages. Requires: not empty.
  [[nodiscard]] protection_means means() const noexcept;

  /// Opens the pages for reading and writing until the scope ends.
  /// Fails: with the errno of mprotect; EINVAL when the value is empty.
  [[nodiscard]] result<scope> open() noexcept;

  /// Gives read and write access back and leaves the value empty. Requires: no open scope.
  [[nodiscard]] result<void> release() noexcept;

 private:
  struct state;
  std::unique_ptr<state> state_;
};

/// Pages that are open; they close with it. A moved-from scope does nothing.
class ACRE_API protection::scope {
 public:
  scope(scope&& other) noexcept : state_(std::exchange(other.state_, nullptr)) {}
  scope& operator=(scope&&) = delete;
  ~scope();

  /// Closes the pages now. On failure they stay open, and the destructor tries again.
  [[nodiscard]] result<void> close() noexcept;

 private:
  friend class protection;
  explicit scope(state* of) noexcept : state_(of) {}

  state* state_;
};

}  // namespace acre::os
