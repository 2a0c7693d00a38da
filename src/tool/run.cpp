#include "tool/run.hpp"

#include "base/options.hpp"
#include "tool/child.hpp"
#include "tool/error.hpp"
#include "tool/ink.hpp"
#include "tool/library.hpp"
#include "tool/output_file.hpp"
#include "tool/program.hpp"
#include "tool/run_json.hpp"
#include "tool/run_record.hpp"
#include "tool/run_text.hpp"
#include "tool/summary_channel.hpp"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <optional>
#include <set>
#include <string>

#include <fmt/format.h>
#include <unistd.h>

namespace acre::tool {
namespace {

/// The options as the library will read them, with those that only the tool knows.
std::string library_options(const run_request& request, const environment& variables,
                            const std::string& summary_path) {
  std::vector<std::string> warnings;
  auto options = merge_options(variables.get("ACRE_OPTIONS"), request.options, warnings);
  for (const auto& warning : warnings)
    write_all(STDERR_FILENO, fmt::format("acre: warning: {}\n", warning));
  options += fmt::format("{}summary_path={}", options.empty() ? "" : ",", summary_path);
  if (request.stats_interval.count() > 0)
    options += fmt::format(",summary_interval_ms={}", request.stats_interval.count());
  return options;
}

command prepare(const run_request& request, const std::string& summary_path) {
  auto variables = environment::inherited();
  const auto options = library_options(request, variables, summary_path);
  const auto preload = find_library();
  command result{find_program(request.command.front()), request.command, {}};
  require_preloadable(result.path, preload.headers);
  variables.set("LD_PRELOAD", prepend_preload(preload.path, variables.get("LD_PRELOAD")));
  variables.set("ACRE_OPTIONS", options);
  // The library takes itself out of LD_PRELOAD when it sees this.
  if (request.is_first_only) variables.set("ACRE_PRELOAD_ONCE", "1");
  result.variables = std::move(variables);
  return result;
}

/// Takes what the processes report, and prints a line in each interval in which one did.
class watcher {
 public:
  watcher(summary_channel& channel, run_record& record, std::chrono::milliseconds interval)
      : channel_(channel), record_(record), interval_(interval) {}

  /// How often to look; 0 for not at all. The processes have clocks of their own, and a line is to
  /// appear soon after they have written theirs.
  [[nodiscard]] std::chrono::milliseconds period() const {
    using std::chrono::milliseconds;
    if (interval_.count() == 0) return interval_;
    return std::clamp(interval_ / 50, milliseconds(2), milliseconds(100));
  }

  void look() {
    std::string status;
    std::uint64_t allocations = 0;
    bool is_line_due = false;
    for (const auto& line : channel_.read_new_lines()) {
      if (!record_.add_line(line) || interval_.count() == 0) continue;
      is_line_due = is_due(record_.ticks().back()) || is_line_due;
      // At once: the process may end within these lines, and then runs no more.
      status = format_status(record_, clock::now() - start_, allocations_before_);
      allocations = record_.allocations();
    }
    if (!is_line_due) return;
    write_all(STDERR_FILENO, status);
    last_ = clock::now();
    reported_ = {record_.ticks().back().pid};
    allocations_before_ = allocations;
  }

 private:
  using clock = std::chrono::steady_clock;

  /// Whether a report of this process begins an interval. One line is for all processes, which
  /// report at different times in it; nor are two reports of one exactly an interval apart.
  ///
  /// A first one without an allocation waits: it may be of a copy of the library that is not used,
  /// and the other copy's comes next.
  bool is_due(const heap_report& report) {
    const bool is_again = !reported_.insert(report.pid).second;
    const bool is_late = !last_ || clock::now() - *last_ >= interval_;
    return is_again || (is_late && report.allocations > 0);
  }

  summary_channel& channel_;
  run_record& record_;
  std::chrono::milliseconds interval_;
  clock::time_point start_ = clock::now();
  std::optional<clock::time_point> last_;
  std::set<std::int64_t> reported_;  // since the last line, with the one that it came of
  std::uint64_t allocations_before_ = 0;
};

}  // namespace

int run(const run_request& request) {
  summary_channel channel;
  const auto what = prepare(request, channel.path());
  // Before the command runs, so that a wrong path costs no work.
  std::optional<output_file> json;
  if (!request.json_path.empty()) json.emplace(request.json_path);

  run_record record(request.command);
  child process(what);
  watcher watch(channel, record, request.stats_interval);
  record.set_end(process.wait(watch.period(), [&] { watch.look(); }));
  watch.look();  // what came since the last time
  if (!request.is_quiet) {
    write_all(STDERR_FILENO, "\n" + format_summary(record, ink_for(STDERR_FILENO)));
  } else if (!record.end().exit_code) {
    write_all(STDERR_FILENO,
              fmt::format("acre: {}: {}\n", request.command.front(), describe_end(record.end())));
  }
  if (json) json->write(format_run_json(record));
  return record.end().shell_code();
}

}  // namespace acre::tool
