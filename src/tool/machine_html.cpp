#include "tool/machine_html.hpp"

#include "tool/machine_picture.hpp"
#include "tool/machine_text.hpp"
#include "tool/markup.hpp"
#include "tool/units.hpp"

#include <algorithm>
#include <initializer_list>

#include <fmt/format.h>

namespace acre::tool {
namespace {

constexpr std::string_view page_style = R"(
:root { color-scheme: light dark; --paper: #ffffff; --ink: #1d2433; --quiet: #5b6577;
  --line: #e3e7ee; --bar: #1f66d0; --alarm: #b3261e; --good: #1a7f4b; }
@media (prefers-color-scheme: dark) { :root { --paper: #14181f; --ink: #e6eaf2;
  --quiet: #9aa5b8; --line: #262d38; --bar: #74a9ff; --alarm: #ff8a80; --good: #6fd39b; } }
body { background: var(--paper); color: var(--ink); margin: 2rem auto; max-width: 60rem;
  padding: 0 1rem; font: 15px/1.5 system-ui, "DejaVu Sans", sans-serif; }
h1 { font-size: 1.5rem; margin: 0; } h2 { font-size: 1.1rem; margin: 2.2rem 0 .4rem; }
p { margin: .3rem 0; } .quiet { color: var(--quiet); }
.verdict { border-left: 4px solid var(--good); padding: .2rem .8rem; margin: 1rem 0; }
.verdict.noisy { border-color: var(--alarm); }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { text-align: right; padding: .25rem .6rem; border-bottom: 1px solid var(--line); }
th { color: var(--quiet); font-weight: 600; }
th:first-child, td:first-child { text-align: left; padding-left: 0; }
td.wide { text-align: left; } svg { width: 100%; height: auto; display: block; }
.bar { display: inline-block; height: .6rem; background: var(--bar); border-radius: 2px;
  vertical-align: baseline; }
.track { display: inline-block; width: 64px; margin-left: .5rem; text-align: left; }
.scroll { overflow-x: auto; }
)";

std::string cell(std::string_view text) {
  return fmt::format("<td>{}</td>", escape_markup(text));
}

std::string row(std::initializer_list<std::string> cells) {
  std::string text = "<tr>";
  for (const auto& each : cells)
    text += cell(each);
  return text + "</tr>\n";
}

std::string table(std::initializer_list<const char*> heads, const std::string& rows) {
  std::string text = "<div class=\"scroll\"><table>\n<tr>";
  for (const auto* each : heads)
    text += fmt::format("<th>{}</th>", each);
  return text + "</tr>\n" + rows + "</table></div>\n";
}

std::string title(std::string_view text) {
  return fmt::format("<h2>{}</h2>\n", escape_markup(text));
}

std::string latency_of(const machine_measurement& measurement, const std::string& level) {
  const auto found = std::ranges::find(measurement.levels, level, &level_latency::level);
  if (found == measurement.levels.end() || !found->ns) return "-";
  return fmt::format("{}, {:.0f} cycles", format_ns(*found->ns), *found->ns * measurement.core_ghz);
}

std::string caches(const machine_description& machine, const machine_measurement& measurement) {
  std::string rows;
  for (const auto& cache : machine.caches)
    rows += row({cache.name, format_bytes(cache.size_bytes), fmt::format("{}", cache.line_bytes),
                 format_ways(cache.ways), fmt::format("{}", cache.count),
                 fmt::format("{}", cache.sharing_cpus),
                 cache.is_here ? latency_of(measurement, cache.name) : "-"});
  rows += row({"memory", format_bytes(machine.memory.memory_bytes), "", "", "", "",
               latency_of(measurement, "memory")});
  return title("Levels") +
         table({"level", "size", "line", "ways", "count", "CPUs each", "latency"}, rows);
}

std::string tlbs(const machine_description& machine) {
  if (machine.tlbs.empty()) return {};
  std::string rows;
  for (const auto& tlb : machine.tlbs)
    rows += row({fmt::format("L{} {}", tlb.level, tlb.kind), tlb.pages,
                 fmt::format("{}", tlb.entries), format_ways(tlb.ways)});
  return title("Translations kept") + table({"TLB", "pages", "entries", "ways"}, rows);
}

/// A number with a bar beside it.
std::string rate(double value, double largest) {
  return fmt::format(
      "<td>{:.1f}<span class=\"track\"><span class=\"bar\" style=\"width:{:.1f}px\"></span></span>"
      "</td>",
      value, largest > 0 ? 64 * value / largest : 0);
}

std::string bandwidths(const machine_measurement& measurement) {
  double largest = 0;
  for (const auto& each : measurement.bandwidths)
    largest = std::max({largest, each.read.maximum, each.write.maximum, each.copy.maximum});
  std::string rows;
  for (const auto& each : measurement.bandwidths) {
    const auto name = each.node ? fmt::format("{} of node {}", each.level, *each.node) : each.level;
    rows += "<tr>" + cell(name) + cell(fmt::format("{}", each.cpus));
    if (each.missing.empty())
      rows += cell(format_bytes(each.size_bytes)) + rate(each.read.maximum, largest) +
              rate(each.write.maximum, largest) + rate(each.copy.maximum, largest);
    else
      rows += fmt::format("<td class=\"wide\" colspan=\"4\">not measured: {}</td>",
                          escape_markup(each.missing));
    rows += "</tr>\n";
  }
  return title(fmt::format("Bandwidth in GB/s, {}", measurement.instructions)) +
         table({"level", "CPUs", "each CPU's set", "read", "write", "copy"}, rows);
}

std::string node_latencies(const machine_measurement& measurement) {
  if (measurement.node_latencies.empty()) return {};
  std::string rows;
  for (const auto& pair : measurement.node_latencies)
    rows += row({fmt::format("{}", pair.cpu_node), fmt::format("{}", pair.memory_node),
                 format_ns(pair.latency_ns.minimum)});
  return title("Latency between nodes") + table({"CPU's node", "memory's node", "latency"}, rows);
}

std::string costs(const machine_measurement& measurement) {
  std::string rows;
  for (const auto& cost : measurement.costs) {
    if (cost.missing.empty())
      rows += row({cost.name, format_ns(cost.ns.median), format_ns(cost.ns.minimum), cost.unit});
    else
      rows += fmt::format("<tr>{}<td class=\"wide\" colspan=\"3\">not measured: {}</td></tr>\n",
                          cell(cost.name), escape_markup(cost.missing));
  }
  return title("What the kernel charges") + table({"", "median", "least", "for a"}, rows);
}

std::string kernel_memory(const machine_description& machine) {
  std::string rows;
  for (const auto& [name, value] : list_kernel_memory(machine.memory))
    rows += row({name, value});
  return title("Memory as the kernel manages it") + table({"", ""}, rows);
}

std::string head(const machine_description& machine, const machine_measurement& measurement) {
  const bool is_noisy = !measurement.noise.reasons.empty();
  auto text = fmt::format(
      "<h1>{}</h1>\n<p class=\"quiet\">{}; Linux {}; {}. Measured in {:.1f} s at {:.2f} GHz by "
      "acre "
      "{}.</p>\n<p class=\"verdict{}\">This machine was {}.</p>\n",
      escape_markup(machine.processor.name), describe_size(machine),
      escape_markup(machine.host.kernel), escape_markup(describe_place(machine.host)),
      measurement.seconds, measurement.core_ghz, ACRE_VERSION, is_noisy ? " noisy" : "",
      escape_markup(describe_trust(measurement.noise)));
  for (const auto& note : measurement.noise.notes)
    text += fmt::format("<p>{}.</p>\n", escape_markup(note));
  return text;
}

std::string curves(const machine_description& machine, const machine_measurement& measurement) {
  auto text = title("Latency of a load that waits for the one before, over working sets") +
              draw_working_sets(machine, measurement);
  for (const auto* curve : {&measurement.huge_pages, &measurement.small_pages})
    if (!curve->missing.empty())
      text += fmt::format("<p class=\"quiet\">No curve on {}: {}.</p>\n", curve->name,
                          escape_markup(curve->missing));
  for (const auto& step : measurement.steps)
    text += fmt::format("<p>{}.</p>\n", escape_markup(describe_step(step)));
  const auto pages = draw_page_walk(machine, measurement);
  if (pages.empty()) return text;
  text += title("The same with one line in each page: the TLB alone") + pages;
  for (const auto& step : measurement.page_steps)
    text += fmt::format("<p>{}.</p>\n", escape_markup(describe_page_step(step, machine)));
  return text;
}

}  // namespace

std::string format_machine_html(const machine_description& machine,
                                const machine_measurement& measurement) {
  return fmt::format(
             "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
             "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
             "<title>Memory of {}</title>\n<style>{}{}</style>\n</head>\n<body>\n",
             escape_markup(machine.processor.name), page_style, picture_style()) +
         head(machine, measurement) + curves(machine, measurement) + caches(machine, measurement) +
         tlbs(machine) + bandwidths(measurement) + node_latencies(measurement) +
         costs(measurement) + kernel_memory(machine) +
         "<p class=\"quiet\">Latencies are the least of their repetitions, bandwidths the most, "
         "costs of the kernel medians.</p>\n</body>\n</html>\n";
}

}  // namespace acre::tool
