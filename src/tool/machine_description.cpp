#include "tool/machine_description.hpp"

#include <algorithm>

namespace acre::tool {

machine_description describe_machine() {
  machine_description machine;
  machine.host = describe_host();
  machine.memory = describe_kernel_memory();
  machine.tlbs = describe_tlbs();
  describe_topology(machine);
  return machine;
}

std::vector<cache_facts> caches_here(const machine_description& machine) {
  std::vector<cache_facts> found;
  std::ranges::copy_if(machine.caches, std::back_inserter(found), [](const cache_facts& cache) {
    return cache.is_here && cache.kind != "instruction" && cache.size_bytes > 0;
  });
  return found;
}

}  // namespace acre::tool
