#include "tool/maps_text.hpp"

#include "tool/maps_columns.hpp"
#include "tool/maps_rows.hpp"
#include "tool/terminal.hpp"
#include "tool/units.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cctype>
#include <cmath>
#include <cstdlib>
#include <map>
#include <span>
#include <tuple>

#include <fmt/chrono.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <langinfo.h>

namespace acre::tool {
namespace {

using enum os::memory_field;

/// Rows that a picture has at most, unless all are asked for.
constexpr std::size_t rows_max = 60;
constexpr std::size_t parts_max = 12;
/// A bar has a cell for the first page, and one more with each doubling.
constexpr std::uint64_t bar_unit_bytes = 4096;

struct bar_glyphs {
  std::string_view full;
  std::string_view swapped;
  std::string_view empty;
};
constexpr bar_glyphs unicode_glyphs{"█", "▒", "░"};
constexpr bar_glyphs ascii_glyphs{"#", "s", "."};

std::size_t bar_length(std::uint64_t size_bytes) noexcept {
  const auto doublings = std::bit_width(std::max(size_bytes, bar_unit_bytes) / bar_unit_bytes);
  return std::min<std::size_t>(static_cast<std::size_t>(doublings), bar_cells);
}

/// How many of `cells` a part of a whole fills: at least one when there is anything, and all only
/// when it is all.
std::size_t cells_of(std::uint64_t part, std::uint64_t whole, std::size_t cells) noexcept {
  if (part == 0 || whole == 0) return 0;
  if (part >= whole) return cells;
  const auto share = static_cast<double>(part) / static_cast<double>(whole);
  const auto filled = static_cast<std::size_t>(std::lround(share * static_cast<double>(cells)));
  return std::clamp<std::size_t>(filled, 1, cells > 1 ? cells - 1 : 1);
}

/// A bar as long as the segment is large, filled as far as it is resident.
std::string bar(const map_row& row, const drawing& how) {
  const auto& glyphs = how.is_unicode ? unicode_glyphs : ascii_glyphs;
  const auto size = row.memory[os::memory_field::size];
  const auto cells = bar_length(size);
  const auto full = cells_of(row.memory[rss], size, cells);
  const auto swapped = std::min(cells_of(row.memory[swap], size, cells), cells - full);
  std::string text;
  for (std::size_t cell = 0; cell < bar_cells; ++cell) {
    text += cell < full             ? glyphs.full
            : cell < full + swapped ? glyphs.swapped
            : cell < cells          ? glyphs.empty
                                    : " ";
  }
  return text;
}

char lock_mark(const map_row& row) noexcept {
  if (row.locked == 0) return ' ';
  return row.locked == row.mappings ? 'L' : 'l';
}

/// Of mappings that differ the title says what is allowed.
std::string_view protection_text(const map_row& row) noexcept {
  return row.protections.size() == 1 ? std::string_view(row.protections.front()) : "mix";
}

/// What the row is, as words.
std::string title(const map_row& row) {
  std::string text(kind_name(row.kind));
  if (!row.label.empty()) text += ": " + printable(row.label);
  const auto differing =
      row.protections.size() > 1 ? fmt::format(": {}", fmt::join(row.protections, " ")) : "";
  if (row.mappings > 1) text += fmt::format(" [{}{}]", format_count(row.mappings), differing);
  if (row.guard_bytes > 0) text += fmt::format(", guards {}", brief_bytes(row.guard_bytes));
  return text;
}

void add_line(std::string& text, std::string line, const drawing& how) {
  line.erase(line.find_last_not_of(' ') + 1);
  text += cut(std::move(line), how.width) + "\n";
}

void add_heading(std::string& text, const std::string& line, const drawing& how) {
  text += how.colours.heading;
  text += cut(line, how.width);
  text += how.colours.end;
  text += "\n";
}

std::string command_text(const snapshot& what) {
  std::string text;
  for (const auto& word : what.command_line)
    text += (text.empty() ? "" : " ") + printable(word);
  return text.empty() ? printable(what.name) : text;
}

void add_head(std::string& text, const snapshot& what, const drawing& how) {
  add_heading(text, fmt::format("{} ({}): {}", printable(what.name), what.pid, command_text(what)),
              how);
  auto line =
      fmt::format("{} mappings, size {}, RSS {}, PSS {}", format_count(what.segments.size()),
                  format_bytes(what.total[os::memory_field::size]), format_bytes(what.total[rss]),
                  format_bytes(what.total[pss]));
  if (what.total[swap] > 0) line += fmt::format(", swap {}", format_bytes(what.total[swap]));
  if (what.page_table_bytes)
    line += fmt::format(", page tables {}", format_bytes(*what.page_table_bytes));
  if (what.limit_bytes) line += fmt::format(", limit {}", format_bytes(*what.limit_bytes));
  text += fold(line, how.width) + "\n";
}

/// Leaves the rows with most memory, in their order; the others are summed.
/// Returns:  the sum; without mappings when all rows stay.
map_row keep_largest(std::vector<map_row>& rows, std::size_t most) {
  map_row rest;
  if (rows.size() <= most) return rest;
  const auto weight = [](const map_row& row) {
    return std::tuple(row.memory[rss] + row.memory[swap], row.end - row.start);
  };
  std::vector<std::tuple<std::uint64_t, std::uint64_t>> weights;
  for (const auto& row : rows)
    weights.push_back(weight(row));
  const auto nth = weights.begin() + static_cast<std::ptrdiff_t>(most);
  std::ranges::nth_element(weights, nth, std::ranges::greater{});
  const auto least = *nth;
  std::vector<map_row> kept;
  for (auto& row : rows) {
    if (kept.size() < most && weight(row) > least) {
      kept.push_back(std::move(row));
      continue;
    }
    rest.mappings += row.mappings;
    rest.memory += row.memory;
  }
  rows = std::move(kept);
  return rest;
}

/// How many digits of an address are shown.
std::size_t address_digits(const std::vector<segment>& segments) {
  int digits = 12;
  for (const auto& each : segments) {
    // The page of vsyscall at the very top may stick out.
    const auto start = each.mapping().start;
    if (start >> 63U == 0)
      digits = std::max(digits, static_cast<int>(std::bit_width(start) + 3) / 4);
  }
  return static_cast<std::size_t>(digits);
}

std::string row_text(const map_row& row, std::size_t digits, const map_columns& shown,
                     const drawing& how) {
  auto text = fmt::format("{:0{}x}{}", row.start, digits, shown.figures(row.memory));
  if (shown.has_protection()) text += fmt::format(" {:<4}{}", protection_text(row), lock_mark(row));
  if (shown.has_bar()) text += "  " + bar(row, how);
  return text + " " + title(row);
}

void add_rows(std::string& text, std::vector<map_row> rows, bool is_all, std::size_t digits,
              const map_columns& shown, const drawing& how) {
  const auto rest = keep_largest(rows, is_all ? rows.size() : rows_max);
  const auto beside = [&](std::string_view protection, std::string_view resident) {
    std::string words;
    if (shown.has_protection()) words += fmt::format(" {:<5}", protection);
    if (shown.has_bar()) words += fmt::format("  {:<{}}", resident, bar_cells);
    return words;
  };
  text += "\n";
  add_heading(text,
              fmt::format("{:<{}}{}{} WHAT", "ADDRESS", digits, shown.heads(),
                          beside("PROT", "RESIDENT OF SIZE")),
              how);
  for (const auto& row : rows)
    add_line(text, row_text(row, digits, shown, how), how);
  if (rest.mappings == 0) return;
  add_line(text,
           fmt::format("{:<{}}{}{} {} smaller mappings; --all shows them", "", digits,
                       shown.figures(rest.memory), beside("", ""), format_count(rest.mappings)),
           how);
}

void add_kinds(std::string& text, const snapshot& what, const map_columns& shown,
               const drawing& how) {
  text += "\n";
  add_heading(text, fmt::format("{:<16}{} MAPPINGS", "KIND", shown.heads()), how);
  const auto add = [&](std::string_view name, const os::memory_counts& memory,
                       std::size_t mappings) {
    add_line(text,
             fmt::format("{:<16}{} {:>8}", name, shown.figures(memory), format_count(mappings)),
             how);
  };
  for (const auto& row : sum_kinds(what.segments))
    add(kind_name(row.kind), row.memory, row.mappings);
  add("all", what.total, what.segments.size());
}

void add_heap(std::string& text, const snapshot& what, const drawing& how) {
  if (what.heap_parts.empty()) return;
  text += "\n";
  add_heading(text,
              fmt::format("{:<22}{:>8}{:>8}{:>8}{:>13}{:>13}", "ACRE HEAP HOLDS", "SIZE", "RSS",
                          "SWAP", "LIVE BLOCKS", "FREE BLOCKS"),
              how);
  const auto shown = std::min(what.heap_parts.size(), parts_max);
  heap_part rest;
  for (std::size_t index = 0; index < what.heap_parts.size(); ++index) {
    const auto& part = what.heap_parts[index];
    if (index >= shown) {
      rest.size_bytes += part.size_bytes;
      rest.resident_bytes += part.resident_bytes;
      rest.swapped_bytes += part.swapped_bytes;
      rest.blocks += part.blocks;
      rest.live_blocks += part.live_blocks;
    }
  }
  const auto add_part = [&](const heap_part& part) {
    const auto count = [&](std::uint64_t blocks) {
      return part.blocks == 0 ? std::string("-") : format_count(blocks);
    };
    add_line(
        text,
        fmt::format("{:<22}{:>8}{:>8}{:>8}{:>13}{:>13}", part.what, brief_bytes(part.size_bytes),
                    brief_bytes(part.resident_bytes), brief_bytes(part.swapped_bytes),
                    count(part.live_blocks), count(part.blocks - part.live_blocks)),
        how);
  };
  for (const auto& part : std::span(what.heap_parts).first(shown))
    add_part(part);
  if (what.heap_parts.size() <= shown) return;
  rest.what = fmt::format("{} further", what.heap_parts.size() - shown);
  add_part(rest);
}

/// A number of bytes with its sign.
std::string change(std::uint64_t before, std::uint64_t after) {
  if (before == after) return "-";
  return (after > before ? "+" : "-") +
         brief_bytes(after > before ? after - before : before - after);
}

using row_key = std::tuple<segment_kind, std::string>;

/// Rows by what they are; several of one name (thread stacks, anonymous ranges) are one.
std::map<row_key, map_row> keyed_rows(const snapshot& what) {
  std::map<row_key, map_row> keyed;
  for (auto& row : make_rows(what.segments, false)) {
    const auto [found, is_new] = keyed.try_emplace({row.kind, row.label}, row);
    if (is_new) continue;
    found->second.mappings += row.mappings;
    found->second.memory += row.memory;
  }
  return keyed;
}

struct row_change {
  map_row before;
  map_row after;

  [[nodiscard]] bool is_any() const noexcept {
    return before.memory[size] != after.memory[size] || before.memory[rss] != after.memory[rss] ||
           before.memory[pss] != after.memory[pss] || before.memory[swap] != after.memory[swap] ||
           before.memory.dirty_bytes() != after.memory.dirty_bytes() ||
           before.mappings != after.mappings;
  }

 private:
  static constexpr auto size = os::memory_field::size;
};

/// The row's change of the figure that rows are ordered by; without one, of what is resident.
std::uint64_t order_change(const row_change& change, std::optional<maps_order> order) {
  const auto by = order.value_or(maps_order::rss);
  const auto old_bytes = order_figure(change.before, by);
  const auto new_bytes = order_figure(change.after, by);
  return old_bytes > new_bytes ? old_bytes - new_bytes : new_bytes - old_bytes;
}

std::vector<row_change> changed_rows(const snapshot& before, const snapshot& after,
                                     std::optional<maps_order> order) {
  std::vector<row_change> changes;
  auto old_rows = keyed_rows(before);
  for (auto& [key, row] : keyed_rows(after)) {
    const auto found = old_rows.find(key);
    changes.push_back({found == old_rows.end() ? map_row{} : found->second, row});
    if (found != old_rows.end()) old_rows.erase(found);
  }
  for (auto& [key, row] : old_rows) {
    map_row gone;
    gone.kind = row.kind;
    gone.label = row.label;
    changes.push_back({row, gone});
  }
  std::erase_if(changes, [](const row_change& each) { return !each.is_any(); });
  std::ranges::sort(changes, std::ranges::greater{}, [order](const row_change& each) {
    return std::tuple(order_change(each, order), order_change(each, maps_order::size),
                      each.after.kind, std::string_view(each.after.label));
  });
  return changes;
}

std::string change_figures(const os::memory_counts& before, const os::memory_counts& after) {
  std::string text;
  for (const auto field : {os::memory_field::size, rss, pss, swap})
    text += fmt::format(" {:>7}", change(before[field], after[field]));
  return text + fmt::format(" {:>7}", change(before.dirty_bytes(), after.dirty_bytes()));
}

}  // namespace

drawing drawing_for(int file) {
  drawing how{.colours = ink_for(file), .is_unicode = false, .width = 0};
  how.is_unicode = std::string_view(::nl_langinfo(CODESET)) == "UTF-8";
  how.width = terminal_columns(file).value_or(0);
  return how;
}

std::string brief_bytes(std::uint64_t bytes) {
  if (bytes == 0) return "-";
  constexpr std::string_view units = "BKMGTPE";
  auto value = static_cast<double>(bytes);
  std::size_t unit = 0;
  while (value >= 999.5 && unit + 1 < units.size()) {
    value /= 1024;
    ++unit;
  }
  if (unit == 0) return fmt::format("{}B", bytes);
  const bool is_whole = value == std::floor(value);
  return fmt::format("{:.{}f}{}", value, is_whole || value >= 99.95 ? 0 : 1, units[unit]);
}

std::string printable(std::string_view text) {
  std::string result;
  for (const char letter : text) {
    const auto byte = static_cast<unsigned char>(letter);
    if (letter == '\n') {
      result += "\\n";
    } else if (byte < 0x20 || byte == 0x7f) {
      result += fmt::format("\\x{:02x}", byte);
    } else {
      result += letter;
    }
  }
  return result;
}

std::string format_maps(const snapshot& what, maps_order order, bool is_all, const drawing& how) {
  std::string text;
  add_head(text, what, how);
  auto rows = make_rows(what.segments, is_all);
  sort_rows(rows, order);
  const auto digits = address_digits(what.segments);
  const map_columns shown(what.total, digits, how.width);
  add_rows(text, std::move(rows), is_all, digits, shown, how);
  add_kinds(text, what, shown, how);
  add_heap(text, what, how);
  for (const auto& note : what.notes)
    text += "\n" + fold("note: " + note, how.width) + "\n";
  return text;
}

std::string format_maps_diff(const snapshot& before, const snapshot& after,
                             std::optional<maps_order> order, const drawing& how) {
  std::string text;
  const auto passed = std::chrono::duration<double, std::milli>(after.time - before.time);
  const auto time = format_duration(std::max(passed.count(), 0.0));
  const auto relation = before.pid == after.pid
                            ? fmt::format("changes in {}", time)
                            : fmt::format("compared with {} ({}), {} before",
                                          printable(before.name), before.pid, time);
  add_heading(text, fmt::format("{} ({}): {}", printable(after.name), after.pid, relation), how);
  const auto changes = changed_rows(before, after, order);
  if (changes.empty()) {
    text += "nothing changed\n";
    return text;
  }
  add_heading(text, "    SIZE     RSS     PSS    SWAP   DIRTY  WHAT", how);
  for (const auto& each : changes) {
    auto row = each.after;
    row.mappings = 0;
    row.guard_bytes = 0;
    std::string words = title(row);
    if (each.before.mappings != each.after.mappings)
      words += fmt::format(" [{} -> {}]", each.before.mappings, each.after.mappings);
    add_line(text,
             fmt::format("{}  {}", change_figures(each.before.memory, each.after.memory), words),
             how);
  }
  add_line(text, fmt::format("{}  all", change_figures(before.total, after.total)), how);
  return text;
}

}  // namespace acre::tool
