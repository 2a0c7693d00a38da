// Caches, nodes and CPUs, from hwloc.

#include <acre/os/numa.hpp>

#include "tool/error.hpp"
#include "tool/machine_description.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>
#include <tuple>

#include <fmt/format.h>
#include <hwloc.h>
#include <sched.h>

namespace acre::tool {
namespace {

struct topology_end {
  void operator()(hwloc_topology_t topology) const noexcept { hwloc_topology_destroy(topology); }
};
using topology_handle = std::unique_ptr<hwloc_topology, topology_end>;

topology_handle load_topology() {
  hwloc_topology_t raw = nullptr;
  if (hwloc_topology_init(&raw) != 0)
    throw error(exit_code::misuse, "hwloc cannot start: out of memory");
  topology_handle topology(raw);
  // Left out by default.
  hwloc_topology_set_icache_types_filter(raw, HWLOC_TYPE_FILTER_KEEP_ALL);
  if (hwloc_topology_load(raw) != 0) {
    throw error(exit_code::misuse, fmt::format("hwloc cannot read this machine's topology: {}; "
                                               "'lstopo' of the package hwloc may tell more",
                                               std::strerror(errno)));
  }
  return topology;
}

std::vector<unsigned> members(hwloc_const_bitmap_t set) {
  std::vector<unsigned> numbers;
  for (int bit = hwloc_bitmap_first(set); bit >= 0; bit = hwloc_bitmap_next(set, bit))
    numbers.push_back(static_cast<unsigned>(bit));
  return numbers;
}

std::string info_of(hwloc_obj_t object, const char* name) {
  for (; object != nullptr; object = object->parent)
    if (const char* const text = hwloc_obj_get_info_by_name(object, name)) return text;
  return {};
}

const char* cache_kind(hwloc_obj_cache_type_t type) {
  switch (type) {
    case HWLOC_OBJ_CACHE_DATA:
      return "data";
    case HWLOC_OBJ_CACHE_INSTRUCTION:
      return "instruction";
    case HWLOC_OBJ_CACHE_UNIFIED:
      return "unified";
  }
  return "unified";
}

std::string cache_name(unsigned level, std::string_view kind) {
  const auto* const letter = kind == "data" ? "d" : kind == "instruction" ? "i" : "";
  return fmt::format("L{}{}", level, letter);
}

cache_facts facts_of(hwloc_obj_t object, unsigned measuring_cpu) {
  const auto& attributes = object->attr->cache;
  const auto* const kind = cache_kind(attributes.type);
  return {.name = cache_name(attributes.depth, kind),
          .level = attributes.depth,
          .kind = kind,
          .size_bytes = attributes.size,
          .line_bytes = attributes.linesize,
          .ways = attributes.associativity,
          .count = 1,
          .sharing_cpus = static_cast<unsigned>(hwloc_bitmap_weight(object->cpuset)),
          .is_here = hwloc_bitmap_isset(object->cpuset, measuring_cpu) != 0};
}

bool are_alike(const cache_facts& left, const cache_facts& right) {
  return left.name == right.name && left.size_bytes == right.size_bytes &&
         left.line_bytes == right.line_bytes && left.ways == right.ways &&
         left.sharing_cpus == right.sharing_cpus;
}

/// Processors may have cores of two kinds, so caches are grouped by what they are like.
std::vector<cache_facts> list_caches(hwloc_topology_t topology, unsigned measuring_cpu) {
  std::vector<cache_facts> caches;
  const int depth = hwloc_topology_get_depth(topology);
  for (int row = depth - 1; row >= 0; --row) {
    if (hwloc_obj_type_is_cache(hwloc_get_depth_type(topology, row)) == 0) continue;
    for (hwloc_obj_t each = hwloc_get_obj_by_depth(topology, row, 0); each != nullptr;
         each = each->next_cousin) {
      const auto facts = facts_of(each, measuring_cpu);
      const auto found = std::ranges::find_if(
          caches, [&](const cache_facts& other) { return are_alike(other, facts); });
      if (found == caches.end()) {
        caches.push_back(facts);
      } else {
        ++found->count;
        found->is_here = found->is_here || facts.is_here;
      }
    }
  }
  std::ranges::sort(caches, {}, [](const cache_facts& cache) {
    return std::tuple(cache.level, cache.kind == "instruction", !cache.is_here, cache.size_bytes);
  });
  return caches;
}

/// To a node without CPUs hwloc gives those that are near, so CPUs, like distances and free memory,
/// are the kernel's.
void add_kernel_facts(std::vector<node_facts>& nodes) {
  const auto kernel = os::numa_topology::read();
  if (!kernel) return;
  for (auto& node : nodes) {
    const auto* const found = kernel->node(node.number);
    if (found == nullptr) continue;
    node.cpus.assign(found->cpus.begin(), found->cpus.end());
    node.free_bytes = found->free_bytes;
    for (const auto& other : nodes)
      node.distances.push_back(kernel->distance(node.number, other.number).value_or(0));
  }
}

std::vector<node_facts> list_nodes(hwloc_topology_t topology) {
  std::vector<node_facts> nodes;
  for (hwloc_obj_t each = hwloc_get_obj_by_type(topology, HWLOC_OBJ_NUMANODE, 0); each != nullptr;
       each = each->next_cousin) {
    nodes.push_back(
        {each->os_index, each->attr->numanode.local_memory, 0, members(each->cpuset), {}});
  }
  add_kernel_facts(nodes);
  return nodes;
}

}  // namespace

void describe_topology(machine_description& machine) {
  const auto topology = load_topology();
  auto& processor = machine.processor;
  processor.cpus = members(hwloc_topology_get_allowed_cpuset(topology.get()));
  cpu_set_t allowed;
  CPU_ZERO(&allowed);
  // Those that hwloc knows and this process may not use, as under taskset, are left out.
  if (::sched_getaffinity(0, sizeof allowed, &allowed) == 0)
    std::erase_if(processor.cpus, [&](unsigned cpu) {
      return cpu >= CPU_SETSIZE || CPU_ISSET(cpu, &allowed) == 0;
    });
  processor.measuring_cpu = static_cast<unsigned>(std::max(::sched_getcpu(), 0));
  const auto count = [&](hwloc_obj_type_t type) {
    return static_cast<unsigned>(std::max(hwloc_get_nbobjs_by_type(topology.get(), type), 0));
  };
  processor.packages = count(HWLOC_OBJ_PACKAGE);
  processor.cores = count(HWLOC_OBJ_CORE);
  const hwloc_obj_t first = hwloc_get_obj_by_type(topology.get(), HWLOC_OBJ_PU, 0);
  processor.name = info_of(first, "CPUModel");
  processor.architecture = info_of(first, "Architecture");
  machine.caches = list_caches(topology.get(), processor.measuring_cpu);
  machine.nodes = list_nodes(topology.get());
}

}  // namespace acre::tool
