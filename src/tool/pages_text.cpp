#include "tool/pages_text.hpp"

#include "tool/terminal.hpp"
#include "tool/units.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <tuple>

#include <fmt/format.h>

namespace acre::tool {
namespace {

using json = nlohmann::ordered_json;

constexpr std::size_t letters_most = 64;
constexpr std::size_t address_columns = 14;
constexpr std::size_t map_rows = 24;
constexpr std::size_t areas_max = 12;

/// Small where less than half of a cell's pages are so, capital from half on.
constexpr std::string_view small_letters = ".gszhfa";
constexpr std::string_view capital_letters = ".GSZHFA";

char letter_of(const heat_cell& cell) noexcept {
  const auto state = cell.main_state();
  const auto& letters = cell.share(state) < 0.5 ? small_letters : capital_letters;
  return letters[static_cast<std::size_t>(state)];
}

std::string percent_of(std::uint64_t part, std::uint64_t whole) {
  if (whole == 0) return "-";
  return fmt::format("{:.1f} %", 100 * static_cast<double>(part) / static_cast<double>(whole));
}

void add_counts(std::string& text, const page_view& view) {
  for (std::size_t index = 0; index < view.counts.size(); ++index) {
    const auto pages = view.counts[index];
    if (pages == 0) continue;
    text += fmt::format("  {:<20}{:>12} pages  {:>10}  {:>7}\n",
                        page_state_name(static_cast<page_state>(index)), format_count(pages),
                        format_bytes(pages * view.page_bytes), percent_of(pages, view.pages));
  }
}

void add_facts(std::string& text, const page_view& view) {
  const auto add = [&](std::string_view name, std::uint64_t pages) {
    text += fmt::format("  {:<20}{:>12} pages  {:>10}\n", name, format_count(pages),
                        format_bytes(pages * view.page_bytes));
  };
  if (view.exclusive_pages) add("mapped here alone", *view.exclusive_pages);
  for (const auto& [node, pages] : view.node_pages)
    add(fmt::format("on node {}", node), pages);
  for (const auto& [name, pages] : view.frame_flags)
    add(name, pages);
  text += fmt::format("  {:<20}{:>31}\n", "page tables",
                      fmt::format("at least {}", format_bytes(view.leaf_table_bytes)));
  if (view.page_table_bytes) {
    text +=
        fmt::format("  {:<20}{:>31}\n", "  whole process", format_bytes(*view.page_table_bytes));
  }
}

/// Letters in a line of the heat map: a power of two, so that addresses stay round.
std::size_t letters_in(std::size_t width) noexcept {
  std::size_t letters = letters_most;
  while (width > 0 && letters > 8 && address_columns + letters > width)
    letters /= 2;
  return letters;
}

void add_heat_map(std::string& text, const page_view& view, const drawing& how) {
  const auto letters = letters_in(how.width);
  const auto map = make_heat_map(view, letters * map_rows);
  text +=
      fmt::format("\n{}Pages by address, {} {} each{}\n", how.colours.heading,
                  map.pages_per_cell == 1 ? std::string("one") : format_count(map.pages_per_cell),
                  map.pages_per_cell == 1 ? "letter" : "to a letter", how.colours.end);
  // Cells are numbered from the first area on; the address of each line says where it begins.
  std::size_t area = 0;
  std::uint64_t before = 0;
  for (std::size_t first = 0; first < map.cells.size(); first += letters) {
    const auto page = first * map.pages_per_cell;
    while (area + 1 < view.areas.size() &&
           page - before >= (view.areas[area].end - view.areas[area].start) / view.page_bytes) {
      before += (view.areas[area].end - view.areas[area].start) / view.page_bytes;
      ++area;
    }
    text += fmt::format("{:>12x}  ", view.areas[area].start + (page - before) * view.page_bytes);
    const auto last = std::min(first + letters, map.cells.size());
    for (std::size_t index = first; index < last; ++index)
      text += letter_of(map.cells[index]);
    text += "\n";
  }
  text +=
      "  a anonymous, f file, h huge, z zero page, s swapped, g guard, . not present;\n"
      "  capital: half of the letter's pages or more\n";
}

void add_working_set(std::string& text, const page_view& view, const drawing& how) {
  if (!view.used) return;
  std::uint64_t referenced = 0;
  std::uint64_t resident = 0;
  std::uint64_t written = 0;
  for (const auto& area : view.areas) {
    referenced += area.referenced_bytes;
    resident += area.what.usage.memory[os::memory_field::rss];
    written += area.written_pages;
  }
  text +=
      fmt::format("\n{}Used within {}{}\n", how.colours.heading,
                  format_duration(static_cast<double>(view.used->time.count())), how.colours.end);
  text += fmt::format("  {:<20}{:>12} of {} resident, {}\n", "referenced, at least",
                      format_bytes(referenced), format_bytes(resident),
                      percent_of(referenced, resident));
  if (view.used->has_written) {
    text += fmt::format("  {:<20}{:>12}\n", "written", format_bytes(written * view.page_bytes));
  }
  auto areas = view.areas;
  std::ranges::sort(areas, {}, [](const page_area& area) {
    return std::tuple(~area.referenced_bytes, area.start);
  });
  areas.resize(std::min(areas.size(), areas_max));
  for (const auto& area : areas) {
    if (area.referenced_bytes == 0) break;
    text += fmt::format("    {:>12x} {:>10}  {}{}{}\n", area.start,
                        format_bytes(area.referenced_bytes), kind_name(area.what.kind),
                        area.what.label.empty() ? "" : ": ", printable(area.what.label));
  }
}

json categories(const os::page_span& span) {
  json names = json::array();
  using enum os::page_category;
  for (const auto& [category, name] : {std::pair(present, "present"),
                                       {swapped, "swapped"},
                                       {file, "file"},
                                       {zero_page, "zero"},
                                       {huge, "huge"},
                                       {soft_dirty, "soft_dirty"},
                                       {guard, "guard"}}) {
    if (span.is(category)) names.push_back(name);
  }
  return names;
}

}  // namespace

std::string format_pages(const page_view& view, const drawing& how) {
  std::string text = fmt::format(
      "{}{} ({}): {} page{} of {} in {} mapping{}{}\n", how.colours.heading, printable(view.name),
      view.pid, format_count(view.pages), view.pages == 1 ? "" : "s", format_bytes(view.page_bytes),
      format_count(view.areas.size()), view.areas.size() == 1 ? "" : "s", how.colours.end);
  add_counts(text, view);
  text += "\n";
  add_facts(text, view);
  add_heat_map(text, view, how);
  add_working_set(text, view, how);
  for (const auto& note : view.notes)
    text += "\nnote: " + note + "\n";
  return fold(text, how.width);
}

std::string format_pages_json(const page_view& view) {
  json object;
  object["acre_pages"] = 1;
  object["pid"] = view.pid;
  object["name"] = view.name;
  object["page_bytes"] = view.page_bytes;
  object["pages"] = view.pages;
  for (std::size_t index = 0; index < view.counts.size(); ++index)
    object["counts"][page_state_name(static_cast<page_state>(index))] = view.counts[index];
  object["exclusive_pages"] = view.exclusive_pages ? json(*view.exclusive_pages) : json(nullptr);
  object["nodes"] = json::object();
  for (const auto& [node, pages] : view.node_pages)
    object["nodes"][std::to_string(node)] = pages;
  object["frames"] = json::object();
  for (const auto& [name, pages] : view.frame_flags)
    object["frames"][name] = pages;
  object["page_table_bytes"] = view.page_table_bytes ? json(*view.page_table_bytes) : json(nullptr);
  object["leaf_table_bytes"] = view.leaf_table_bytes;
  object["working_set_ms"] = view.used ? json(view.used->time.count()) : json(nullptr);
  object["mappings"] = json::array();
  for (const auto& area : view.areas) {
    json row;
    row["start"] = fmt::format("{:x}", area.start);
    row["end"] = fmt::format("{:x}", area.end);
    row["kind"] = kind_key(area.what.kind);
    row["label"] = area.what.label;
    if (view.used) row["referenced_bytes"] = area.referenced_bytes;
    if (view.used && view.used->has_written) row["written_pages"] = area.written_pages;
    row["spans"] = json::array();
    for (const auto& span : area.spans) {
      row["spans"].push_back({{"start", fmt::format("{:x}", span.start)},
                              {"pages", (span.end - span.start) / view.page_bytes},
                              {"is", categories(span)}});
    }
    object["mappings"].push_back(row);
  }
  object["notes"] = view.notes;
  return object.dump(1, ' ', false, json::error_handler_t::replace) + "\n";
}

}  // namespace acre::tool
