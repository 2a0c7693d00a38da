#pragma once

#include <acre/export.h>
#include <acre/result.hpp>

#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>

/// The program break, the end of the data segment (brk(2)), as a source of memory.
///
/// There is one break in a process, moved by whoever calls sbrk: glibc's malloc does, and assumes
/// that nobody takes back what it got. These rules make a second user safe:
///
/// 1. The break is moved up once, by the whole size, through the C library, so that the library
///    knows of it; what is inside is handed out here, without further calls.
/// 2. A page without access is put behind the claim. While it is there the kernel refuses to move
///    the break up for anyone; glibc's malloc then takes its memory with mmap, and its own memory
///    below the claim stays as it is.
/// 3. The break goes back only when it is still where the claim ends. Otherwise the memory's
/// contents
///    are given back and its addresses are left to the end of the process.
/// 4. Only the moment of claiming can meet another user half-way through sbrk. It is allowed when
///    the process has one thread, or when the caller vouches that no other uses the break, which is
///    so where malloc is Acre's.
namespace acre::os {

enum class break_users : std::uint8_t {
  one_thread,      ///< EBUSY when the process has more than one
  caller_vouches,  ///< no other thread calls sbrk or brk, or a malloc that does, while it is
                   ///< claimed
};

/// A claim on the memory at the break, handed out from the bottom up.
///
/// Units:          bytes; the claim is whole pages, what is handed out need not be.
/// Ownership:      sole owner of the claim; given back when the owner dies. A moved-from one is
///                 empty. There is one claim in a process at a time.
/// Thread-safety:  one claim needs outside locking; claiming see above.
/// Fork:           a child has its own break and its own copy of the claim.
class program_break {
 public:
  /// Claims `size_bytes`, rounded up to pages; they become resident as they are touched.
  ///
  /// Fails: EBUSY when there is a claim, or a second thread under `one_thread`; ENOMEM when the
  ///        break cannot move so far: another mapping is in the way, or RLIMIT_DATA, which is
  ///        named; EINVAL for no bytes.
  [[nodiscard]] ACRE_API static result<program_break> claim(
      std::size_t size_bytes, break_users users = break_users::one_thread) noexcept;

  /// Where the break is now. Cost: one system call.
  [[nodiscard]] ACRE_API static std::uintptr_t position() noexcept;

  program_break() noexcept = default;
  program_break(program_break&& other) noexcept { swap(other); }
  program_break& operator=(program_break&& other) noexcept {
    program_break(std::move(other)).swap(*this);
    return *this;
  }
  program_break(const program_break&) = delete;
  program_break& operator=(const program_break&) = delete;
  /// As `release`, which shows failures.
  ~program_break() { (void)release(); }

  /// Hands out the next bytes, which are zeros.
  /// Requires: `alignment` is a power of two.
  /// Fails:    ENOMEM, with what is left, when they do not fit.
  /// Cost:     no system call.
  [[nodiscard]] ACRE_API result<std::span<std::byte>> extend(
      std::size_t size_bytes, std::size_t alignment = alignof(std::max_align_t)) noexcept;

  /// Takes back all that was handed out from `first` on, an address that `extend` gave; whole pages
  /// of it go back to the kernel, and all of it is zeros when it is handed out again.
  /// Fails: EINVAL when the address is not of the part handed out; as madvise.
  [[nodiscard]] ACRE_API result<void> shrink_to(const std::byte* first) noexcept;

  [[nodiscard]] std::size_t size_bytes() const noexcept { return size_; }
  [[nodiscard]] std::size_t used_bytes() const noexcept { return used_; }
  /// The part handed out, with what alignment left between.
  [[nodiscard]] std::span<std::byte> bytes() const noexcept { return {start_, used_}; }

  /// What became of the addresses.
  enum class outcome : std::uint8_t {
    nothing_held,
    given_back,    ///< the break is where it was before the claim
    contents_only  ///< somebody moved the break: rule 3
  };
  /// Gives everything back; nothing is held afterwards.
  /// Fails: as madvise or munmap refuse, after trying everything.
  ACRE_API result<outcome> release() noexcept;

 private:
  [[nodiscard]] static result<program_break> move_up(std::size_t size_bytes) noexcept;
  program_break(std::byte* before, std::byte* start, std::size_t size, bool has_barrier) noexcept
      : before_(before), start_(start), size_(size), has_barrier_(has_barrier) {}
  void swap(program_break& other) noexcept {
    std::swap(before_, other.before_);
    std::swap(start_, other.start_);
    std::swap(size_, other.size_);
    std::swap(used_, other.used_);
    std::swap(has_barrier_, other.has_barrier_);
  }

  std::byte* before_ = nullptr;  // the break before the claim
  std::byte* start_ = nullptr;   // the first whole page
  std::size_t size_ = 0;
  std::size_t used_ = 0;
  bool has_barrier_ = false;  // not where something else lies behind the claim
};

}  // namespace acre::os
