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

#include <optional>

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

child_end supervise(child& process, const run_request& request, summary_channel& channel,
                    run_record& record) {
  const auto start = std::chrono::steady_clock::now();
  std::uint64_t allocations_before = 0;
  const auto tick = [&] {
    const auto lines = channel.read_new_lines();
    record.add_lines(lines);
    if (lines.empty() || record.running().empty()) return;
    write_all(STDERR_FILENO,
              format_status(record, std::chrono::steady_clock::now() - start, allocations_before));
    allocations_before = record.allocations();
  };
  return process.wait(request.stats_interval, tick);
}

}  // namespace

int run(const run_request& request) {
  summary_channel channel;
  const auto what = prepare(request, channel.path());
  // Before the command runs, so that a wrong path costs no work.
  std::optional<output_file> json;
  if (!request.json_path.empty()) json.emplace(request.json_path);

  run_record record(request.command);
  child process(what);
  record.set_end(supervise(process, request, channel, record));
  record.add_lines(channel.read_new_lines());
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
