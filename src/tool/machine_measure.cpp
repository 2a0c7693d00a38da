// The order of the measurement, and how much of it there is.

#include "tool/machine_affinity.hpp"
#include "tool/machine_bandwidth.hpp"
#include "tool/machine_buffer.hpp"
#include "tool/machine_calls.hpp"
#include "tool/machine_latency.hpp"
#include "tool/machine_levels.hpp"
#include "tool/machine_measurement.hpp"
#include "tool/machine_noise.hpp"
#include "tool/machine_plan.hpp"
#include "tool/machine_stream.hpp"

#include <algorithm>
#include <bit>

namespace acre::tool {
namespace {

constexpr std::size_t mib = std::size_t{1} << 20;

/// Eight times the last cache shows memory alone; the rest of the machine keeps three quarters of
/// what is free.
std::size_t largest_set(const machine_description& machine, const std::vector<cache_facts>& caches,
                        bool is_quick) {
  const std::uint64_t last_cache = caches.empty() ? 32 * mib : caches.back().size_bytes;
  const std::uint64_t wanted = std::clamp<std::uint64_t>((is_quick ? 4 : 8) * last_cache, 64 * mib,
                                                         (is_quick ? 256 : 1024) * mib);
  auto free = machine.memory.available_bytes;
  if (machine.memory.cgroup_limit_bytes) free = std::min(free, *machine.memory.cgroup_limit_bytes);
  return std::bit_floor(std::max<std::uint64_t>(std::min(wanted, free / 4), 8 * mib));
}

machine_plan make_plan(const machine_description& machine, const std::vector<cache_facts>& caches,
                       bool is_quick) {
  machine_plan plan;
  if (!caches.empty() && caches.front().line_bytes >= sizeof(void*))
    plan.line_bytes = caches.front().line_bytes;
  plan.page_bytes = machine.memory.page_bytes;
  plan.set_bytes_max = largest_set(machine, caches, is_quick);
  if (is_quick) {
    plan.points_per_octave = 2;
    plan.repetitions = 5;
    plan.repetition_ns = 0.6e6;
  }
  // What has begun by then ends within a few seconds.
  plan.deadline_ns = now_ns() + (is_quick ? 9e9 : 24e9);
  return plan;
}

/// Every node's memory as the CPUs of every node see it.
std::vector<node_latency> measure_node_latencies(const machine_description& machine,
                                                 const machine_plan& plan) {
  std::vector<node_latency> list;
  if (machine.nodes.size() < 2) return list;
  for (const auto& from : machine.nodes) {
    const auto cpu = std::ranges::find_if(from.cpus, [&](unsigned each) {
      return std::ranges::find(machine.processor.cpus, each) != machine.processor.cpus.end();
    });
    if (cpu == from.cpus.end()) continue;
    const cpu_stay stay(*cpu);
    for (const auto& to : machine.nodes) {
      const auto set_bytes = largest_set_on(to, plan);
      if (set_bytes == 0) continue;
      if (plan.is_late()) return list;
      const test_buffer buffer(set_bytes, page_wish::huge, to.number);
      list.push_back(
          {from.number, to.number,
           measure_latency(buffer.bytes(), set_bytes, {plan.line_bytes, plan.line_bytes}, plan)});
    }
  }
  return list;
}

}  // namespace

std::size_t largest_set_on(const node_facts& node, const machine_plan& plan) noexcept {
  constexpr std::uint64_t least = 16 * mib;
  const auto part = std::bit_floor(node.free_bytes / 4);
  return part < least ? 0 : std::min<std::uint64_t>(part, plan.set_bytes_max);
}

machine_measurement measure_machine(const machine_description& machine, bool is_quick) {
  const double start = now_ns();
  const auto caches = caches_here(machine);
  const auto plan = make_plan(machine, caches, is_quick);
  const cpu_stay stay(machine.processor.measuring_cpu);
  machine_progress progress;
  machine_measurement result;
  result.is_quick = is_quick;
  result.instructions = widest_stream_kernels().name;

  progress.begin("clock", 0.02);
  const noise_watch noise;
  result.core_ghz = measure_core_ghz();
  progress.begin("latency on huge pages", 0.40);
  result.huge_pages = measure_huge_pages(plan, progress);
  progress.begin("latency on small pages", 0.22);
  result.small_pages = measure_small_pages(plan, progress);
  progress.begin("latency of one line per page", 0.10);
  result.page_walk = measure_page_walk(plan, progress);
  progress.begin("latency of nodes", machine.nodes.size() > 1 ? 0.05 : 0);
  result.node_latencies = measure_node_latencies(machine, plan);
  progress.begin("bandwidth", 0.15);
  result.bandwidths = measure_bandwidths(machine, plan, progress);
  progress.begin("costs of the kernel", 0.06);
  result.costs = measure_kernel_costs(machine, plan, progress);

  const auto& curve =
      result.huge_pages.points.empty() ? result.small_pages.points : result.huge_pages.points;
  result.steps = find_steps(curve);
  name_steps(result.steps, caches);
  result.page_steps = find_steps(result.page_walk.points);
  name_page_steps(result.page_steps, machine);
  result.levels = find_levels(curve, result.steps, caches);
  noise.judge(result);
  if (plan.is_late()) result.noise.notes.emplace_back("time ran out; some figures are missing");
  result.seconds = (now_ns() - start) / 1e9;
  return result;
}

}  // namespace acre::tool
