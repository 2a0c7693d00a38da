#include "tool/bench_table.hpp"

#include "tool/maps_text.hpp"
#include "tool/units.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>

#include <fmt/format.h>

namespace acre::tool {
namespace {

constexpr int status_wrong_checksum = -1;
/// From here on a difference says more of the disturbance than of the allocators.
constexpr double spread_max = 0.20;

using figure_member = double measurement::*;

/// The smallest median of a row; nothing when no allocator has one.
std::optional<double> best_of(const std::vector<bench_cell>& row, figure_member figure) {
  std::optional<double> best;
  for (const auto& cell : row) {
    if (!cell.problem().empty()) continue;
    const auto median = cell.summary(figure).median;
    if (!best || median < *best) best = median;
  }
  return best;
}

/// The ratios of one allocator to the best of each row in which it has figures.
std::vector<double> ratios_of(const bench_results& results, std::size_t column,
                              figure_member figure) {
  std::vector<double> ratios;
  for (const auto& row : results.cells) {
    const auto best = best_of(row, figure);
    if (best && *best > 0 && row[column].problem().empty())
      ratios.push_back(row[column].summary(figure).median / *best);
  }
  return ratios;
}

double geometric_mean(const std::vector<double>& values) {
  double logarithms = 0;
  for (const double value : values)
    logarithms += std::log(value);
  return values.empty() ? 0 : std::exp(logarithms / static_cast<double>(values.size()));
}

/// The largest spread in a row: what a difference must exceed to mean something.
double spread_of(const std::vector<bench_cell>& row, figure_member figure) {
  double spread = 0;
  for (const auto& cell : row)
    if (cell.problem().empty()) spread = std::max(spread, cell.summary(figure).spread);
  return spread;
}

std::string format_best(std::optional<double> best, figure_member figure) {
  if (!best) return "-";
  if (figure == &measurement::peak_bytes) return fmt::format("{:.1f} M", *best / 1048576);
  return fmt::format("{:.3f} s", *best);
}

/// "-" where each allocator ran once: nothing is known of how far runs lie apart.
std::string format_spread(const std::vector<bench_cell>& row, figure_member figure) {
  const bool has_several = std::ranges::any_of(
      row, [](const bench_cell& cell) { return cell.problem().empty() && cell.runs.size() > 1; });
  return has_several ? fmt::format("{:.0f}%", spread_of(row, figure) * 100) : "-";
}

std::string table_row(const bench_results& results, std::size_t index, figure_member figure,
                      const ink& colours) {
  const auto& row = results.cells[index];
  const auto best = best_of(row, figure);
  auto text = fmt::format("{:<14}{:>9}{:>6}", results.rows[index].name.substr(0, 13),
                          format_best(best, figure), format_spread(row, figure));
  for (const auto& cell : row) {
    const auto problem = cell.problem();
    const double ratio =
        problem.empty() && best && *best > 0 ? cell.summary(figure).median / *best : 1;
    const bool is_best = problem.empty() && ratio <= 1;
    text += fmt::format("{}{:>9}{}", is_best ? colours.heading : "",
                        problem.empty() ? fmt::format("{:.2f}", ratio) : problem,
                        is_best ? colours.end : "");
  }
  return text + "\n";
}

std::string table(const bench_results& results, std::string_view title, figure_member figure,
                  const ink& colours) {
  auto text = fmt::format("{}{}{}\n{:<14}{:>9}{:>6}", colours.heading, title, colours.end, "row",
                          "best", "+-");
  for (const auto& each : results.allocators)
    text += fmt::format("{:>9}", each.name);
  text += "\n";
  for (std::size_t index = 0; index < results.rows.size(); ++index)
    text += table_row(results, index, figure, colours);
  text += fmt::format("{}{:<29}", colours.heading, "geometric mean");
  for (std::size_t column = 0; column < results.allocators.size(); ++column) {
    const auto ratios = ratios_of(results, column, figure);
    text +=
        fmt::format("{:>9}", ratios.empty() ? "-" : fmt::format("{:.3f}", geometric_mean(ratios)));
  }
  return text + std::string(colours.end) + "\n";
}

/// Says in how many rows the runs lie so far apart that they tell little; empty when in none.
std::string spread_note(const bench_results& results) {
  const auto is_wide = [](const std::vector<bench_cell>& row) {
    return std::max(spread_of(row, &measurement::cpu_s), spread_of(row, &measurement::peak_bytes)) >
           spread_max;
  };
  const auto count = std::ranges::count_if(results.cells, is_wide);
  if (count == 0) return {};
  return fmt::format(
      "\nIn {} of {} rows the runs of one allocator lie more than {:.0f} % apart. Most often\n"
      "the machine was busy; differences within +- may be chance.\n",
      count, results.cells.size(), spread_max * 100);
}

/// What those that failed printed last, each row's once.
std::string failure_note(const bench_results& results) {
  std::string text;
  for (std::size_t index = 0; index < results.rows.size(); ++index) {
    const auto has_line = [](const bench_cell& cell) {
      return !cell.problem().empty() && !cell.runs.back().last_line.empty();
    };
    const auto cell = std::ranges::find_if(results.cells[index], has_line);
    if (cell == results.cells[index].end()) continue;
    const auto column = static_cast<std::size_t>(cell - results.cells[index].begin());
    text += fmt::format("\n{} under {}: {}: {}\n", results.rows[index].name,
                        results.allocators[column].name, cell->problem(),
                        printable(cell->runs.back().last_line));
  }
  return text;
}

}  // namespace

std::string bench_cell::problem() const {
  for (const auto& run : runs) {
    if (!run.was_preloaded) return "refused";
    if (run.status == status_wrong_checksum) return "wrong";
    if (run.status > 128) return fmt::format("sig {}", run.status - 128);
    if (run.status != 0) return fmt::format("exit {}", run.status);
  }
  return runs.empty() ? "no run" : "";
}

figure_summary bench_cell::summary(figure_member figure) const {
  std::vector<double> values;
  values.reserve(runs.size());
  for (const auto& run : runs)
    values.push_back(run.*figure);
  if (values.empty()) return {};
  std::ranges::sort(values);
  const auto middle = values.size() / 2;
  const double median =
      values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
  return {median, median > 0 ? (values.back() - values.front()) / median : 0};
}

void bench_results::compare_checksums() {
  for (std::size_t index = 0; index < rows.size(); ++index) {
    if (!rows[index].is_workload) continue;
    auto& row = cells[index];
    std::map<std::string, int> counts;
    for (const auto& cell : row)
      for (const auto& run : cell.runs)
        if (run.status == 0) ++counts[run.checksum];
    const auto usual =
        std::ranges::max_element(counts, {}, [](const auto& entry) { return entry.second; });
    if (usual == counts.end()) continue;
    for (auto& cell : row)
      for (auto& run : cell.runs)
        if (run.status == 0 && run.checksum != usual->first) run.status = status_wrong_checksum;
  }
}

bool bench_results::has_first_failed() const {
  return std::ranges::any_of(cells, [](const auto& row) { return !row.front().problem().empty(); });
}

std::string format_bench(const bench_results& results, const ink& colours) {
  return table(results, "CPU time, as a multiple of the row's best", &measurement::cpu_s, colours) +
         "\n" +
         table(results, "Peak RSS, as a multiple of the row's best", &measurement::peak_bytes,
               colours) +
         spread_note(results) + failure_note(results);
}

std::string format_bench_json(const bench_results& results) {
  using json = nlohmann::ordered_json;
  json root;
  root["acre_version"] = ACRE_VERSION;
  root["allocators"] = json::array();
  for (std::size_t column = 0; column < results.allocators.size(); ++column) {
    const auto& each = results.allocators[column];
    root["allocators"].push_back(
        {{"name", each.name},
         {"path", each.path},
         {"cpu_geomean", geometric_mean(ratios_of(results, column, &measurement::cpu_s))},
         {"peak_geomean", geometric_mean(ratios_of(results, column, &measurement::peak_bytes))}});
  }
  root["rows"] = json::array();
  for (std::size_t index = 0; index < results.rows.size(); ++index) {
    json row{{"name", results.rows[index].name}, {"command", results.rows[index].command}};
    for (std::size_t column = 0; column < results.allocators.size(); ++column) {
      const auto& cell = results.cells[index][column];
      json figures{{"problem", cell.problem()}};
      for (const auto& run : cell.runs) {
        figures["cpu_s"].push_back(run.cpu_s);
        figures["wall_s"].push_back(run.wall_s);
        figures["peak_bytes"].push_back(run.peak_bytes);
      }
      row["results"][results.allocators[column].name] = figures;
    }
    root["rows"].push_back(row);
  }
  return root.dump(2, ' ', false, json::error_handler_t::replace) + "\n";
}

}  // namespace acre::tool
