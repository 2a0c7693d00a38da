// The sentences that the text and the page share.

#include "tool/machine_scale.hpp"
#include "tool/machine_text.hpp"
#include "tool/units.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace acre::tool {

std::string format_ns(double ns) {
  if (ns < 9.995) return fmt::format("{:.2f} ns", ns);
  if (ns < 99.95) return fmt::format("{:.1f} ns", ns);
  if (ns < 999.5) return fmt::format("{:.0f} ns", ns);
  if (ns < 999.5e3) return fmt::format("{:.3g} us", ns / 1e3);
  return fmt::format("{:.3g} ms", ns / 1e6);
}

std::string describe_place(const host_facts& host) {
  std::string text = "no virtual machine that shows itself";
  if (host.is_virtual)
    text = host.hypervisor.empty() ? "virtual machine"
                                   : fmt::format("virtual machine ({})", host.hypervisor);
  if (!host.container.empty()) text += fmt::format(", in a container ({})", host.container);
  return text;
}

namespace {

std::string counted(std::size_t count, const char* one) {
  return fmt::format("{} {}{}", count, one, count == 1 ? "" : "s");
}

}  // namespace

std::string describe_size(const machine_description& machine) {
  return fmt::format("{}, {}, {}", counted(machine.processor.cpus.size(), "CPU"),
                     counted(machine.processor.cores, "core"),
                     counted(machine.nodes.size(), "node"));
}

std::string format_ways(int ways) {
  if (ways < 0) return "full";
  return ways == 0 ? "-" : fmt::format("{}", ways);
}

std::vector<std::pair<std::string, std::string>> list_kernel_memory(
    const kernel_memory_facts& memory) {
  std::vector<std::pair<std::string, std::string>> list;
  list.emplace_back("available", format_bytes(memory.available_bytes));
  list.emplace_back("swap", memory.swap_bytes == 0
                                ? "none"
                                : fmt::format("{}, {} free", format_bytes(memory.swap_bytes),
                                              format_bytes(memory.swap_free_bytes)));
  list.emplace_back("page", format_bytes(memory.page_bytes));
  list.emplace_back(
      "transparent huge pages",
      memory.thp_mode.empty()
          ? "none"
          : fmt::format("{}, of {}; defrag {}, shared {}", memory.thp_mode,
                        format_bytes(memory.thp_bytes), memory.thp_defrag, memory.thp_shared));
  for (const auto& pool : memory.huge_pools)
    list.emplace_back("reserved huge pages",
                      fmt::format("{} of {}, {} free", pool.pages, format_bytes(pool.page_bytes),
                                  pool.free_pages));
  list.emplace_back("overcommit", fmt::format("{}; {} committed", memory.overcommit,
                                              format_bytes(memory.committed_bytes)));
  list.emplace_back("mappings of a process", format_count(memory.mappings_max));
  for (const auto& limit : memory.limits)
    list.emplace_back("limit: " + limit.name,
                      limit.soft_bytes ? format_bytes(*limit.soft_bytes) : "unlimited");
  list.emplace_back("control group's limit",
                    memory.cgroup_limit_bytes
                        ? fmt::format("{} ({})", format_bytes(*memory.cgroup_limit_bytes),
                                      memory.cgroup_limit_directory)
                        : "none");
  if (memory.cgroup_high_bytes)
    list.emplace_back("slowed down from", format_bytes(*memory.cgroup_high_bytes));
  return list;
}

std::string describe_trust(const noise_report& noise) {
  if (noise.reasons.empty()) return "quiet enough to trust the figures";
  return fmt::format("TOO NOISY to trust the figures: {}", fmt::join(noise.reasons, "; "));
}

std::string describe_step(const curve_step& step) {
  auto text = fmt::format("near {:<5} from {} to {}", short_bytes(step.size_bytes),
                          format_ns(step.before_ns), format_ns(step.after_ns));
  if (step.cause.empty()) return text + ": no cache of about that size is described";
  return text + fmt::format(": {}{}, described with {}", step.is_part ? "only a part of " : "",
                            step.cause, short_bytes(step.described));
}

std::string describe_page_step(const curve_step& step, const machine_description& machine) {
  auto text =
      fmt::format("near {:<5} pages from {} to {}", step.size_bytes / machine.memory.page_bytes,
                  format_ns(step.before_ns), format_ns(step.after_ns));
  if (step.cause.empty()) return text;
  return text + fmt::format(": {} {}", step.described, step.cause);
}

}  // namespace acre::tool
