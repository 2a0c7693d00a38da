// Shows the memory nodes, puts a buffer on each and checks where its pages went.
#include <acre/os/mapping.hpp>
#include <acre/os/numa.hpp>
#include <acre/os/numa_placement.hpp>
#include <acre/os/numa_policy.hpp>

#include <algorithm>
#include <cstdio>

int main() {
  using namespace acre::os;
  const numa_topology topology = acre::or_throw(numa_topology::read());
  for (const numa_node& node : topology.nodes()) {
    std::printf("node %u: processors %s, %llu MiB%s\n", node.index, node.cpus.to_string().c_str(),
                static_cast<unsigned long long>(node.memory_bytes >> 20U),
                node.is_memory_only() ? ", memory only" : "");
  }
  if (!thread_policy()) {
    std::puts("this container forbids memory policies");
    return 77;
  }
  for (const unsigned node : topology.with_memory()) {
    mapping buffer = acre::or_throw(mapping::anonymous(1U << 20U));
    // Strictly there; where the kernel has no such policy or not this node, anywhere.
    const applied_policy applied = acre::or_throw(
        set_range_policy(buffer.bytes(), {numa_policy::bind({node}), numa_policy::inherited()}));
    std::ranges::fill(buffer.bytes(), std::byte{1});
    const placement where = acre::or_throw(placement::of(buffer.bytes()));
    std::printf("node %u: choice %zu, %.0f %% of %zu pages are where they were asked to be\n", node,
                applied.choice + 1, 100 * where.fraction_as_asked(applied.policy, topology),
                where.resident());
  }
}
