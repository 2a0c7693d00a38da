#include "tool/maps.hpp"

#include "tool/error.hpp"
#include "tool/maps_html.hpp"
#include "tool/maps_json.hpp"
#include "tool/maps_text.hpp"
#include "tool/output_file.hpp"
#include "tool/units.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <optional>
#include <thread>

#include <fmt/format.h>
#include <unistd.h>

namespace acre::tool {
namespace {

constexpr std::chrono::milliseconds wait_most = std::chrono::hours(24);

/// Moves to the top left corner, and clears from there down, without the flicker of clearing all.
constexpr std::string_view to_top = "\x1b[H\x1b[J";

void print(const std::string& text) {
  if (!write_all(STDOUT_FILENO, text))
    throw error(exit_code::misuse, "cannot write to standard output");
}

/// What a path leads to that is no file of data, for an error; empty when it is one.
std::string_view special_kind(const std::string& path) {
  std::error_code ignored;
  switch (std::filesystem::status(path, ignored).type()) {
    case std::filesystem::file_type::directory:
      return "a directory";
    case std::filesystem::file_type::fifo:
      return "a pipe";
    case std::filesystem::file_type::socket:
      return "a socket";
    case std::filesystem::file_type::character:
    case std::filesystem::file_type::block:
      return "a device";
    default:
      return {};
  }
}

snapshot read_snapshot(const std::string& path) {
  if (path == "-") {
    const std::string text(std::istreambuf_iterator<char>(std::cin), {});
    return parse_maps_json(text, "standard input");
  }
  // Opening a pipe would wait for somebody to write.
  if (const auto kind = special_kind(path); !kind.empty()) {
    throw error(exit_code::misuse,
                fmt::format("cannot read {}: it is {}; it takes a file that 'acre maps --json' "
                            "wrote, and - reads one from standard input",
                            path, kind));
  }
  std::ifstream file(path, std::ios::binary);
  if (!file) {
    throw error(exit_code::misuse, fmt::format("cannot read {}: {}", path, std::strerror(errno)));
  }
  const std::string text(std::istreambuf_iterator<char>(file), {});
  return parse_maps_json(text, path);
}

bool is_file(const std::string& target) {
  std::error_code ignored;
  if (target == "-") return true;
  return target != "self" &&
         !std::ranges::all_of(target, [](char c) { return c >= '0' && c <= '9'; }) &&
         std::filesystem::exists(target, ignored);
}

pid_t target_pid(const std::string& target) {
  return target == "self" ? ::getpid()
                          : parse_pid(target, "'self', or a file that 'acre maps --json' wrote");
}

bool has_ended(const os::process& process) {
  const auto status = process.status();
  return !status || status->has_ended();
}

/// Waits; false when the process ended meanwhile.
bool wait_while_alive(const os::process& process, std::chrono::milliseconds time) {
  constexpr std::chrono::milliseconds step{100};
  const auto end = std::chrono::steady_clock::now() + time;
  for (;;) {
    if (has_ended(process)) return false;
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
        end - std::chrono::steady_clock::now());
    if (left.count() <= 0) return true;
    std::this_thread::sleep_for(std::min(left, step));
  }
}

/// Shows the process again and again, until it ends.
void watch(const maps_request& request, const os::process& process) {
  const auto how = drawing_for(STDOUT_FILENO);
  const bool is_terminal = ::isatty(STDOUT_FILENO) != 0;
  std::string picture;
  do {
    try {
      picture = format_maps(take_snapshot(process), request.order.value_or(maps_order::address),
                            request.is_all, how);
    } catch (const error&) {
      if (has_ended(process)) break;
      throw;
    }
    print((is_terminal ? std::string(to_top) : "") + picture + (is_terminal ? "" : "\n"));
  } while (wait_while_alive(process, request.watch_interval));
  print(fmt::format("process {} ended\n", process.pid()));
}

/// The earlier one of two moments: from a file, or now, after which it waits.
snapshot take_earlier(const maps_request& request, const os::process* process) {
  const auto time = parse_duration(request.diff);
  if (!time) return read_snapshot(request.diff);
  if (*time > wait_most)
    throw error(exit_code::misuse, fmt::format("--diff waits at most 24h, not {}", request.diff));
  if (process == nullptr) {
    throw error(exit_code::misuse,
                "two moments of a file cannot be compared; --diff takes a second file");
  }
  auto before = take_snapshot(*process);
  if (!wait_while_alive(*process, *time)) {
    throw error(exit_code::misuse, fmt::format("process {} ended before the {} were over",
                                               process->pid(), request.diff));
  }
  return before;
}

void require_sensible(const maps_request& request) {
  if (request.json_path == "-" && request.html_path == "-")
    throw error(exit_code::misuse, "only one of --json and --html may be '-'");
  if (request.target == "-" && request.diff == "-")
    throw error(exit_code::misuse, "only one of the two moments may come from standard input");
  if (!request.diff.empty() && request.order == maps_order::address) {
    throw error(exit_code::misuse,
                "--diff puts ranges of one name together, which have no address; with it, --sort "
                "takes one of size, rss, pss, swap, dirty");
  }
  const bool is_shown_once =
      !request.diff.empty() || !request.json_path.empty() || !request.html_path.empty();
  if (request.watch_interval.count() > 0 && is_shown_once) {
    throw error(exit_code::misuse,
                "--watch shows a process again and again; --diff, --json and --html do it once");
  }
}

}  // namespace

int maps(const maps_request& request) {
  require_sensible(request);
  std::optional<os::process> process;
  if (!is_file(request.target))
    process.emplace(open_process(target_pid(request.target), request.proc));
  if (request.watch_interval.count() > 0) {
    if (!process) throw error(exit_code::misuse, "--watch takes a process, not a file");
    watch(request, *process);
    return 0;
  }
  std::optional<snapshot> before;
  if (!request.diff.empty()) before = take_earlier(request, process ? &*process : nullptr);
  const auto now = process ? take_snapshot(*process) : read_snapshot(request.target);
  if (!request.json_path.empty()) output_file(request.json_path).write(format_maps_json(now));
  if (!request.html_path.empty())
    output_file(request.html_path).write(format_maps_html(now, request.is_all));
  const bool is_written_to_standard_output = request.json_path == "-" || request.html_path == "-";
  if (is_written_to_standard_output) return 0;
  const auto how = drawing_for(STDOUT_FILENO);
  print(before
            ? format_maps_diff(*before, now, request.order, how)
            : format_maps(now, request.order.value_or(maps_order::address), request.is_all, how));
  return 0;
}

}  // namespace acre::tool
