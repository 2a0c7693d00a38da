#pragma once

#include <acre/export.h>
#include <acre/os/numa.hpp>
#include <acre/os/numa_policy.hpp>
#include <acre/result.hpp>

#include <array>
#include <cstddef>
#include <span>

#include <sys/types.h>

/// Where pages are, whether that is where they were asked to be, and moving them.
namespace acre::os {

/// The nodes of a range's pages at one moment.
///
/// Units: pages of `page_size()`; a huge page counts as the small ones it stands for.
class placement {
 public:
  /// Asks the kernel for every page of the range (move_pages(2)).
  ///
  /// Requires:  `range` starts on a page.
  /// Fails:     as move_pages; EPERM where the process may not.
  /// Cost:      one system call for 512 pages.
  [[nodiscard]] ACRE_API static result<placement> of(std::span<const std::byte> range) noexcept;

  [[nodiscard]] std::size_t pages() const noexcept { return resident_ + absent_; }
  /// Pages in memory and on a node.
  [[nodiscard]] std::size_t resident() const noexcept { return resident_; }
  /// Pages never touched, swapped out, or standing for zeros.
  [[nodiscard]] std::size_t absent() const noexcept { return absent_; }
  [[nodiscard]] std::size_t on(unsigned node) const noexcept {
    return node < counts_.size() ? counts_[node] : 0;
  }
  [[nodiscard]] ACRE_API node_set nodes() const noexcept;

  /// The part of the resident pages that is on the nodes, from 0 to 1; 0 when none is resident.
  [[nodiscard]] ACRE_API double fraction_on(const node_set& nodes) const noexcept;

  /// The part of the resident pages that is where `policy` wants it, from 0 to 1; 0 when none is
  /// resident. Interleaving is held to its proportions: with all pages on one of two nodes, half of
  /// them are where they should be. `local` means the node the calling thread runs on, and
  /// `inherited` wants nothing.
  [[nodiscard]] ACRE_API double fraction_as_asked(const numa_policy& policy,
                                                  const numa_topology& topology) const noexcept;

 private:
  void count(int status) noexcept;
  [[nodiscard]] double fraction_in_turn(const node_set& nodes, const numa_topology& topology,
                                        bool weighted) const noexcept;

  std::array<std::size_t, node_set::capacity> counts_{};
  std::size_t resident_ = 0;
  std::size_t absent_ = 0;
};

/// What became of a migration.
struct migration {
  placement after;
  std::size_t refused = 0;  ///< resident pages that are not on the node
  /// The first reason for a page, such as EBUSY (in use for I/O) or ENOMEM (the node is full);
  /// `number` is 0 when no page was refused.
  failure refusal;
};

/// Moves the range's resident pages to a node; pages that follow are a matter of its policy.
///
/// Requires:  `range` starts on a page.
/// Returns:   what is where afterwards; pages that could not be moved are no failure.
/// Fails:     ENODEV for a node that is not online, EACCES for one that is not allowed.
[[nodiscard]] ACRE_API result<migration> migrate(std::span<const std::byte> range,
                                                 unsigned node) noexcept;

/// Moves all pages of a process that are on `from` to the nodes `to`, keeping their relative order
/// (migrate_pages(2)). `process` 0 is this one; another needs its user's or root's rights.
/// Returns: how many pages could not be moved.
[[nodiscard]] ACRE_API result<std::size_t> migrate_process(pid_t process, const node_set& from,
                                                           const node_set& to) noexcept;

}  // namespace acre::os
