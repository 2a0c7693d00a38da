#include "tool/heap_report.hpp"

#include <nlohmann/json.hpp>

namespace acre::tool {
namespace {

using json = nlohmann::ordered_json;

/// A member that is a number; 0 when it is missing or something else.
template <class Number>
void read(const json& from, const char* name, Number& into) {
  const auto member = from.find(name);
  if (member != from.end() && member->is_number()) into = member->get<Number>();
}

/// A member that is an object; an empty one when it is missing or something else.
const json& object(const json& from, const char* name) {
  static const json none = json::object();
  const auto member = from.find(name);
  return member != from.end() && member->is_object() ? *member : none;
}

void read_process(const json& line, heap_report& report) {
  read(line, "pid", report.pid);
  read(line, "wall_ms", report.wall_ms);
  read(line, "user_ms", report.user_ms);
  read(line, "system_ms", report.system_ms);
  read(line, "minor_faults", report.minor_faults);
  read(line, "major_faults", report.major_faults);
  read(line, "rss_bytes", report.rss_bytes);
  read(line, "rss_peak_bytes", report.rss_peak_bytes);
  const auto exe = line.find("exe");
  if (exe != line.end() && exe->is_string()) report.exe = exe->get<std::string>();
}

void read_heap(const json& line, heap_report& report) {
  read(line, "allocations", report.allocations);
  read(line, "frees", report.frees);
  read(line, "live_bytes", report.live_bytes);
  read(line, "live_bytes_peak", report.live_bytes_peak);
  read(line, "committed_bytes", report.committed_bytes);
  read(line, "threads_peak", report.threads_peak);
  const auto& waste = object(line, "waste");
  read(waste, "rounding_bytes", report.rounding_bytes);
  read(waste, "slab_free_bytes", report.slab_free_bytes);
  read(waste, "cache_bytes", report.cache_bytes);
  read(waste, "retained_bytes", report.retained_bytes);
  read(waste, "metadata_bytes", report.metadata_bytes);
  const auto& large = object(line, "large");
  read(large, "allocations", report.large_allocations);
  read(large, "live", report.large_live);
  read(large, "live_bytes", report.large_live_bytes);
}

void read_classes(const json& line, heap_report& report) {
  const auto classes = line.find("classes");
  if (classes == line.end() || !classes->is_array()) return;
  for (const auto& each : *classes) {
    if (!each.is_object()) continue;
    size_class_use use;
    read(each, "size", use.size_bytes);
    read(each, "allocations", use.allocations);
    read(each, "live", use.live);
    read(each, "live_bytes", use.live_bytes);
    report.classes.push_back(use);
  }
}

}  // namespace

std::string heap_report::name() const {
  const auto last = exe.substr(exe.rfind('/') + 1);
  return last.empty() ? "?" : last;
}

std::optional<heap_report> parse_heap_report(std::string_view line) {
  auto parsed = json::parse(line, nullptr, /*allow_exceptions=*/false);
  if (!parsed.is_object() || !parsed.contains("acre")) return {};
  heap_report report;
  const auto event = parsed.find("event");
  report.is_exit = event != parsed.end() && *event == "exit";
  read_process(parsed, report);
  read_heap(parsed, report);
  read_classes(parsed, report);
  report.source = std::make_shared<const json>(std::move(parsed));
  return report;
}

}  // namespace acre::tool
