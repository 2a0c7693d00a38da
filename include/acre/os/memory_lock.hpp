#pragma once

#include <acre/export.h>
#include <acre/result.hpp>

#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>

/// Memory that stays in RAM: never swapped, never written to a swap device.
///
/// Units: bytes. Sources: mlock(2), mlockall(2).
namespace acre::os {

/// When locked pages are brought into memory.
enum class lock_time : std::uint8_t {
  now,       ///< all of them before the call returns
  on_fault,  ///< each at its first touch (Linux 4.4); nothing is read that is never used
};

/// Pages of a range, locked for as long as the value lives.
///
/// A page is locked or not, whoever asked: two locks on one page end with the first of them. Pages
/// that are unmapped are unlocked too, so the lock should die before its mapping. A child of fork
/// does not inherit locks.
///
/// Ownership:      a moved-from lock is empty.
/// Thread-safety:  distinct locks on distinct pages are independent.
/// Errors at the end: the destructor cannot report one; `release()` does. The kernel refuses to
///                 unlock only what is no longer mapped, or when it runs out of mappings.
class ACRE_API memory_lock {
 public:
  memory_lock() noexcept = default;

  /// Locks every page that a byte of the range lies in.
  ///
  /// Fails:  ENOMEM, EPERM or EAGAIN; where the limit RLIMIT_MEMLOCK is the cause, the failure says
  ///         so and `failure::value` is the limit in bytes. EINVAL for an empty range. Pages before
  ///         a failing one are unlocked again.
  [[nodiscard]] static result<memory_lock> lock(std::span<const std::byte> range,
                                                lock_time when = lock_time::now) noexcept;

  memory_lock(memory_lock&& other) noexcept : range_(std::exchange(other.range_, {})) {}
  memory_lock& operator=(memory_lock&& other) noexcept {
    memory_lock taken(std::move(other));
    std::swap(range_, taken.range_);
    return *this;
  }
  ~memory_lock();

  /// The locked pages, whole.
  [[nodiscard]] std::span<const std::byte> pages() const noexcept { return range_; }

  /// Unlocks; on failure the lock stays.
  [[nodiscard]] result<void> release() noexcept;

 private:
  std::span<const std::byte> range_;
};

/// What `process_lock` is for.
struct process_lock_options {
  bool present = true;  ///< all that is mapped now
  bool future = true;   ///< all that will be mapped; mappings then fail when the limit is reached
  lock_time when = lock_time::now;
};

/// All memory of the process, locked for as long as the value lives. It ends every other lock of
/// the process with it, so a program has at most one, for its whole life.
class ACRE_API process_lock {
 public:
  process_lock() noexcept = default;

  /// Fails: as `memory_lock::lock`; EINVAL when neither present nor future memory is meant.
  [[nodiscard]] static result<process_lock> lock(const process_lock_options& options = {}) noexcept;

  process_lock(process_lock&& other) noexcept : holds_(std::exchange(other.holds_, false)) {}
  process_lock& operator=(process_lock&& other) noexcept {
    process_lock taken(std::move(other));
    std::swap(holds_, taken.holds_);
    return *this;
  }
  ~process_lock();

  [[nodiscard]] bool holds() const noexcept { return holds_; }

  /// Unlocks all memory of the process, whoever locked it.
  [[nodiscard]] result<void> release() noexcept;

 private:
  bool holds_ = false;
};

/// The soft limit RLIMIT_MEMLOCK in bytes; SIZE_MAX is none. It does not bind a process that has
/// the capability CAP_IPC_LOCK, as root has.
[[nodiscard]] ACRE_API result<std::size_t> memory_lock_limit() noexcept;

/// How much memory of this process is locked (VmLck).
[[nodiscard]] ACRE_API result<std::size_t> locked_memory() noexcept;

}  // namespace acre::os
