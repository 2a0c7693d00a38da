#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace acre::tool {

/// Caches of one kind and size; `count` of them.
struct cache_facts {
  std::string name;  ///< as lscpu writes it: L1d, L1i, L2, L3
  unsigned level = 0;
  std::string kind;  ///< data, instruction or unified
  std::uint64_t size_bytes = 0;
  std::uint64_t line_bytes = 0;
  int ways = 0;  ///< 0 when unknown, -1 when fully associative
  unsigned count = 0;
  unsigned sharing_cpus = 0;  ///< CPUs that share one
  bool is_here = false;       ///< the CPU that measures uses one of these
};

/// Translations that a processor keeps; known only where CPUID tells.
struct tlb_facts {
  unsigned level = 0;
  std::string kind;   ///< data, instruction or unified
  std::string pages;  ///< page sizes that it holds, as "4K" or "2M/4M"
  unsigned entries = 0;
  int ways = 0;  ///< 0 when unknown, -1 when fully associative
};

struct node_facts {
  unsigned number = 0;  ///< as the kernel counts
  std::uint64_t memory_bytes = 0;
  std::uint64_t free_bytes = 0;          ///< when it was described; 0 when unknown
  std::vector<unsigned> cpus;            ///< none: memory only
  std::vector<std::uint64_t> distances;  ///< to each node in the list's order; empty when unknown
};

struct huge_pool_facts {
  std::uint64_t page_bytes = 0;
  std::uint64_t pages = 0;
  std::uint64_t free_pages = 0;
};

/// A limit on the process; nothing means unlimited.
struct limit_facts {
  std::string name;
  std::optional<std::uint64_t> soft_bytes;
};

struct processor_facts {
  std::string name;
  std::string architecture;
  unsigned packages = 0;
  unsigned cores = 0;
  std::vector<unsigned> cpus;  ///< those that this process may use
  unsigned measuring_cpu = 0;
};

struct host_facts {
  std::string kernel;  ///< release
  bool is_virtual = false;
  std::string hypervisor;  ///< empty when none or unknown
  std::string container;   ///< what runs this process apart; empty when nothing is known to
};

struct kernel_memory_facts {
  std::uint64_t page_bytes = 0;
  std::uint64_t memory_bytes = 0;
  std::uint64_t available_bytes = 0;
  std::uint64_t swap_bytes = 0;
  std::uint64_t swap_free_bytes = 0;
  std::string thp_mode;  ///< always, madvise or never; empty when the kernel has none
  std::string thp_defrag;
  std::string thp_shared;  ///< for shared memory
  std::uint64_t thp_bytes = 0;
  std::vector<huge_pool_facts> huge_pools;
  std::string overcommit;  ///< heuristic, always or never
  std::uint64_t commit_limit_bytes = 0;
  std::uint64_t committed_bytes = 0;
  std::uint64_t mappings_max = 0;
  std::vector<limit_facts> limits;
  std::optional<std::uint64_t> cgroup_limit_bytes;  ///< the lowest on the way to the root
  std::optional<std::uint64_t> cgroup_high_bytes;   ///< from which on programs are slowed down
  std::string cgroup_limit_directory;               ///< of the group that sets the limit
};

/// What the machine says of itself.
struct machine_description {
  processor_facts processor;
  host_facts host;
  std::vector<cache_facts> caches;  ///< by level
  std::vector<tlb_facts> tlbs;
  std::vector<node_facts> nodes;
  kernel_memory_facts memory;
};

/// Asks hwloc, CPUID, /proc and /sys.
///
/// Throws:  error when hwloc cannot read the topology. What else is missing stays empty.
[[nodiscard]] machine_description describe_machine();

/// Parts of `describe_machine`, each from its own source.
void describe_topology(machine_description& machine);
[[nodiscard]] std::vector<tlb_facts> describe_tlbs();
[[nodiscard]] host_facts describe_host();
[[nodiscard]] kernel_memory_facts describe_kernel_memory();

/// The caches on the way from the measuring CPU to memory: data and unified, nearest first.
[[nodiscard]] std::vector<cache_facts> caches_here(const machine_description& machine);

}  // namespace acre::tool
