#include "tool/command_line.hpp"

#include "tool/bench.hpp"
#include "tool/error.hpp"
#include "tool/machine.hpp"
#include "tool/maps.hpp"
#include "tool/options.hpp"
#include "tool/output_file.hpp"
#include "tool/pages.hpp"
#include "tool/run.hpp"
#include "tool/units.hpp"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <chrono>
#include <iterator>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>

namespace acre::tool {
namespace {

using words = std::vector<std::string>;

/// Prints an option as one line; CLI11's own remarks on types and defaults would make it two.
class help_formatter : public CLI::Formatter {
 public:
  help_formatter() { column_width(28); }

  std::string make_usage(const CLI::App* /*app*/, std::string /*name*/) const override {
    return {};  // it begins the description
  }
  std::string make_positionals(const CLI::App* /*app*/) const override {
    return {};  // they are in the usage
  }
  std::string make_option_opts(const CLI::Option* option) const override {
    return option->get_items_expected_max() == 0 ? "" : " " + option->get_type_name();
  }
};

/// The parser of one verb: help, and errors that say where help is.
class verb_parser {
 public:
  verb_parser(std::string name, const std::string& usage, const std::string& description)
      : name_(std::move(name)),
        app_(fmt::format("Usage: acre {} {}\n\n{}", name_, usage, description)) {
    app_.set_help_flag("-h,--help", "Print this help");
    app_.formatter(std::make_shared<help_formatter>());
  }

  /// Returns:  false when help was asked for, and printed.
  bool parse(words arguments) {
    try {
      std::ranges::reverse(arguments);  // CLI11 takes them from the back
      app_.parse(arguments);
      return true;
    } catch (const CLI::CallForHelp&) {
      print(app_.help());
      return false;
    } catch (const CLI::ParseError& problem) {
      throw error(exit_code::misuse,
                  fmt::format("{}; see 'acre {} --help'", describe(problem), name_));
    }
  }

  static void print(const std::string& text) {
    if (!write_all(STDOUT_FILENO, text))
      throw error(exit_code::misuse, "cannot write to standard output");
  }

  CLI::App* operator->() noexcept { return &app_; }
  [[nodiscard]] const CLI::App& app() const noexcept { return app_; }

 private:
  /// CLI11 begins a sentence; an error of ours goes on after a colon.
  [[nodiscard]] std::string describe(const CLI::ParseError& problem) const {
    const auto left_over = app_.remaining();
    if (dynamic_cast<const CLI::ExtrasError*>(&problem) != nullptr && !left_over.empty())
      return fmt::format("'acre {}' does not take '{}'", name_, left_over.front());
    return problem.what();
  }

  std::string name_;
  CLI::App app_;
};

/// Splits off where the command of `acre run` begins: behind "--", or at the first word that is
/// neither an option nor an option's value. CLI11 would take words of the command for its own.
words take_command(const CLI::App& app, words& arguments) {
  auto at = arguments.begin();
  while (at != arguments.end() && at->size() > 1 && at->front() == '-' && *at != "--") {
    const auto* const option = app.get_option_no_throw(*at);
    const bool has_separate_value = option != nullptr && option->get_items_expected_max() > 0;
    const auto next = std::next(at);
    if (has_separate_value && next != arguments.end() && *next == "--")
      throw error(exit_code::misuse, fmt::format("{} needs a value before '--'", *at));
    at += has_separate_value && next != arguments.end() ? 2 : 1;
  }
  words command(at, arguments.end());
  arguments.erase(at, arguments.end());
  if (!command.empty() && command.front() == "--") command.erase(command.begin());
  return command;
}

/// Reads a time for a flag.
std::chrono::milliseconds parse_time(const std::string& flag, const std::string& text,
                                     std::chrono::milliseconds least) {
  const auto time = parse_duration(text);
  if (!time || *time < least || *time > std::chrono::hours(1)) {
    throw error(
        exit_code::misuse,
        fmt::format("{} does not take '{}'; it takes a time from {}ms to 1h, such as 500ms, 2s "
                    "or 1m",
                    flag, text, least.count()));
  }
  return *time;
}

int run_words(words arguments) {
  run_request request;
  std::optional<std::string> interval;
  verb_parser parser("run", "[OPTIONS] [--] COMMAND [ARGUMENTS...]",
                     "Runs a program on Acre's heap, and tells on standard error what memory it "
                     "used.\nThe exit code is the program's, or 128 + the signal that killed it.");
  parser->add_option("--option", request.options, "Set an option of the library; repeatable")
      ->type_name("NAME=VALUE")
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  parser->add_option("--json", request.json_path, "Write all figures to FILE; - is standard output")
      ->type_name("FILE");
  parser->add_option("--stats-every", interval, "Print a line every so often, as 500ms, 2s, 1m")
      ->type_name("TIME");
  parser->add_flag("--no-follow", request.is_first_only,
                   "Only the program itself, not those it starts");
  parser->add_flag("-q,--quiet", request.is_quiet, "Print no summary; errors are told");
  parser->footer(
      "Examples:\n"
      "  acre run -- redis-server --port 7000\n"
      "  acre run --stats-every 1s --json figures.json -- python3 job.py\n"
      "  acre run --option memory_limit=2G --option purge_delay_ms=0 -- make -j8");

  request.command = take_command(parser.app(), arguments);
  if (!parser.parse(arguments)) return 0;
  if (request.command.empty())
    throw error(exit_code::misuse, "no command to run; see 'acre run --help'");
  if (interval)
    request.stats_interval = parse_time("--stats-every", *interval, std::chrono::milliseconds(10));
  return run(request);
}

int bench_words(words arguments) {
  bench_request request;
  verb_parser parser(
      "bench", "[OPTIONS] [-- COMMAND [ARGUMENTS...]]",
      "Compares Acre with the allocators that are installed, on this machine:\n"
      "CPU time and peak memory of built-in workloads, or of your own command, which\n"
      "gets no input and whose output is dropped.");
  const auto add_list = [&](const char* name, words& into, const char* help) {
    parser->add_option(name, into, help)
        ->type_name("NAMES")
        ->allow_extra_args(false)
        ->delimiter(',');
  };
  add_list("--rows", request.rows, "Only these rows, as larson,mixed-1");
  add_list("--allocators", request.allocators, "Only these, as acre,glibc,jemalloc");
  parser->add_option("--reps", request.repetitions, "Runs of each row; 5 unless --quick")
      ->type_name("COUNT")
      ->check(CLI::Range(1, 1000).description(""));
  parser->add_option("--json", request.json_path, "Write all figures to FILE; - is standard output")
      ->type_name("FILE");
  parser->add_flag("--quick", request.is_quick, "A third of the rows, and 3 runs of each");
  parser->footer(
      "Examples:\n"
      "  acre bench --quick\n"
      "  acre bench --rows larson,fragmentation --reps 9\n"
      "  acre bench --allocators acre,glibc -- python3 job.py");

  const bool announces_command = std::ranges::find(arguments, "--") != arguments.end();
  request.command = take_command(parser.app(), arguments);
  if (!parser.parse(arguments)) return 0;
  if (announces_command && request.command.empty())
    throw error(exit_code::misuse, "no command after '--'; see 'acre bench --help'");
  if (!request.command.empty() && !request.rows.empty())
    throw error(exit_code::misuse, "--rows and a command exclude each other");
  return bench(request);
}

int machine_words(words arguments) {
  machine_request request;
  verb_parser parser("machine", "[OPTIONS]",
                     "Describes this machine's memory, from caches to swap, and measures it:\n"
                     "latency, bandwidth and what the kernel charges, in under 30 seconds.\n"
                     "The exit code is 1 when the machine was too noisy to trust the figures.");
  const auto add_file = [&](const char* name, std::string& path, const char* help) {
    parser->add_option(name, path, help)->type_name("FILE");
  };
  add_file("--json", request.json_path, "Write all figures to FILE; - is standard output");
  add_file("--svg", request.svg_path, "Draw the latency curves to FILE");
  add_file("--html", request.html_path, "Write a page with pictures and tables to FILE");
  parser->add_flag("--quick", request.is_quick, "Fewer points and repetitions, in 3 to 5 seconds");
  parser->add_flag("--describe", request.is_described_only, "Measure nothing");
  parser->footer(
      "Examples:\n"
      "  acre machine\n"
      "  acre machine --html machine.html --json machine.json\n"
      "  acre machine --describe");
  if (!parser.parse(std::move(arguments))) return 0;
  return machine(request);
}

int options_words(words arguments) {
  bool is_json = false;
  verb_parser parser("options", "[--json]",
                     "Lists the options of the library: names, defaults and accepted values.");
  parser->add_flag("--json", is_json, "Print a JSON array");
  if (!parser.parse(std::move(arguments))) return 0;
  verb_parser::print(is_json ? format_options_json() : format_options());
  return 0;
}

maps_order parse_order(const std::string& text) {
  constexpr std::array orders{"address", "size", "rss", "pss", "swap", "dirty"};
  const auto found = std::ranges::find(orders, text);
  if (found == orders.end()) {
    throw error(exit_code::misuse, fmt::format("--sort does not take '{}'; it takes one of {}",
                                               text, fmt::join(orders, ", ")));
  }
  return static_cast<maps_order>(found - orders.begin());
}

int maps_words(words arguments) {
  maps_request request;
  std::optional<std::string> order;
  std::optional<std::string> interval;
  verb_parser parser(
      "maps", "[OPTIONS] PID|FILE",
      "Shows the memory of a process as the textbook draws it: each segment with its\n"
      "size, and how much is resident, shared, swapped, dirty, huge and locked. FILE is\n"
      "what --json wrote; - is standard input.");
  parser->add_option("target", request.target, "A process, or a file that --json wrote")
      ->type_name("");
  parser->add_flag("--all", request.is_all, "A row for each mapping, none left out");
  parser->add_option("--sort", order, "Order: address, size, rss, pss, swap, dirty")
      ->type_name("BY");
  parser->add_option("--diff", request.diff, "What changes in TIME, or since --json wrote FILE")
      ->type_name("TIME|FILE");
  parser->add_option("--watch", interval, "Show it again every so often, until the process ends")
      ->type_name("TIME");
  parser->add_option("--html", request.html_path, "Write a page to FILE; - is standard output")
      ->type_name("FILE");
  parser->add_option("--json", request.json_path, "Write all figures to FILE; - is standard output")
      ->type_name("FILE");
  parser->add_option("--proc", request.proc, "Where the process file system is, if not at /proc")
      ->type_name("DIR");
  parser->footer(
      "Examples:\n"
      "  acre maps 4711\n"
      "  acre maps --sort rss --html memory.html 4711\n"
      "  acre maps --json - 4711 >old.json; sleep 60; acre maps --diff old.json 4711");
  if (!parser.parse(std::move(arguments))) return 0;
  if (request.target.empty())
    throw error(exit_code::misuse, "no process to show; see 'acre maps --help'");
  if (order) request.order = parse_order(*order);
  if (interval)
    request.watch_interval = parse_time("--watch", *interval, std::chrono::milliseconds(100));
  return maps(request);
}

int pages_words(words arguments) {
  pages_request request;
  std::optional<std::string> time;
  verb_parser parser(
      "pages", "[OPTIONS] PID [WHAT]",
      "Shows what the pages of a process are: present, swapped, files, huge, zero, on\n"
      "which node. WHAT is an address, a range START-END, or a part of a name that\n"
      "'acre maps' shows, such as heap or libc; without it, all but reservations.");
  parser->add_option("target", request.target, "A process")->type_name("");
  parser->add_option("what", request.selector, "Which mappings")->type_name("");
  parser->add_option("--working-set", time, "Show what is referenced in TIME")->type_name("TIME");
  parser->add_option("--png", request.png_path, "Draw the heat map to FILE; - is standard output")
      ->type_name("FILE");
  parser->add_option("--svg", request.svg_path, "The same as a drawing")->type_name("FILE");
  parser->add_option("--json", request.json_path, "Write all figures to FILE; - is standard output")
      ->type_name("FILE");
  parser->footer(
      "Examples:\n"
      "  acre pages 4711 heap\n"
      "  acre pages --png pages.png 4711 7f0000000000-7f0000400000\n"
      "  acre pages --working-set 2s 4711");
  if (!parser.parse(std::move(arguments))) return 0;
  if (request.target.empty())
    throw error(exit_code::misuse, "no process to show; see 'acre pages --help'");
  if (time)
    request.working_set_time = parse_time("--working-set", *time, std::chrono::milliseconds(10));
  return pages(request);
}

struct verb {
  std::string_view name;
  std::string_view summary;
  int (*execute)(words arguments);
};

constexpr std::array verbs{
    verb{"run", "Run a program on Acre's heap, and tell what memory it used", run_words},
    verb{"bench", "Compare Acre with the allocators that are installed", bench_words},
    verb{"machine", "Describe and measure this machine's memory", machine_words},
    verb{"maps", "Show the memory of a process, segment by segment", maps_words},
    verb{"options", "List the options of the library", options_words},
    verb{"pages", "Show what the pages of a process are", pages_words},
};

std::string general_help() {
  std::string text =
      "Usage: acre VERB [OPTIONS]\n\n"
      "Memory management for Linux programs.\n\nVerbs:\n";
  for (const auto& each : verbs)
    text += fmt::format("  {:<12}{}\n", each.name, each.summary);
  return text +
         "\nOptions:\n"
         "  -h, --help  Print this help; 'acre VERB --help' tells of a verb\n"
         "  --version   Print the version\n"
         "\nExample:\n"
         "  acre run -- redis-server --port 7000\n";
}

}  // namespace

int run_command_line(std::span<char* const> arguments) {
  if (arguments.empty()) throw error(exit_code::misuse, "no verb given; see 'acre --help'");
  const std::string_view first = arguments.front();
  if (first == "-h" || first == "--help" || first == "help") {
    verb_parser::print(general_help());
    return 0;
  }
  if (first == "--version") {
    verb_parser::print("acre " ACRE_VERSION "\n");
    return 0;
  }
  const auto* const found = std::ranges::find(verbs, first, &verb::name);
  if (found == verbs.end()) {
    throw error(exit_code::misuse,
                fmt::format("there is no verb '{}'; 'acre --help' lists them", first));
  }
  const auto rest = arguments.subspan(1);
  return found->execute(words(rest.begin(), rest.end()));
}

}  // namespace acre::tool
