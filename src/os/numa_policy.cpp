#include <acre/os/numa_policy.hpp>

#include "os/kernel.hpp"

#include <cerrno>

#include <linux/mempolicy.h>

namespace acre::os {

namespace {

// Newer than the headers of Debian 12: Linux 5.15 and 6.9.
constexpr int mode_preferred_many = 5;
constexpr int mode_weighted_interleave = 6;

// The kernel takes one bit less than it is told (get_nodes in its mm/mempolicy.c).
constexpr std::size_t mask_bits = node_set::capacity + 1;

constexpr int kernel_mode(numa_mode mode) noexcept {
  switch (mode) {
    case numa_mode::inherited:
      return MPOL_DEFAULT;
    case numa_mode::local:
      return MPOL_LOCAL;
    case numa_mode::preferred:
      return MPOL_PREFERRED;
    case numa_mode::preferred_many:
      return mode_preferred_many;
    case numa_mode::bind:
      return MPOL_BIND;
    case numa_mode::interleaved:
      return MPOL_INTERLEAVE;
    case numa_mode::weighted_interleaved:
      return mode_weighted_interleave;
  }
  return -1;
}

constexpr unsigned kernel_flags(existing_pages pages) noexcept {
  switch (pages) {
    case existing_pages::stay:
      return 0;
    case existing_pages::move:
      return MPOL_MF_MOVE;
    case existing_pages::must_move:
      return MPOL_MF_MOVE | MPOL_MF_STRICT;
    case existing_pages::move_shared:
      return MPOL_MF_MOVE_ALL;
  }
  return 0;
}

result<numa_policy> from_kernel(int mode, const node_set& nodes) noexcept {
  switch (mode & ~MPOL_MODE_FLAGS) {
    case MPOL_DEFAULT:
      return numa_policy::inherited();
    case MPOL_LOCAL:
      return numa_policy::local();
    case MPOL_PREFERRED:
      // Kernels before 5.14 tell "local" so.
      return nodes.empty() ? numa_policy::local() : numa_policy::preferred(nodes.front());
    case mode_preferred_many:
      return numa_policy::preferred_many(nodes);
    case MPOL_BIND:
      return numa_policy::bind(nodes);
    case MPOL_INTERLEAVE:
      return numa_policy::interleaved(nodes);
    case mode_weighted_interleave:
      return numa_policy::weighted_interleaved(nodes);
    default:
      return std::unexpected(failure{.number = ENOTSUP,
                                     .call = "get_mempolicy",
                                     .why = "the kernel answers with mode %, unknown here",
                                     .value = static_cast<std::uint64_t>(mode)});
  }
}

const unsigned long* mask_of(const numa_policy& policy) noexcept {
  return policy.nodes().empty() ? nullptr : policy.nodes().words().data();
}

std::size_t mask_bits_of(const numa_policy& policy) noexcept {
  return policy.nodes().empty() ? 0 : mask_bits;
}

/// Whether the policy holds by itself where the only node is 0.
bool holds_on_one_node(const numa_policy& policy) noexcept {
  return (policy.nodes() - node_set{0}).empty() && policy.home().value_or(0) == 0;
}

result<void> apply_to_range(std::span<const std::byte> range, const numa_policy& policy,
                            unsigned flags) noexcept {
  auto told = tell(calls::mbind, range.data(), range.size(), kernel_mode(policy.mode()),
                   mask_of(policy), mask_bits_of(policy), flags);
  if (!told && told.error().number == ENOSYS && holds_on_one_node(policy)) return {};
  if (!told || !policy.home()) return told;
  auto home = tell(calls::set_mempolicy_home_node, range.data(), range.size(), *policy.home(), 0);
  if (!home) {
    // The range would be left with a policy that is none of the caller's choices.
    const auto undone = tell(calls::mbind, range.data(), range.size(), MPOL_DEFAULT, nullptr, 0, 0);
    if (!undone) return undone;
  }
  return home;
}

result<void> apply_to_thread(const numa_policy& policy) noexcept {
  if (policy.home()) {
    return std::unexpected(failure{.number = ENOTSUP,
                                   .call = "set_mempolicy_home_node",
                                   .why = "a home node, here %, belongs to a range of memory",
                                   .value = *policy.home()});
  }
  auto told =
      tell(calls::set_mempolicy, kernel_mode(policy.mode()), mask_of(policy), mask_bits_of(policy));
  if (!told && told.error().number == ENOSYS && holds_on_one_node(policy)) return {};
  return told;
}

/// Whether the refusal is about the range, so that no other policy can help.
bool is_about_range(const failure& refused) noexcept {
  return refused.number == EFAULT || refused.number == ENOMEM;
}

/// The first choice that `apply` accepts.
template <class Apply>
result<applied_policy> first_accepted(std::span<const numa_policy> choices, const char* call,
                                      Apply apply) noexcept {
  failure first;
  failure last{.number = EINVAL, .call = call, .why = "no policy was given"};
  for (std::size_t i = 0; i < choices.size(); ++i) {
    const result<void> done = apply(choices[i]);
    if (done) return applied_policy{.policy = choices[i], .choice = i, .refusal = first};
    last = done.error();
    if (i == 0) first = last;
    if (is_about_range(last)) break;
  }
  return std::unexpected(last);
}

result<numa_policy> policy_of(const void* address, unsigned flags) noexcept {
  int mode = 0;
  node_set nodes;
  const auto told =
      tell(calls::get_mempolicy, &mode, nodes.words().data(), mask_bits, address, flags);
  if (!told && told.error().number == ENOSYS) return numa_policy::inherited();
  if (!told) return std::unexpected(told.error());
  return from_kernel(mode, nodes);
}

}  // namespace

result<applied_policy> set_range_policy(std::span<const std::byte> range,
                                        std::span<const numa_policy> choices,
                                        existing_pages pages) noexcept {
  return first_accepted(choices, calls::mbind.name, [&](const numa_policy& policy) {
    return apply_to_range(range, policy, kernel_flags(pages));
  });
}

result<applied_policy> set_thread_policy(std::span<const numa_policy> choices) noexcept {
  return first_accepted(choices, calls::set_mempolicy.name,
                        [](const numa_policy& policy) { return apply_to_thread(policy); });
}

result<numa_policy> range_policy(const void* address) noexcept {
  return policy_of(address, MPOL_F_ADDR);
}

result<numa_policy> thread_policy() noexcept {
  return policy_of(nullptr, 0);
}

result<scoped_thread_policy> scoped_thread_policy::set(
    std::span<const numa_policy> choices) noexcept {
  const auto before = thread_policy();
  if (!before) return std::unexpected(before.error());
  const auto applied = set_thread_policy(choices);
  if (!applied) return std::unexpected(applied.error());
  return scoped_thread_policy(*applied, *before);
}

result<void> scoped_thread_policy::restore() noexcept {
  if (!active_) return {};
  auto done = apply_to_thread(before_);
  if (done) active_ = false;
  return done;
}

}  // namespace acre::os
