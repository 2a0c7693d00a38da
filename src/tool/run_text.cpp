#include "tool/run_text.hpp"

#include "tool/maps_text.hpp"
#include "tool/units.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <functional>
#include <iterator>
#include <optional>
#include <span>
#include <string_view>
#include <tuple>

#include <fmt/format.h>

namespace acre::tool {
namespace {

constexpr std::size_t classes_shown = 5;
constexpr std::size_t processes_shown_all = 8;
constexpr std::size_t processes_shown_largest = 5;

/// A label and its figure; two of them side by side make a line.
struct figure {
  std::string label;
  std::string value;
};

void append_pair(std::string& text, const figure& left, const std::string& right) {
  // The width counts characters that are seen, so colour goes around whole lines only.
  auto line = fmt::format("  {:<18}{:>11}    {}", left.label, left.value, right);
  line.erase(line.find_last_not_of(' ') + 1);
  text += line + "\n";
}

std::string right_figure(const figure& what) {
  return what.label.empty() ? "" : fmt::format("{:<20}{:>18}", what.label, what.value);
}

void append_figures(std::string& text, std::span<const figure> left,
                    std::span<const figure> right) {
  for (std::size_t index = 0; index < std::max(left.size(), right.size()); ++index) {
    append_pair(text, index < left.size() ? left[index] : figure{},
                index < right.size() ? right_figure(right[index]) : "");
  }
}

double milliseconds(const timeval& time) {
  return static_cast<double>(time.tv_sec) * 1e3 + static_cast<double>(time.tv_usec) / 1e3;
}

void append_kernel_figures(std::string& text, const rusage& usage) {
  const std::array left{
      figure{"Peak RSS", format_bytes(static_cast<std::uint64_t>(usage.ru_maxrss) * 1024)},
      figure{"User time", format_duration(milliseconds(usage.ru_utime))},
      figure{"System time", format_duration(milliseconds(usage.ru_stime))},
  };
  const std::array right{
      figure{"Minor page faults", format_count(static_cast<std::uint64_t>(usage.ru_minflt))},
      figure{"Major page faults", format_count(static_cast<std::uint64_t>(usage.ru_majflt))},
  };
  append_figures(text, left, right);
}

void append_process_figures(std::string& text, const heap_report& report) {
  const auto not_freed = report.allocations - std::min(report.allocations, report.frees);
  const std::array left{
      figure{"Peak RSS", format_bytes(report.rss_peak_bytes)},
      figure{"Peak live", format_bytes(report.live_bytes_peak)},
      figure{"Live at the end", format_bytes(report.live_bytes)},
      figure{"User time", format_duration(report.user_ms)},
      figure{"System time", format_duration(report.system_ms)},
  };
  const std::array right{
      figure{"Allocations", format_count(report.allocations)},
      figure{"Frees", format_count(report.frees)},
      figure{"Not freed", format_count(not_freed)},
      figure{"Minor page faults", format_count(report.minor_faults)},
      figure{"Major page faults", format_count(report.major_faults)},
  };
  append_figures(text, left, right);
}

/// The classes that hold most at the end, or were used most when nothing is held; blocks above the
/// largest class come as one row of size 0.
std::vector<size_class_use> largest_classes(const heap_report& report) {
  auto rows = report.classes;
  if (report.large_allocations > 0)
    rows.push_back({0, report.large_allocations, report.large_live, report.large_live_bytes});
  std::ranges::sort(rows, std::ranges::greater{}, [](const size_class_use& use) {
    return std::tuple(use.live_bytes, use.allocations, use.size_bytes);
  });
  rows.resize(std::min(rows.size(), classes_shown));
  return rows;
}

void append_waste_and_classes(std::string& text, const heap_report& report, const ink& colours) {
  const auto waste = report.rounding_bytes + report.slab_free_bytes + report.cache_bytes +
                     report.retained_bytes + report.metadata_bytes;
  const std::array left{
      figure{"  Rounding, about", format_bytes(report.rounding_bytes)},
      figure{"  Free in slabs", format_bytes(report.slab_free_bytes)},
      figure{"  Caches", format_bytes(report.cache_bytes)},
      figure{"  Retained pages", format_bytes(report.retained_bytes)},
      figure{"  Metadata", format_bytes(report.metadata_bytes)},
  };
  text += "\n";
  text += colours.heading;
  append_pair(text, {"Waste at the end", format_bytes(waste)},
              fmt::format("{:<13}{:>11}{:>14}", "Blocks of", "live", "allocations"));
  text += colours.end;
  const auto classes = largest_classes(report);
  for (std::size_t index = 0; index < std::max(left.size(), classes.size()); ++index) {
    std::string row;
    if (index < classes.size()) {
      const auto& use = classes[index];
      row = fmt::format("{:>10}{:>14}{:>14}",
                        use.size_bytes == 0 ? "larger" : format_count(use.size_bytes) + " B",
                        format_bytes(use.live_bytes), format_count(use.allocations));
    }
    append_pair(text, index < left.size() ? left[index] : figure{}, row);
  }
}

/// Cut in the middle of nothing: a name longer than its column keeps its start.
std::string shortened(std::string_view text, std::size_t width) {
  auto name = printable(text);
  if (name.size() > width) name = name.substr(0, width - 2) + "..";
  return name;
}

std::string process_row(const std::string& title, std::uint64_t rss, std::uint64_t live,
                        std::uint64_t allocations, double cpu_ms) {
  return fmt::format("  {:<24}{:>11}{:>11}{:>16}{:>12}\n", title, format_bytes(rss),
                     format_bytes(live), format_count(allocations), format_duration(cpu_ms));
}

std::string process_row(const heap_report& report) {
  return process_row(fmt::format("{:>9} {}", report.pid, shortened(report.name(), 14)),
                     report.rss_peak_bytes, report.live_bytes_peak, report.allocations,
                     report.user_ms + report.system_ms);
}

/// The total of all processes: memory is the highest of any, because they need not have lived at
/// the same time.
std::string total_row(std::span<const heap_report> reports) {
  heap_report total;
  for (const auto& report : reports) {
    total.rss_peak_bytes = std::max(total.rss_peak_bytes, report.rss_peak_bytes);
    total.live_bytes_peak = std::max(total.live_bytes_peak, report.live_bytes_peak);
    total.allocations += report.allocations;
    total.user_ms += report.user_ms + report.system_ms;
  }
  return process_row(fmt::format("all {}, highest or sum", reports.size()), total.rss_peak_bytes,
                     total.live_bytes_peak, total.allocations, total.user_ms);
}

void append_further_processes(std::string& text, std::vector<heap_report> reports,
                              const ink& colours) {
  if (reports.empty()) return;
  text += fmt::format("\n{}  {:<24}{:>11}{:>11}{:>16}{:>12}{}\n", colours.heading,
                      reports.size() == 1 ? "One further process"
                                          : fmt::format("{} further processes", reports.size()),
                      "peak RSS", "peak live", "allocations", "CPU time", colours.end);
  const auto total = total_row(reports);
  const bool is_many = reports.size() > processes_shown_all;
  if (is_many) {
    std::ranges::sort(reports, std::ranges::greater{}, [](const heap_report& report) {
      return std::tuple(report.rss_peak_bytes, -report.pid);
    });
    reports.resize(processes_shown_largest);
  }
  for (const auto& report : reports)
    text += process_row(report);
  if (is_many) text += total;
}

/// Why the first process has no line of its own from its exit.
std::string explain_missing(const child_end& end, bool has_tick) {
  const std::string_view cause =
      end.exit_code
          ? "it ended by _exit() as dash does or inside malloc, became a program without the "
            "library, or changed its user and may not tell"
          : "it was killed";
  return fmt::format("  {}: {}.\n  {}:\n\n", has_tick ? "No last figures" : "No heap figures",
                     cause, has_tick ? "Its status before that" : "What the kernel counted");
}

}  // namespace

std::string describe_end(const child_end& end) {
  if (end.exit_code) return fmt::format("exit code {}", *end.exit_code);
  const char* const name = ::sigabbrev_np(end.signal);
  const auto signal = name == nullptr ? fmt::format("signal {}", end.signal)
                                      : fmt::format("SIG{} ({})", name, ::sigdescr_np(end.signal));
  return fmt::format("killed by {}{}", signal, end.dumped_core ? ", core dumped" : "");
}

std::string format_summary(const run_record& record, const ink& colours) {
  const auto& end = record.end();
  const auto& word = record.words().front();
  const auto name = shortened(word.substr(word.rfind('/') + 1), 24);
  std::string text =
      fmt::format("{}acre: {} ({}): {}, {}{}\n\n", end.exit_code ? colours.heading : colours.alarm,
                  name, end.pid, describe_end(end), format_duration(end.wall.count()), colours.end);
  auto reports = record.processes();
  const bool has_first = !reports.empty() && reports.front().pid == end.pid;
  if (!has_first || !reports.front().is_exit) text += explain_missing(end, has_first);
  if (has_first) {
    append_process_figures(text, reports.front());
    append_waste_and_classes(text, reports.front(), colours);
    reports.erase(reports.begin());
  } else {
    append_kernel_figures(text, end.usage);
  }
  append_further_processes(text, std::move(reports), colours);
  return text;
}

std::string format_status(const run_record& record,
                          std::chrono::duration<double, std::milli> since_start,
                          std::uint64_t allocations_before) {
  std::uint64_t rss = 0;
  std::uint64_t live = 0;
  for (const auto& [pid, report] : record.running()) {
    rss += report.rss_bytes;
    live += report.live_bytes;
  }
  const auto count = record.running().size();
  const auto allocations = record.allocations();
  return fmt::format("acre: {:>8}  RSS {:>9}  live {:>9}  {:>13} allocations since{}\n",
                     format_duration(since_start.count()), format_bytes(rss), format_bytes(live),
                     "+" + format_count(allocations - std::min(allocations, allocations_before)),
                     count == 1 ? "" : fmt::format("  {} procs", count));
}

}  // namespace acre::tool
