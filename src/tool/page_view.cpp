#include "tool/page_view.hpp"

#include "tool/error.hpp"

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <thread>

#include <fmt/format.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace acre::tool {
namespace {

using os::page_category;
using enum os::memory_field;

/// Above this many pages, single pages are not looked at: it would take seconds.
constexpr std::uint64_t single_pages_max = 4'000'000;
constexpr std::size_t chunk_pages = 16384;

constexpr std::array<std::string_view, static_cast<std::size_t>(page_state::count)> state_names{
    "not present", "guard", "swapped", "zero page", "huge", "file", "anonymous"};

std::uint64_t mask(page_category category) noexcept {
  return static_cast<std::uint64_t>(category);
}

std::string lower_case(std::string_view text) {
  std::string result;
  for (const char letter : text)
    result += static_cast<char>(std::tolower(static_cast<unsigned char>(letter)));
  return result;
}

std::optional<std::uint64_t> parse_address(std::string_view text) {
  if (text.starts_with("0x")) text.remove_prefix(2);
  std::uint64_t value = 0;
  const char* const end = text.data() + text.size();
  const auto [rest, problem] = std::from_chars(text.data(), end, value, 16);
  if (text.empty() || problem != std::errc{} || rest != end) return {};
  return value;
}

struct address_range {
  std::uint64_t start = 0;
  std::uint64_t end = 0;
};

/// "START-END" in hexadecimal.
std::optional<address_range> parse_range(std::string_view text) {
  const auto dash = text.find('-');
  if (dash == std::string_view::npos) return {};
  const auto start = parse_address(text.substr(0, dash));
  const auto end = parse_address(text.substr(dash + 1));
  if (!start || !end) return {};
  if (*start >= *end) {
    throw error(exit_code::misuse,
                fmt::format("the range '{}' is empty; it takes START-END with START below", text));
  }
  return address_range{*start, *end};
}

page_area area_of(const segment& each, std::uint64_t start, std::uint64_t end) {
  return {.what = each,
          .start = start,
          .end = end,
          .spans = {},
          .referenced_bytes = 0,
          .written_pages = 0};
}

page_area whole_area(const segment& each) {
  return area_of(each, each.mapping().start, each.mapping().end);
}

/// The mappings that a word means by its own name, its label or its kind.
std::vector<page_area> areas_by_name(const std::vector<segment>& segments,
                                     const std::string& selector) {
  std::vector<page_area> areas;
  const auto wanted = lower_case(selector);
  for (const auto& each : segments) {
    const auto has = [&](std::string_view text) {
      return lower_case(text).find(wanted) != std::string::npos;
    };
    if (has(each.label) || has(each.mapping().name) || has(kind_name(each.kind)))
      areas.push_back(whole_area(each));
  }
  return areas;
}

/// Every page of which a part is in the range.
std::vector<page_area> areas_in(const std::vector<segment>& segments, address_range range,
                                std::uint64_t page_bytes) {
  std::vector<page_area> areas;
  for (const auto& each : segments) {
    const auto start = std::max(each.mapping().start, range.start / page_bytes * page_bytes);
    auto end = each.mapping().end;
    if (range.end < end) end = (range.end + page_bytes - 1) / page_bytes * page_bytes;
    if (start < end) areas.push_back(area_of(each, start, end));
  }
  return areas;
}

std::vector<page_area> choose_areas(const snapshot& what, const std::string& selector,
                                    std::uint64_t page_bytes) {
  std::vector<page_area> areas;
  if (selector.empty()) {
    for (const auto& each : what.segments) {
      if (each.kind != segment_kind::reserved && each.kind != segment_kind::guard &&
          each.mapping().start >> 63U == 0)
        areas.push_back(whole_area(each));
    }
    return areas;
  }
  if (const auto range = parse_range(selector)) return areas_in(what.segments, *range, page_bytes);
  areas = areas_by_name(what.segments, selector);
  if (!areas.empty()) return areas;
  if (const auto address = parse_address(selector)) {
    for (const auto& each : what.segments) {
      if (each.mapping().contains(*address)) areas.push_back(whole_area(each));
    }
  }
  return areas;
}

/// All that is known of the pages of a range.
std::vector<os::page_span> spans_of(const os::page_map& map, const page_area& area) {
  using enum page_category;
  const auto wanted = mask(present) | mask(swapped) | mask(guard);
  if (auto spans = map.scan(area.start, area.end, wanted)) return *std::move(spans);
  return used_spans(map, area.start, area.end);
}

void count_pages(page_view& view) {
  for (const auto& area : view.areas) {
    const auto all = (area.end - area.start) / view.page_bytes;
    std::uint64_t somewhere = 0;
    for (const auto& span : area.spans) {
      const auto pages = (span.end - span.start) / view.page_bytes;
      view.counts[static_cast<std::size_t>(state_of(span))] += pages;
      somewhere += pages;
    }
    view.pages += all;
    view.counts[static_cast<std::size_t>(page_state::none)] += all - std::min(all, somewhere);
  }
}

/// The lowest page tables that the pages shown need: one for each 512 pages that are not huge.
std::uint64_t leaf_tables(const page_view& view) {
  const auto table_reach = view.page_bytes * 512;
  std::uint64_t tables = 0;
  std::uint64_t last = UINT64_MAX;
  for (const auto& area : view.areas) {
    for (const auto& span : area.spans) {
      if (span.is(page_category::huge)) continue;
      auto first = span.start / table_reach;
      const auto end = (span.end - 1) / table_reach;
      if (first == last) ++first;
      if (first > end) continue;
      tables += end - first + 1;
      last = end;
    }
  }
  return tables * view.page_bytes;
}

/// Calls `look` for the pages that are present, some at a time, with their entries.
template <class Look>
void for_each_present(const page_view& view, const os::page_map& map, Look look) {
  std::vector<os::page_entry> entries(chunk_pages);
  for (const auto& area : view.areas) {
    for (const auto& span : area.spans) {
      if (!span.is(page_category::present)) continue;
      for (auto at = span.start; at < span.end;) {
        const auto wanted = std::min<std::uint64_t>(chunk_pages, (span.end - at) / view.page_bytes);
        const auto count = map.read(at, std::span(entries).first(wanted));
        if (!count || *count == 0) return;
        look(at, std::span<const os::page_entry>(entries).first(*count));
        at += *count * view.page_bytes;
      }
    }
  }
}

/// Which nodes these pages are on, by move_pages(2) without a target.
void add_nodes(page_view& view, std::uint64_t start, std::size_t count) {
  std::vector<void*> pages(count);
  std::vector<int> nodes(count, -1);
  for (std::size_t index = 0; index < count; ++index)
    pages[index] = reinterpret_cast<void*>(start + index * view.page_bytes);
  const auto answer =
      ::syscall(SYS_move_pages, view.pid, count, pages.data(), nullptr, nodes.data(), 0);
  if (answer != 0) return;
  for (const int node : nodes) {
    if (node >= 0) ++view.node_pages[node];
  }
}

struct named_flag {
  os::frame_flag flag;
  std::string_view name;
};
constexpr std::array shown_flags{
    named_flag{os::frame_flag::referenced, "referenced"},
    named_flag{os::frame_flag::active, "active"},
    named_flag{os::frame_flag::dirty, "dirty"},
    named_flag{os::frame_flag::writeback, "being written back"},
    named_flag{os::frame_flag::unevictable, "unevictable"},
    named_flag{os::frame_flag::swap_cache, "in the swap cache"},
    named_flag{os::frame_flag::ksm, "merged (KSM)"},
    named_flag{os::frame_flag::thp, "large folios (THP)"},
    named_flag{os::frame_flag::huge, "hugetlb"},
    named_flag{os::frame_flag::poisoned, "poisoned"},
};

/// Counts flags of frames.
class frame_counter {
 public:
  void add(std::span<const os::page_entry> entries) {
    frames_.clear();
    for (const auto& entry : entries) {
      if (entry.frame() != 0) frames_.push_back(entry.frame());
    }
    flags_.assign(frames_.size(), 0);
    if (frames_.empty() || !os::read_frame_flags(frames_, flags_)) return;
    is_known_ = true;
    for (const auto word : flags_) {
      for (std::size_t index = 0; index < shown_flags.size(); ++index)
        counts_[index] += word >> static_cast<unsigned>(shown_flags[index].flag) & 1U;
    }
  }
  [[nodiscard]] bool is_known() const noexcept { return is_known_; }
  [[nodiscard]] std::vector<std::pair<std::string, std::uint64_t>> result() const {
    std::vector<std::pair<std::string, std::uint64_t>> list;
    for (std::size_t index = 0; index < shown_flags.size(); ++index) {
      if (counts_[index] > 0) list.emplace_back(shown_flags[index].name, counts_[index]);
    }
    return list;
  }

 private:
  std::vector<std::uint64_t> frames_;
  std::vector<std::uint64_t> flags_;
  std::array<std::uint64_t, shown_flags.size()> counts_{};
  bool is_known_ = false;
};

void look_at_single_pages(page_view& view, const os::page_map& map) {
  const auto present = view.pages - view.counts[static_cast<std::size_t>(page_state::none)];
  if (present > single_pages_max) {
    view.notes.push_back(
        fmt::format("more than {} pages: nodes and frames were not looked at; name a mapping",
                    single_pages_max));
    return;
  }
  std::uint64_t exclusive = 0;
  frame_counter frames;
  for_each_present(view, map, [&](std::uint64_t start, std::span<const os::page_entry> entries) {
    for (const auto& entry : entries)
      exclusive += entry.exclusive() ? 1 : 0;
    frames.add(entries);
    add_nodes(view, start, entries.size());
  });
  view.exclusive_pages = exclusive;
  if (frames.is_known()) {
    view.frame_flags = frames.result();
  } else if (present > 0) {
    view.notes.push_back("facts of page frames (referenced, active, KSM) need root");
  }
}

/// Forgets what was referenced and written, waits, and counts anew.
void measure_working_set(const os::process& process, const os::page_map& map,
                         std::chrono::milliseconds time, page_view& view) {
  if (const auto done = process.clear_references(os::process::forget::referenced); !done)
    throw explain_failure(process, done.error());
  working_set used{.time = time, .has_written = false};
  const bool has_soft_dirty =
      os::soft_dirty_works() && process.clear_references(os::process::forget::soft_dirty);
  std::this_thread::sleep_for(time);
  const auto usage = process.smaps();
  if (!usage) throw explain_failure(process, usage.error());
  for (auto& area : view.areas) {
    const auto found = std::ranges::find(usage->mappings, area.what.mapping().start,
                                         [](const auto& each) { return each.mapping.start; });
    if (found != usage->mappings.end()) area.referenced_bytes = found->memory[referenced];
    // A program that tracks its own writes with userfaultfd has the bits kept for all to see.
    const bool is_tracked = area.what.usage.has_flag("uw");
    if (!has_soft_dirty && !is_tracked) continue;
    const auto category = has_soft_dirty ? page_category::soft_dirty : page_category::written;
    const auto spans = map.scan(area.start, area.end, mask(category));
    if (!spans) continue;
    used.has_written = true;
    for (const auto& span : *spans)
      area.written_pages += (span.end - span.start) / view.page_bytes;
  }
  if (!used.has_written) {
    view.notes.push_back(
        "which pages were written is not known: this kernel keeps no soft-dirty bits "
        "(CONFIG_MEM_SOFT_DIRTY), and the process does not track its writes");
  }
  view.used = used;
}

[[noreturn]] void refuse_selector(const std::string& selector) {
  if (parse_range(selector) || parse_address(selector))
    throw error(exit_code::misuse,
                fmt::format("nothing is mapped at '{}', and no name has it", selector));
  throw error(exit_code::misuse,
              fmt::format("nothing in the process is '{}'; it takes an address or a range in "
                          "hexadecimal, or a part of a name that 'acre maps' shows",
                          selector));
}

}  // namespace

std::string_view page_state_name(page_state state) noexcept {
  return state_names[static_cast<std::size_t>(state)];
}

page_state state_of(const os::page_span& span) noexcept {
  using enum page_category;
  if (span.is(guard)) return page_state::guard;
  if (span.is(swapped)) return page_state::swapped;
  if (!span.is(present)) return page_state::none;
  if (span.is(zero_page)) return page_state::zero;
  if (span.is(huge)) return page_state::huge;
  return span.is(file) ? page_state::file : page_state::anonymous;
}

page_view take_page_view(const os::process& process, const std::string& selector,
                         std::optional<std::chrono::milliseconds> working_set_time) {
  const auto what = take_snapshot(process);
  page_view view;
  view.pid = what.pid;
  view.name = what.name;
  view.page_table_bytes = what.page_table_bytes;
  view.page_bytes = static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
  view.areas = choose_areas(what, selector, view.page_bytes);
  if (view.areas.empty()) refuse_selector(selector);
  const auto map = process.pages();
  if (!map) throw explain_failure(process, map.error());
  for (auto& area : view.areas)
    area.spans = spans_of(*map, area);
  count_pages(view);
  view.leaf_table_bytes = leaf_tables(view);
  look_at_single_pages(view, *map);
  if (working_set_time) measure_working_set(process, *map, *working_set_time, view);
  return view;
}

page_state heat_cell::main_state() const noexcept {
  auto best = page_state::none;
  std::uint64_t most = 0;
  for (std::size_t index = 1; index < counts.size(); ++index) {
    if (counts[index] <= most) continue;
    most = counts[index];
    best = static_cast<page_state>(index);
  }
  return best;
}

double heat_cell::share(page_state state) const noexcept {
  if (pages == 0) return 0;
  return static_cast<double>(counts[static_cast<std::size_t>(state)]) / static_cast<double>(pages);
}

heat_map make_heat_map(const page_view& view, std::size_t cells_max) {
  heat_map map;
  while (view.pages > map.pages_per_cell * cells_max)
    map.pages_per_cell *= 2;
  map.cells.resize((view.pages + map.pages_per_cell - 1) / map.pages_per_cell);
  for (std::size_t index = 0; index < map.cells.size(); ++index) {
    map.cells[index].pages = std::min(map.pages_per_cell, view.pages - index * map.pages_per_cell);
  }
  std::uint64_t before = 0;
  for (const auto& area : view.areas) {
    for (const auto& span : area.spans) {
      auto page = before + (span.start - area.start) / view.page_bytes;
      const auto end = before + (span.end - area.start) / view.page_bytes;
      const auto state = static_cast<std::size_t>(state_of(span));
      while (page < end) {
        const auto cell = page / map.pages_per_cell;
        const auto stop = std::min(end, (cell + 1) * map.pages_per_cell);
        map.cells[cell].counts[state] += stop - page;
        page = stop;
      }
    }
    before += (area.end - area.start) / view.page_bytes;
  }
  for (auto& cell : map.cells) {
    std::uint64_t somewhere = 0;
    for (std::size_t index = 1; index < cell.counts.size(); ++index)
      somewhere += cell.counts[index];
    cell.counts[0] = cell.pages - std::min(cell.pages, somewhere);
  }
  return map;
}

}  // namespace acre::tool
