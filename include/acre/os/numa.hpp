#pragma once

#include <acre/export.h>
#include <acre/os/index_set.hpp>
#include <acre/result.hpp>

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

/// The machine's memory nodes, as the kernel shows them below /sys/devices/system/node.
///
/// A node is memory that is equally far from its processors. A machine with one kind of memory has
/// one node, number 0; everything here works the same there, and on a kernel built without NUMA,
/// which is shown as such a machine. Numbers may have holes, nodes may have no processors (memory
/// on an expansion bus, CXL) or no memory.
///
/// Setting where memory goes: numa_policy.hpp. Seeing where it went, and moving it:
/// numa_placement.hpp.
namespace acre::os {

/// What firmware says of a node's speed as seen from its nearest processors (ACPI HMAT).
struct memory_speed {
  unsigned read_latency_ns = 0;
  unsigned write_latency_ns = 0;
  unsigned read_bandwidth_mib_s = 0;
  unsigned write_bandwidth_mib_s = 0;
};

struct numa_node {
  unsigned index = 0;
  cpu_set cpus;
  std::uint64_t memory_bytes = 0;
  std::uint64_t free_bytes = 0;  ///< when the topology was read
  /// Share of new pages under weighted interleaving; the kernel's default is 1. Nothing where the
  /// kernel has no weights (before Linux 6.9).
  std::optional<unsigned> interleave_weight;
  std::optional<memory_speed> speed;

  [[nodiscard]] bool is_memory_only() const noexcept { return cpus.empty() && memory_bytes > 0; }
};

/// Nodes of one class of memory, as the kernel ranks it (Linux 6.1, CONFIG_NUMA).
struct memory_tier {
  unsigned rank = 0;  ///< the lower, the faster
  node_set nodes;
};

/// A picture of the nodes at one moment: processors and memory can be plugged in and out.
class numa_topology {
 public:
  /// Reads the topology of this machine, or of another one whose /sys is kept at `sysfs`.
  ///
  /// Returns:  nodes that are online; one that vanishes meanwhile is left out.
  /// Fails:    EBADMSG, with the name of the file, when it does not hold what the kernel documents.
  /// Throws:   `std::bad_alloc`.
  /// Cost:     some files for each node; keep the value.
  [[nodiscard]] ACRE_API static result<numa_topology> read(const char* sysfs = "/sys");

  /// Ascending by index; never empty.
  [[nodiscard]] std::span<const numa_node> nodes() const noexcept { return nodes_; }

  /// The node of that number; null when it is not online.
  [[nodiscard]] ACRE_API const numa_node* node(unsigned index) const noexcept;

  /// The node that the processor belongs to; null when it is not online.
  [[nodiscard]] ACRE_API const numa_node* node_of_cpu(unsigned cpu) const noexcept;

  /// Relative cost of reaching `to` from `from`: 10 is local, 20 twice that (ACPI SLIT).
  /// Returns:  nothing when one of the nodes is not online.
  [[nodiscard]] ACRE_API std::optional<unsigned> distance(unsigned from,
                                                          unsigned to) const noexcept;

  [[nodiscard]] ACRE_API node_set online() const noexcept;
  [[nodiscard]] ACRE_API node_set with_cpus() const noexcept;
  [[nodiscard]] ACRE_API node_set with_memory() const noexcept;
  [[nodiscard]] ACRE_API node_set memory_only() const noexcept;

  /// Nodes with memory, `from` itself among them, nearest first: an order of fallbacks.
  /// Throws: `std::bad_alloc`.
  [[nodiscard]] ACRE_API std::vector<unsigned> nearest(unsigned from) const;

  /// Fastest first; empty where the kernel does not rank memory.
  [[nodiscard]] std::span<const memory_tier> tiers() const noexcept { return tiers_; }

  /// Whether the kernel is built with NUMA; without, there is the one node that stands for all.
  [[nodiscard]] bool is_numa_kernel() const noexcept { return is_numa_kernel_; }

 private:
  std::vector<numa_node> nodes_;
  std::vector<unsigned> distances_;  ///< row by row: nodes_.size() squared
  std::vector<memory_tier> tiers_;
  bool is_numa_kernel_ = false;

  friend struct topology_reader;
};

/// The nodes on which this process may have memory (cpuset(7)).
[[nodiscard]] ACRE_API result<node_set> allowed_nodes() noexcept;

/// Where the calling thread runs at this moment.
struct processor_place {
  unsigned cpu = 0;
  unsigned node = 0;
};
[[nodiscard]] ACRE_API result<processor_place> current_place() noexcept;

/// The processors on which the calling thread may run, and setting them.
/// Fails: EINVAL when none of the processors is online and allowed.
[[nodiscard]] ACRE_API result<cpu_set> thread_cpus() noexcept;
[[nodiscard]] ACRE_API result<void> set_thread_cpus(const cpu_set& cpus) noexcept;

}  // namespace acre::os
