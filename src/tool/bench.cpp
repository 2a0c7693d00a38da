#include "tool/bench.hpp"

#include "tool/bench_table.hpp"
#include "tool/error.hpp"
#include "tool/ink.hpp"
#include "tool/installation.hpp"
#include "tool/library.hpp"
#include "tool/output_file.hpp"
#include "tool/program.hpp"
#include "tool/units.hpp"

#include <algorithm>
#include <array>
#include <filesystem>
#include <optional>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>

namespace acre::tool {
namespace {

constexpr int repetitions_usual = 5;
constexpr int repetitions_quick = 3;
constexpr std::chrono::seconds timeout_workload{120};
constexpr std::chrono::hours timeout_command{1};

/// Folders relative to the tool's own: the installed tree's, then the build tree's.
constexpr std::array folders{ACRE_TOOL_TO_PROGRAMS_INSTALLED, ACRE_TOOL_TO_PROGRAMS_BUILT};

std::string find_bench_program(const char* name) {
  const auto places = beside_tool(folders, name);
  for (const auto& path : places)
    if (std::filesystem::exists(path)) return path.string();
  throw error(exit_code::misuse,
              fmt::format("cannot find {}; looked at {} and {}; build with ACRE_BUILD_BENCH=ON",
                          name, places[0].string(), places[1].string()));
}

std::vector<allocator> choose_allocators(const std::vector<std::string>& names,
                                         std::vector<allocator> all) {
  std::vector<std::string> present;
  present.reserve(all.size());
  for (const auto& each : all)
    present.push_back(each.name);
  for (const auto& name : names) {
    if (std::ranges::find(present, name) == present.end()) {
      throw error(exit_code::misuse, fmt::format("no allocator '{}' is installed; there are {}",
                                                 name, fmt::join(present, ", ")));
    }
  }
  if (!names.empty())
    std::erase_if(
        all, [&](const auto& each) { return std::ranges::find(names, each.name) == names.end(); });
  return all;
}

std::vector<bench_row> rows_of(const bench_request& request, const library& preload) {
  if (!request.command.empty()) {
    auto command = request.command;
    command.front() = find_program(command.front());
    require_preloadable(command.front(), preload.headers);
    const auto name = request.command.front();
    return {{name.substr(name.rfind('/') + 1), command, false, 1}};
  }
  if (!request.rows.empty()) return choose_rows(request.rows);
  return bench_rows(request.is_quick ? bench_extent::quick : bench_extent::full);
}

/// One line on a terminal that is written over and over; nothing elsewhere.
class progress_line {
 public:
  explicit progress_line(std::size_t total) : total_(total) {}
  progress_line(const progress_line&) = delete;
  progress_line& operator=(const progress_line&) = delete;
  ~progress_line() {
    if (is_terminal_) write_all(STDERR_FILENO, "\r\x1b[K");
  }

  void step(const std::string& row, const std::string& allocator) {
    if (is_terminal_) {
      write_all(STDERR_FILENO, fmt::format("\r\x1b[K{:>3} %  {}, {}{}", 100 * done_ / total_, row,
                                           allocator, time_left()));
    }
    ++done_;
  }

 private:
  [[nodiscard]] std::string time_left() const {
    if (done_ < 5) return "";
    const std::chrono::duration<double, std::milli> spent =
        std::chrono::steady_clock::now() - start_;
    const double each = spent.count() / static_cast<double>(done_);
    return fmt::format(", about {} left",
                       format_duration(each * static_cast<double>(total_ - done_)));
  }

  std::size_t total_;
  std::size_t done_ = 0;
  bool is_terminal_ = ::isatty(STDERR_FILENO) != 0;
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

/// Runs of a row are interleaved between the allocators, beginning with another one in each round,
/// so that what else happens on the machine meets all of them alike.
bench_results measure_all(std::vector<bench_row> rows, std::vector<allocator> allocators,
                          int repetitions) {
  const auto measure_program = find_bench_program("acre-measure");
  const auto workloads = find_bench_program("acre-workloads");
  bench_results results{std::move(allocators), std::move(rows), {}};
  const auto columns = results.allocators.size();
  progress_line progress(results.rows.size() * columns * static_cast<std::size_t>(repetitions));
  for (const auto& row : results.rows) {
    auto command = row.command;
    if (row.is_workload) command.insert(command.begin(), workloads);
    const auto timeout = row.is_workload || row.repeat > 1 ? timeout_workload : timeout_command;
    std::vector<bench_cell> cells(columns);
    for (std::size_t round = 0; round < static_cast<std::size_t>(repetitions); ++round) {
      for (std::size_t turn = 0; turn < columns; ++turn) {
        const auto column = (turn + round) % columns;
        const auto& each = results.allocators[column];
        progress.step(row.name, each.name);
        cells[column].runs.push_back(
            measure(measure_program, each.path, command, row.repeat, timeout));
      }
    }
    results.cells.push_back(std::move(cells));
  }
  return results;
}

}  // namespace

int bench(const bench_request& request) {
  const auto preload = find_library();
  auto rows = rows_of(request, preload);
  auto allocators = choose_allocators(request.allocators, find_allocators(preload));
  const int usual = request.is_quick ? repetitions_quick : repetitions_usual;
  const int repetitions = request.repetitions > 0 ? request.repetitions : usual;
  std::optional<output_file> json;
  if (!request.json_path.empty()) json.emplace(request.json_path);

  write_all(STDERR_FILENO, fmt::format("acre: rows {}, allocators {}, runs of each {}; "
                                       "medians, and +- is the range of runs\n",
                                       rows.size(), allocators.size(), repetitions));
  auto results = measure_all(std::move(rows), std::move(allocators), repetitions);
  results.compare_checksums();
  // Data goes to standard output: the tables, unless it was asked for as JSON.
  if (request.json_path != "-" &&
      !write_all(STDOUT_FILENO, format_bench(results, ink_for(STDOUT_FILENO))))
    throw error(exit_code::misuse, "cannot write to standard output");
  if (json) json->write(format_bench_json(results));
  const bool is_first_ours = results.allocators.front().name == "acre";
  return static_cast<int>(is_first_ours && results.has_first_failed() ? exit_code::found
                                                                      : exit_code::done);
}

}  // namespace acre::tool
