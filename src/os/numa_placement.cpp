#include <acre/os/numa_placement.hpp>
#include <acre/os/page.hpp>

#include "os/kernel.hpp"

#include <algorithm>
#include <cerrno>

#include <linux/mempolicy.h>

namespace acre::os {

namespace {

constexpr std::size_t batch_pages = 512;

/// A part of a range as move_pages takes it.
struct page_batch {
  std::array<const void*, batch_pages> addresses;
  std::array<int, batch_pages> nodes;
  std::array<int, batch_pages> status;
  std::size_t count = 0;
};

/// Calls `use` with each batch of the range until it fails.
template <class Use>
result<void> for_each_batch(std::span<const std::byte> range, Use use) noexcept {
  const std::size_t pages = (range.size() + page_size() - 1) / page_size();
  page_batch batch;
  for (std::size_t at = 0; at < pages; at += batch.count) {
    batch.count = std::min(batch_pages, pages - at);
    for (std::size_t i = 0; i < batch.count; ++i) {
      batch.addresses[i] = range.data() + (at + i) * page_size();
    }
    // What the kernel does not come to is neither on a node nor absent.
    batch.status.fill(-EAGAIN);
    if (auto done = use(batch); !done) return done;
  }
  return {};
}

/// On a kernel without NUMA: node 0 for pages in memory, as move_pages would say it.
result<void> ask_residency(page_batch& batch) noexcept {
  std::array<unsigned char, batch_pages> residency{};
  auto told = tell(calls::mincore, batch.addresses[0], batch.count * page_size(), residency.data());
  for (std::size_t i = 0; told && i < batch.count; ++i) {
    batch.status[i] = (residency[i] & 1U) != 0 ? 0 : -ENOENT;
  }
  return told;
}

result<void> ask_nodes(page_batch& batch) noexcept {
  auto told = tell(calls::move_pages, 0, batch.count, batch.addresses.data(), nullptr,
                   batch.status.data(), 0);
  if (!told && told.error().number == ENOSYS) return ask_residency(batch);
  return told;
}

/// Moves a batch; the first page's reason for not moving goes to `refusal`.
result<void> move_batch(page_batch& batch, unsigned node, failure& refusal) noexcept {
  batch.nodes.fill(static_cast<int>(node));
  auto told = tell(calls::move_pages, 0, batch.count, batch.addresses.data(), batch.nodes.data(),
                   batch.status.data(), MPOL_MF_MOVE);
  if (!told && told.error().number == ENOSYS && node == 0) return {};
  // ENOENT: none of these pages is there, so there is none to move.
  if (!told && told.error().number == ENOENT) return {};
  if (!told) return told;
  for (std::size_t i = 0; i < batch.count && refusal.number == 0; ++i) {
    const int status = batch.status[i];
    const bool absent = status == -ENOENT || status == -EFAULT;
    if (status < 0 && !absent) refusal = {.number = -status, .call = calls::move_pages.name};
  }
  return {};
}

}  // namespace

void placement::count(int status) noexcept {
  if (status >= 0 && static_cast<std::size_t>(status) < counts_.size()) {
    ++counts_[static_cast<std::size_t>(status)];
    ++resident_;
  } else {
    ++absent_;
  }
}

result<placement> placement::of(std::span<const std::byte> range) noexcept {
  placement found;
  auto done = for_each_batch(range, [&](page_batch& batch) -> result<void> {
    if (auto asked = ask_nodes(batch); !asked) return asked;
    for (std::size_t i = 0; i < batch.count; ++i)
      found.count(batch.status[i]);
    return {};
  });
  if (!done) return std::unexpected(done.error());
  return found;
}

node_set placement::nodes() const noexcept {
  node_set set;
  for (unsigned node = 0; node < counts_.size(); ++node) {
    if (counts_[node] > 0) (void)set.insert(node);
  }
  return set;
}

double placement::fraction_on(const node_set& nodes) const noexcept {
  if (resident_ == 0) return 0;
  std::size_t there = 0;
  for (const unsigned node : nodes)
    there += on(node);
  return static_cast<double>(there) / static_cast<double>(resident_);
}

double placement::fraction_in_turn(const node_set& nodes, const numa_topology& topology,
                                   bool weighted) const noexcept {
  const auto weight_of = [&](unsigned index) -> std::size_t {
    const numa_node* const node = topology.node(index);
    return weighted && node != nullptr ? node->interleave_weight.value_or(1) : 1;
  };
  std::size_t weights = 0;
  for (const unsigned node : nodes)
    weights += weight_of(node);
  if (resident_ == 0 || weights == 0) return 0;
  std::size_t there = 0;
  for (const unsigned node : nodes) {
    // Whole rounds and, at the end, a part of one that may all be this node's turn.
    const std::size_t rounds = (resident_ + weights - 1) / weights;
    there += std::min(on(node), rounds * weight_of(node));
  }
  return static_cast<double>(there) / static_cast<double>(resident_);
}

double placement::fraction_as_asked(const numa_policy& policy,
                                    const numa_topology& topology) const noexcept {
  switch (policy.mode()) {
    case numa_mode::inherited:
      return resident_ > 0 ? 1 : 0;
    case numa_mode::local: {
      const auto here = current_place();
      return here ? fraction_on({here->node}) : 0;
    }
    case numa_mode::interleaved:
      return fraction_in_turn(policy.nodes(), topology, false);
    case numa_mode::weighted_interleaved:
      return fraction_in_turn(policy.nodes(), topology, true);
    case numa_mode::preferred:
    case numa_mode::preferred_many:
    case numa_mode::bind:
      return fraction_on(policy.nodes());
  }
  return 0;
}

result<migration> migrate(std::span<const std::byte> range, unsigned node) noexcept {
  migration report;
  auto moved = for_each_batch(
      range, [&](page_batch& batch) { return move_batch(batch, node, report.refusal); });
  if (!moved) return std::unexpected(moved.error());
  const auto after = placement::of(range);
  if (!after) return std::unexpected(after.error());
  report.after = *after;
  report.refused = after->resident() - after->on(node);
  return report;
}

result<std::size_t> migrate_process(pid_t process, const node_set& from,
                                    const node_set& to) noexcept {
  const auto left = ask(calls::migrate_pages, process, node_set::capacity + 1, from.words().data(),
                        to.words().data());
  if (!left) return std::unexpected(left.error());
  return static_cast<std::size_t>(*left);
}

}  // namespace acre::os
