#pragma once

#include <acre/export.h>
#include <acre/os/index_set.hpp>
#include <acre/result.hpp>

#include <cstddef>
#include <initializer_list>
#include <optional>
#include <span>
#include <utility>

/// Where new pages go: policies for a range of memory and for a thread (mempolicy in numa(7)).
namespace acre::os {

enum class numa_mode : unsigned char {
  inherited,             ///< a range: the thread's policy; a thread: the system's, which is `local`
  local,                 ///< on the node of the processor that touches the page first
  preferred,             ///< on one node, elsewhere when that is full
  preferred_many,        ///< on one of the nodes, elsewhere when they are full (Linux 5.15)
  bind,                  ///< on the nodes and nowhere else
  interleaved,           ///< on the nodes in turn, page by page
  weighted_interleaved,  ///< in turn, as many pages each as its weight says (Linux 6.9)
};

/// A policy as a value.
class numa_policy {
 public:
  [[nodiscard]] static constexpr numa_policy inherited() noexcept { return {}; }
  [[nodiscard]] static constexpr numa_policy local() noexcept {
    return numa_policy(numa_mode::local, {});
  }
  [[nodiscard]] static constexpr numa_policy preferred(unsigned node) noexcept {
    return numa_policy(numa_mode::preferred, {node});
  }
  [[nodiscard]] static constexpr numa_policy preferred_many(const node_set& nodes) noexcept {
    return numa_policy(numa_mode::preferred_many, nodes);
  }
  [[nodiscard]] static constexpr numa_policy bind(const node_set& nodes) noexcept {
    return numa_policy(numa_mode::bind, nodes);
  }
  [[nodiscard]] static constexpr numa_policy interleaved(const node_set& nodes) noexcept {
    return numa_policy(numa_mode::interleaved, nodes);
  }
  [[nodiscard]] static constexpr numa_policy weighted_interleaved(const node_set& nodes) noexcept {
    return numa_policy(numa_mode::weighted_interleaved, nodes);
  }

  /// The same, with pages taken from the allowed nodes nearest to `node` first (Linux 5.17): for a
  /// range with `bind` or `preferred_many`, and refused elsewhere.
  [[nodiscard]] constexpr numa_policy with_home(unsigned node) const noexcept {
    numa_policy policy = *this;
    policy.home_ = node;
    return policy;
  }

  [[nodiscard]] constexpr numa_mode mode() const noexcept { return mode_; }
  [[nodiscard]] constexpr const node_set& nodes() const noexcept { return nodes_; }
  [[nodiscard]] constexpr std::optional<unsigned> home() const noexcept { return home_; }

  friend constexpr bool operator==(const numa_policy&, const numa_policy&) noexcept = default;

 private:
  constexpr numa_policy() noexcept = default;
  constexpr numa_policy(numa_mode mode, const node_set& nodes) noexcept
      : mode_(mode), nodes_(nodes) {}

  numa_mode mode_ = numa_mode::inherited;
  node_set nodes_;
  std::optional<unsigned> home_;
};

/// Which of the caller's choices the kernel took.
struct applied_policy {
  numa_policy policy = numa_policy::inherited();
  std::size_t choice = 0;  ///< its place among the choices
  failure refusal;         ///< why the first choice was refused; `number` is 0 when it was not

  [[nodiscard]] bool is_first_choice() const noexcept { return choice == 0; }
};

/// What happens to pages that the range has already.
enum class existing_pages : unsigned char {
  stay,         ///< only new pages follow the policy
  move,         ///< pages that are only this process's are moved where the kernel can
  must_move,    ///< the same, and EIO when one is not where the policy wants it
  move_shared,  ///< pages shared with other processes too; needs CAP_SYS_NICE
};

/// Sets the policy of a range of memory: the first of `choices` that the kernel accepts. There is
/// no fallback but those that the caller names.
///
/// Requires:  `range` starts on a page; it is taken to the end of its last page.
/// Returns:   which choice it was, and why the first was refused.
/// Fails:     as the last choice was refused: EINVAL for a mode that the kernel lacks, a node that
///            is not online or not allowed, or no choice at all; EIO under `must_move`; EPERM where
///            the process may not. At once with EFAULT or ENOMEM, when no choice could help. After
///            a failure the range has the policy it had, or, when a home node was refused, the
///            inherited one.
/// Note:      a kernel without NUMA has one node, 0; there a policy that names no other node holds
///            by itself and counts as accepted.
[[nodiscard]] ACRE_API result<applied_policy> set_range_policy(
    std::span<const std::byte> range, std::span<const numa_policy> choices,
    existing_pages pages = existing_pages::move) noexcept;

[[nodiscard]] inline result<applied_policy> set_range_policy(
    std::span<const std::byte> range, std::initializer_list<numa_policy> choices,
    existing_pages pages = existing_pages::move) noexcept {
  return set_range_policy(range, std::span(choices.begin(), choices.size()), pages);
}

/// Sets the calling thread's policy, which its ranges without one follow, and which its new threads
/// and child processes start with.
/// Fails: as `set_range_policy`; a home node is always refused, with ENOTSUP.
[[nodiscard]] ACRE_API result<applied_policy> set_thread_policy(
    std::span<const numa_policy> choices) noexcept;

[[nodiscard]] inline result<applied_policy> set_thread_policy(
    std::initializer_list<numa_policy> choices) noexcept {
  return set_thread_policy(std::span(choices.begin(), choices.size()));
}

/// The policy in force for the page at `address`; the kernel does not tell home nodes.
/// Fails: EFAULT when nothing is mapped there.
[[nodiscard]] ACRE_API result<numa_policy> range_policy(const void* address) noexcept;

/// The calling thread's policy.
[[nodiscard]] ACRE_API result<numa_policy> thread_policy() noexcept;

/// A thread's policy for the length of a scope.
///
/// Thread-safety:  of the thread that made it, and destroyed by the same one.
class scoped_thread_policy {
 public:
  /// Fails: as `set_thread_policy`; nothing has changed then.
  [[nodiscard]] ACRE_API static result<scoped_thread_policy> set(
      std::span<const numa_policy> choices) noexcept;
  [[nodiscard]] static result<scoped_thread_policy> set(
      std::initializer_list<numa_policy> choices) noexcept {
    return set(std::span(choices.begin(), choices.size()));
  }

  scoped_thread_policy(scoped_thread_policy&& other) noexcept;
  scoped_thread_policy& operator=(scoped_thread_policy&& other) noexcept;
  scoped_thread_policy(const scoped_thread_policy&) = delete;
  scoped_thread_policy& operator=(const scoped_thread_policy&) = delete;
  /// Restores the policy; call `restore` to see whether the kernel agreed.
  ~scoped_thread_policy();

  [[nodiscard]] const applied_policy& applied() const noexcept { return applied_; }

  /// Puts the former policy back; nothing happens a second time.
  ACRE_API result<void> restore() noexcept;

 private:
  scoped_thread_policy(const applied_policy& applied, const numa_policy& before) noexcept
      : applied_(applied), before_(before), active_(true) {}

  applied_policy applied_;
  numa_policy before_ = numa_policy::inherited();
  bool active_ = false;
};

inline scoped_thread_policy::scoped_thread_policy(scoped_thread_policy&& other) noexcept
    : applied_(other.applied_),
      before_(other.before_),
      active_(std::exchange(other.active_, false)) {}

inline scoped_thread_policy& scoped_thread_policy::operator=(
    scoped_thread_policy&& other) noexcept {
  if (this != &other) {
    (void)restore();
    applied_ = other.applied_;
    before_ = other.before_;
    active_ = std::exchange(other.active_, false);
  }
  return *this;
}

inline scoped_thread_policy::~scoped_thread_policy() {
  (void)restore();
}

}  // namespace acre::os
