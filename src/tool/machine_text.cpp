#include "tool/machine_text.hpp"

#include "tool/terminal.hpp"
#include "tool/units.hpp"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace acre::tool {
namespace {

std::string heading(std::string_view text, const ink& colours) {
  return fmt::format("\n{}{}{}\n", colours.heading, text, colours.end);
}

/// "3.9 ns, 14 cycles"; empty when it was not measured.
std::string format_latency(const std::string& level,
                           const std::optional<machine_measurement>& measurement) {
  if (!measurement) return {};
  const auto found = std::ranges::find(measurement->levels, level, &level_latency::level);
  if (found == measurement->levels.end() || !found->ns) return {};
  return fmt::format("{:>8}{:>8.0f} cycles", format_ns(*found->ns),
                     *found->ns * measurement->core_ghz);
}

std::string head(const machine_description& machine, const ink& colours) {
  const auto& name = machine.processor.name;
  return fmt::format("{}{}{}: {}\nLinux {}, {}\n", colours.heading,
                     name.empty() ? "Processor" : name, colours.end, describe_size(machine),
                     machine.host.kernel, describe_place(machine.host));
}

std::string caches(const machine_description& machine,
                   const std::optional<machine_measurement>& measurement, const ink& colours) {
  auto text = heading(fmt::format("{:<12}{:>10}{:>7}{:>6}{:>7}{:>12}{}", "Caches", "size", "line",
                                  "ways", "count", "CPUs each", measurement ? "     latency" : ""),
                      colours);
  for (const auto& cache : machine.caches) {
    text += fmt::format("  {:<10}{:>10}{:>7}{:>6}{:>7}{:>12}", cache.name,
                        format_bytes(cache.size_bytes), cache.line_bytes, format_ways(cache.ways),
                        cache.count, cache.sharing_cpus);
    const auto latency = cache.is_here ? format_latency(cache.name, measurement) : "";
    text += latency.empty() ? "\n" : "    " + latency + "\n";
  }
  const auto latency = format_latency("memory", measurement);
  return text + fmt::format("  {:<10}{:>10}{:>32}{}\n", "memory",
                            format_bytes(machine.memory.memory_bytes), "",
                            latency.empty() ? "" : "    " + latency);
}

std::string tlbs(const machine_description& machine, const ink& colours) {
  if (machine.tlbs.empty()) return {};
  auto text =
      heading(fmt::format("{:<18}{:>7}{:>10}{:>7}", "TLB", "pages", "entries", "ways"), colours);
  for (const auto& tlb : machine.tlbs)
    text += fmt::format("  {:<16}{:>7}{:>10}{:>7}\n", fmt::format("L{} {}", tlb.level, tlb.kind),
                        tlb.pages, tlb.entries, format_ways(tlb.ways));
  return text;
}

std::string nodes(const machine_description& machine, const ink& colours) {
  if (machine.nodes.size() < 2) return {};
  auto text = heading(fmt::format("{:<8}{:>12}  {:<24}{}", "Nodes", "memory", "CPUs", "distances"),
                      colours);
  for (const auto& node : machine.nodes)
    text += fmt::format(
        "  {:<6}{:>12}  {:<24}{}\n", node.number, format_bytes(node.memory_bytes),
        node.cpus.empty() ? "none: memory only" : fmt::format("{}", fmt::join(node.cpus, ",")),
        fmt::join(node.distances, " "));
  return text;
}

std::string kernel_memory(const machine_description& machine, const ink& colours) {
  auto text = heading("Memory as the kernel manages it", colours);
  for (const auto& [name, value] : list_kernel_memory(machine.memory))
    text += fmt::format("  {:<26}{}\n", name, value);
  return text;
}

std::string curve(const machine_description& machine, const machine_measurement& measurement,
                  const ink& colours, const screen& screen) {
  auto text =
      heading("Latency of a load that waits for the one before, over working sets", colours);
  text += draw_curve(machine, measurement, colours, screen);
  for (const auto& step : measurement.steps)
    text += "  " + describe_step(step) + "\n";
  if (!measurement.page_steps.empty())
    text +=
        fmt::format("  With one line in each page, the TLB alone{}:\n",
                    machine.tlbs.empty() ? " (this processor does not say how large it is)" : "");
  for (const auto& step : measurement.page_steps)
    text += "  " + describe_page_step(step, machine) + "\n";
  return text;
}

std::string bandwidth(const machine_measurement& measurement, const ink& colours) {
  auto text = heading(
      fmt::format("{:<26}{:>10}{:>9}{:>9}{:>9}", fmt::format("GB/s, {}", measurement.instructions),
                  "each CPU", "read", "write", "copy"),
      colours);
  for (const auto& row : measurement.bandwidths) {
    auto name = fmt::format("{}, {} {}", row.level, row.cpus, row.cpus == 1 ? "CPU" : "CPUs");
    if (row.node) name += fmt::format(", node {}", *row.node);
    if (!row.missing.empty()) {
      text += fmt::format("  {:<24}not measured: {}\n", name, row.missing);
      continue;
    }
    text +=
        fmt::format("  {:<24}{:>10}{:>9.1f}{:>9.1f}{:>9.1f}\n", name, format_bytes(row.size_bytes),
                    row.read.maximum, row.write.maximum, row.copy.maximum);
  }
  return text;
}

std::string node_latencies(const machine_measurement& measurement, const ink& colours) {
  if (measurement.node_latencies.empty()) return {};
  auto text = heading("Latency between nodes", colours);
  for (const auto& pair : measurement.node_latencies)
    text += fmt::format("  CPU of node {} to memory of node {}: {}\n", pair.cpu_node,
                        pair.memory_node, format_ns(pair.latency_ns.minimum));
  return text;
}

std::string costs(const machine_measurement& measurement, const ink& colours) {
  auto text = heading(
      fmt::format("{:<48}{:>10}{:>10}", "What the kernel charges", "median", "least"), colours);
  for (const auto& cost : measurement.costs) {
    if (cost.missing.empty())
      text += fmt::format("  {:<46}{:>10}{:>10}  a {}\n", cost.name, format_ns(cost.ns.median),
                          format_ns(cost.ns.minimum), cost.unit);
    else
      text += fmt::format("  {:<46}not measured: {}\n", cost.name, cost.missing);
  }
  return text;
}

std::string trust(const machine_measurement& measurement, const ink& colours) {
  const auto& noise = measurement.noise;
  auto text = fmt::format(
      "\nMeasured in {:.1f} s at {:.2f} GHz. Latencies are the least of their repetitions,\n"
      "bandwidths the most, costs of the kernel medians.\n",
      measurement.seconds, measurement.core_ghz);
  const auto& warning = noise.reasons.empty() ? ink{}.alarm : colours.alarm;
  text += fmt::format("{}This machine was {}.{}\n", warning, describe_trust(noise),
                      warning.empty() ? "" : colours.end);
  for (const auto& note : noise.notes)
    text += fmt::format("{}.\n", note);
  return text;
}

}  // namespace

std::string format_machine(const machine_description& machine,
                           const std::optional<machine_measurement>& measurement,
                           const ink& colours, const screen& screen) {
  auto text = head(machine, colours) + caches(machine, measurement, colours) +
              tlbs(machine, colours) + nodes(machine, colours) + kernel_memory(machine, colours);
  if (measurement) {
    text += curve(machine, *measurement, colours, screen) + bandwidth(*measurement, colours) +
            node_latencies(*measurement, colours) + costs(*measurement, colours) +
            trust(*measurement, colours);
  }
  return fold(text, screen.width);
}

}  // namespace acre::tool
