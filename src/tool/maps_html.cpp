#include "tool/maps_html.hpp"

#include "tool/maps_rows.hpp"
#include "tool/maps_text.hpp"
#include "tool/markup.hpp"
#include "tool/units.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <string_view>

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace acre::tool {
namespace {

using enum os::memory_field;

constexpr std::string_view head = R"(<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>
:root { color-scheme: light dark; --line: #8884; --empty: #8883; }
body { font: 14px/1.4 system-ui, sans-serif; margin: 1.5rem; max-width: 80rem; }
h1 { font-size: 1.2rem; overflow-wrap: anywhere; } h2 { font-size: 1rem; margin-top: 1.5rem; }
table { border-collapse: collapse; width: 100%; }
th, td { padding: .15rem .5rem; border-bottom: 1px solid var(--line); text-align: right; white-space: nowrap; }
th { position: sticky; top: 0; background: Canvas; cursor: pointer; }
th:focus-visible { outline: 2px solid; }
.l { text-align: left; } td.w { text-align: left; white-space: normal; overflow-wrap: anywhere; }
.a, .p { font-family: ui-monospace, monospace; }
.b { display: block; height: .8rem; background: var(--empty); }
.b i { display: block; height: 100%; float: left; }
.strip { display: flex; height: 2rem; width: 100%; background: var(--empty); }
.strip span { min-width: 1px; }
.key { display: inline-block; width: .8rem; height: .8rem; margin-right: .4rem; vertical-align: -1px; }
.sw { background: repeating-linear-gradient(45deg, #888 0 3px, transparent 3px 6px); }
)";

constexpr std::string_view script = R"(<script>
for (const head of document.querySelectorAll("th")) {
  head.tabIndex = 0;
  const sort = () => {
    const body = head.closest("table").tBodies[0];
    const column = [...head.parentNode.children].indexOf(head);
    const down = head.getAttribute("aria-sort") !== "descending";
    for (const each of head.parentNode.children) each.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
    const key = row => row.children[column].dataset.v ?? row.children[column].textContent;
    const compare = (a, b) => {
      const x = key(a), y = key(b), n = Number(x) - Number(y);
      return Number.isNaN(n) ? x.localeCompare(y) : n;
    };
    body.append(...[...body.rows].sort((a, b) => down ? compare(b, a) : compare(a, b)));
  };
  head.addEventListener("click", sort);
  head.addEventListener("keydown", event => { if (event.key === "Enter") sort(); });
}
</script></body></html>
)";

/// One colour a kind, in their order; distinct also for most who do not see all colours.
constexpr std::array<std::string_view, static_cast<std::size_t>(segment_kind::count)> colours{
    "#1f6fb4", "#6baed6", "#2ca25f", "#99d8a0", "#e6a010", "#d95f0e", "#8c510a",
    "#756bb1", "#c51b7d", "#f1a3cc", "#41ab9d", "#e31a1c", "#a6862f", "#0aa5c0",
    "#7a0177", "#636363", "#000000", "#bdbdbd", "#969696"};

std::string_view colour(segment_kind kind) noexcept {
  return colours[static_cast<std::size_t>(kind)];
}

std::string escaped(std::string_view text) {
  return escape_markup(printable(text));
}

double percent(std::uint64_t part, std::uint64_t whole) noexcept {
  return whole == 0 ? 0 : 100 * static_cast<double>(part) / static_cast<double>(whole);
}

void add_cell(std::string& text, std::uint64_t bytes) {
  text += fmt::format("<td data-v=\"{}\">{}</td>", bytes, bytes == 0 ? "" : brief_bytes(bytes));
}

void add_amounts(std::string& text, const os::memory_counts& memory) {
  for (const auto bytes : {memory[os::memory_field::size], memory[rss], memory[pss], memory[swap],
                           memory.dirty_bytes(), memory.huge_bytes(), memory[locked]})
    add_cell(text, bytes);
}

constexpr std::string_view amount_heads =
    "<th>Size</th><th>RSS</th><th>PSS</th><th>Swap</th><th>Dirty</th><th>Huge</th><th>Locked</th>";

/// As long as the segment is large, a step with each doubling, and filled as far as it is resident.
void add_bar(std::string& text, const map_row& row) {
  const auto size_bytes = row.memory[os::memory_field::size];
  const auto pages = static_cast<double>(std::max<std::uint64_t>(size_bytes, 4096)) / 4096;
  const double width = std::min(100.0, 6 + 5 * std::log2(pages));
  text += fmt::format(
      "<td class=\"l\" style=\"width:12rem\"><span class=\"b\" style=\"width:{:.0f}%\">", width);
  text += fmt::format("<i style=\"width:{:.2f}%;background:{}\"></i>",
                      percent(row.memory[rss], size_bytes), colour(row.kind));
  if (row.memory[swap] > 0) {
    text += fmt::format("<i class=\"sw\" style=\"width:{:.2f}%\"></i>",
                        percent(row.memory[swap], size_bytes));
  }
  text += "</span></td>";
}

/// All that is resident, side by side.
void add_strip(std::string& text, const snapshot& what) {
  text += "<div class=\"strip\" role=\"img\" aria-label=\"Resident memory by kind\">";
  for (const auto& row : sum_kinds(what.segments)) {
    if (row.memory[rss] == 0) continue;
    text += fmt::format("<span style=\"flex-grow:{};background:{}\" title=\"{}: {}\"></span>",
                        row.memory[rss] / 1024, colour(row.kind), kind_name(row.kind),
                        format_bytes(row.memory[rss]));
  }
  text += "</div>\n";
}

void add_kinds(std::string& text, const snapshot& what) {
  text += fmt::format(
      "<h2>By kind</h2><table><thead><tr><th class=\"l\">Kind</th>{}<th>Mappings</th>"
      "</tr></thead><tbody>\n",
      amount_heads);
  for (const auto& row : sum_kinds(what.segments)) {
    text += fmt::format("<tr><td class=\"l\"><i class=\"key\" style=\"background:{}\"></i>{}</td>",
                        colour(row.kind), kind_name(row.kind));
    add_amounts(text, row.memory);
    text += fmt::format("<td>{}</td></tr>\n", row.mappings);
  }
  text += "</tbody></table>\n";
}

void add_heap(std::string& text, const snapshot& what) {
  if (what.heap_parts.empty()) return;
  text +=
      "<h2>What Acre's heap holds</h2><table><thead><tr><th class=\"l\">What</th><th>Size</th>"
      "<th>RSS</th><th>Swap</th><th>Live blocks</th><th>Free blocks</th></tr></thead><tbody>\n";
  for (const auto& part : what.heap_parts) {
    text += fmt::format("<tr><td class=\"l\">{}</td>", escaped(part.what));
    add_cell(text, part.size_bytes);
    add_cell(text, part.resident_bytes);
    add_cell(text, part.swapped_bytes);
    text += fmt::format("<td>{}</td><td>{}</td></tr>\n", part.live_blocks,
                        part.blocks - part.live_blocks);
  }
  text += "</tbody></table>\n";
}

void add_rows(std::string& text, const snapshot& what, bool is_all) {
  text += fmt::format(
      "<h2>Segments</h2><table><thead><tr><th class=\"l\">Address</th>{}<th class=\"l\">Prot</th>"
      "<th class=\"l\">Resident</th><th "
      "class=\"l\">What</th><th>Mappings</th></tr></thead><tbody>\n",
      amount_heads);
  for (const auto& row : make_rows(what.segments, is_all)) {
    text += fmt::format("<tr><td class=\"l a\" data-v=\"{}\">{:012x}</td>", row.start, row.start);
    add_amounts(text, row.memory);
    text += fmt::format("<td class=\"l p\">{}</td>", fmt::join(row.protections, " "));
    add_bar(text, row);
    text += fmt::format("<td class=\"w\">{}{}{}</td><td>{}</td></tr>\n", kind_name(row.kind),
                        row.label.empty() ? "" : ": ", escaped(row.label), row.mappings);
  }
  text += "</tbody></table>\n";
}

}  // namespace

std::string format_maps_html(const snapshot& what, bool is_all) {
  const auto title = escaped(fmt::format("{} ({})", what.name, what.pid));
  std::string words;
  for (const auto& word : what.command_line)
    words += (words.empty() ? "" : " ") + escaped(word);
  std::string text(head);
  text += fmt::format("</style><title>{} - acre maps</title></head><body><h1>{}: {}</h1>\n", title,
                      title, words);
  text += fmt::format(
      "<p>{} mappings, size {}, RSS {}, PSS {}, swap {}</p>\n", format_count(what.segments.size()),
      format_bytes(what.total[os::memory_field::size]), format_bytes(what.total[rss]),
      format_bytes(what.total[pss]), format_bytes(what.total[swap]));
  add_strip(text, what);
  add_kinds(text, what);
  add_heap(text, what);
  add_rows(text, what, is_all);
  for (const auto& note : what.notes)
    text += fmt::format("<p>Note: {}</p>\n", escaped(note));
  text += script;
  return text;
}

}  // namespace acre::tool
