#include "tool/machine_json.hpp"

#include <nlohmann/json.hpp>

namespace acre::tool {
namespace {

using json = nlohmann::ordered_json;

template <class T>
json or_null(const std::optional<T>& value) {
  return value ? json(*value) : json(nullptr);
}

json or_null(const std::string& text) {
  return text.empty() ? json(nullptr) : json(text);
}

/// A list with an element for each of `items`.
template <class List, class Make>
json list_of(const List& items, Make make) {
  json list = json::array();
  for (const auto& item : items)
    list.push_back(make(item));
  return list;
}

/// 0 is unknown; full associativity has its own member.
json ways(int count) {
  return count > 0 ? json(count) : json(nullptr);
}

json describe(const cache_facts& cache) {
  return {{"name", cache.name},
          {"level", cache.level},
          {"kind", cache.kind},
          {"size_bytes", cache.size_bytes},
          {"line_bytes", cache.line_bytes},
          {"ways", ways(cache.ways)},
          {"is_fully_associative", cache.ways < 0},
          {"count", cache.count},
          {"sharing_cpus", cache.sharing_cpus},
          {"is_measured", cache.is_here && cache.kind != "instruction"}};
}

json describe(const tlb_facts& tlb) {
  return {{"level", tlb.level},     {"kind", tlb.kind},
          {"pages", tlb.pages},     {"entries", tlb.entries},
          {"ways", ways(tlb.ways)}, {"is_fully_associative", tlb.ways < 0}};
}

json describe(const kernel_memory_facts& memory) {
  json object{{"page_bytes", memory.page_bytes},
              {"total_bytes", memory.memory_bytes},
              {"available_bytes", memory.available_bytes},
              {"swap_bytes", memory.swap_bytes},
              {"swap_free_bytes", memory.swap_free_bytes}};
  object["transparent_huge_pages"] = {{"mode", or_null(memory.thp_mode)},
                                      {"defrag", or_null(memory.thp_defrag)},
                                      {"shared", or_null(memory.thp_shared)},
                                      {"page_bytes", memory.thp_bytes}};
  object["huge_page_pools"] = list_of(memory.huge_pools, [](const huge_pool_facts& pool) {
    return json{
        {"page_bytes", pool.page_bytes}, {"pages", pool.pages}, {"free_pages", pool.free_pages}};
  });
  object["overcommit"] = {{"mode", memory.overcommit},
                          {"limit_bytes", memory.commit_limit_bytes},
                          {"committed_bytes", memory.committed_bytes}};
  object["mappings_max"] = memory.mappings_max;
  object["limits"] = list_of(memory.limits, [](const limit_facts& limit) {
    return json{{"name", limit.name}, {"soft_bytes", or_null(limit.soft_bytes)}};
  });
  object["cgroup"] = {{"limit_bytes", or_null(memory.cgroup_limit_bytes)},
                      {"high_bytes", or_null(memory.cgroup_high_bytes)},
                      {"limit_directory", or_null(memory.cgroup_limit_directory)}};
  return object;
}

json describe(const machine_description& machine) {
  const auto& processor = machine.processor;
  json object;
  object["processor"] = {
      {"name", or_null(processor.name)}, {"architecture", or_null(processor.architecture)},
      {"packages", processor.packages},  {"cores", processor.cores},
      {"cpus", processor.cpus},          {"measuring_cpu", processor.measuring_cpu}};
  object["host"] = {{"kernel", machine.host.kernel},
                    {"is_virtual", machine.host.is_virtual},
                    {"hypervisor", or_null(machine.host.hypervisor)},
                    {"container", or_null(machine.host.container)}};
  const auto same = [](const auto& item) { return describe(item); };
  object["caches"] = list_of(machine.caches, same);
  object["tlbs"] = list_of(machine.tlbs, same);
  object["nodes"] = list_of(machine.nodes, [](const node_facts& node) {
    return json{{"node", node.number},
                {"memory_bytes", node.memory_bytes},
                {"free_bytes", node.free_bytes},
                {"cpus", node.cpus},
                {"distances", node.distances}};
  });
  object["memory"] = describe(machine.memory);
  return object;
}

json figures(const figure& value) {
  if (value.repetitions == 0) return nullptr;
  return {{"minimum", value.minimum},
          {"median", value.median},
          {"maximum", value.maximum},
          {"repetitions", value.repetitions}};
}

json figures(const latency_curve& curve) {
  json points = list_of(curve.points, [](const curve_point& point) {
    return json{{"size_bytes", point.size_bytes}, {"latency_ns", figures(point.latency_ns)}};
  });
  return {{"name", curve.name}, {"missing", or_null(curve.missing)}, {"points", points}};
}

json figures(const curve_step& step) {
  return {{"size_bytes", step.size_bytes},
          {"flat_bytes", step.flat_bytes},
          {"before_ns", step.before_ns},
          {"after_ns", step.after_ns},
          {"cause", or_null(step.cause)},
          {"is_part", step.is_part},
          {"described", step.cause.empty() ? json(nullptr) : json(step.described)}};
}

json figures(const bandwidth_row& row) {
  return {{"level", row.level},
          {"cpus", row.cpus},
          {"node", or_null(row.node)},
          {"size_bytes_each", row.size_bytes},
          {"missing", or_null(row.missing)},
          {"read_gb_s", figures(row.read)},
          {"write_gb_s", figures(row.write)},
          {"copy_gb_s", figures(row.copy)}};
}

json figures(const noise_report& noise) {
  return {{"is_noisy", !noise.reasons.empty()},
          {"reasons", noise.reasons},
          {"notes", noise.notes},
          {"stolen_part", noise.stolen_part},
          {"others_part", noise.others_part},
          {"lost_part", noise.lost_part},
          {"latency_spread", noise.spread},
          {"noisy_points_part", noise.noisy_points},
          {"clock_read_ns", noise.clock.read_ns},
          {"clock_gap_ns_max", noise.clock.gap_ns_max}};
}

json figures(const machine_measurement& measurement) {
  json object;
  const auto same = [](const auto& item) { return figures(item); };
  object["seconds"] = measurement.seconds;
  object["is_quick"] = measurement.is_quick;
  object["core_ghz"] = measurement.core_ghz;
  object["levels"] = list_of(measurement.levels, [](const level_latency& level) {
    return json{{"level", level.level}, {"latency_ns", or_null(level.ns)}};
  });
  object["steps"] = list_of(measurement.steps, same);
  object["page_steps"] = list_of(measurement.page_steps, same);
  object["curves"] = {{"huge_pages", figures(measurement.huge_pages)},
                      {"small_pages", figures(measurement.small_pages)},
                      {"one_line_per_page", figures(measurement.page_walk)}};
  object["instructions"] = measurement.instructions;
  object["bandwidths"] = list_of(measurement.bandwidths, same);
  object["node_latencies"] = list_of(measurement.node_latencies, [](const node_latency& pair) {
    return json{{"cpu_node", pair.cpu_node},
                {"memory_node", pair.memory_node},
                {"latency_ns", figures(pair.latency_ns)}};
  });
  object["kernel_costs"] = list_of(measurement.costs, [](const kernel_cost& cost) {
    return json{{"name", cost.name},
                {"unit", cost.unit},
                {"missing", or_null(cost.missing)},
                {"ns", figures(cost.ns)}};
  });
  object["noise"] = figures(measurement.noise);
  return object;
}

}  // namespace

std::string format_machine_json(const machine_description& machine,
                                const std::optional<machine_measurement>& measurement) {
  json root;
  root["acre_machine"] = 1;  // the version of this form
  root["acre_version"] = ACRE_VERSION;
  root["description"] = describe(machine);
  root["measurement"] = measurement ? figures(*measurement) : json(nullptr);
  return root.dump(2, ' ', false, json::error_handler_t::replace) + "\n";
}

}  // namespace acre::tool
