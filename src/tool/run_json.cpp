#include "tool/run_json.hpp"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <nlohmann/json.hpp>

namespace acre::tool {
namespace {

using json = nlohmann::ordered_json;

double milliseconds(const timeval& time) {
  return static_cast<double>(time.tv_sec) * 1e3 + static_cast<double>(time.tv_usec) / 1e3;
}

json sources(const std::vector<heap_report>& reports) {
  json list = json::array();
  for (const auto& report : reports)
    list.push_back(*report.source);
  return list;
}

/// The highest of any process. What the kernel tells of ended children lacks pages that its
/// processors had yet to add up, so a process may have seen more in /proc.
std::uint64_t rss_peak_bytes(const run_record& record, const std::vector<heap_report>& processes) {
  auto peak = static_cast<std::uint64_t>(record.end().usage.ru_maxrss) * 1024;
  for (const auto& report : processes)
    peak = std::max(peak, report.rss_peak_bytes);
  return peak;
}

json signal_name(const child_end& end) {
  if (end.exit_code) return nullptr;
  const char* const name = ::sigabbrev_np(end.signal);
  return name == nullptr ? std::to_string(end.signal) : std::string("SIG") + name;
}

}  // namespace

std::string format_run_json(const run_record& record) {
  const auto& end = record.end();
  const auto processes = record.processes();
  json run;
  run["acre_version"] = ACRE_VERSION;
  run["command"] = record.words();
  run["pid"] = end.pid;
  run["exit_code"] = end.exit_code ? json(*end.exit_code) : json(nullptr);
  run["signal"] = signal_name(end);
  run["wall_ms"] = end.wall.count();
  run["user_ms"] = milliseconds(end.usage.ru_utime);
  run["system_ms"] = milliseconds(end.usage.ru_stime);
  run["rss_peak_bytes"] = rss_peak_bytes(record, processes);
  run["minor_faults"] = end.usage.ru_minflt;
  run["major_faults"] = end.usage.ru_majflt;
  // Not 0: none came.
  run["allocations"] = processes.empty() ? json(nullptr) : json(record.allocations());
  run["processes"] = sources(processes);
  run["ticks"] = sources(record.ticks());
  run["unreadable_lines"] = record.unreadable_lines();
  // Arguments are bytes and need not be UTF-8.
  return run.dump(2, ' ', false, json::error_handler_t::replace) + "\n";
}

}  // namespace acre::tool
