#include "tool/run_record.hpp"

#include <algorithm>
#include <iterator>
#include <ranges>

namespace acre::tool {
namespace {

/// Whether `report` is of a copy of the library that gave out nothing, where `other` is of the one
/// that the same process runs on. A heap's count of allocations never falls.
bool is_idle_copy(const heap_report& report, const heap_report& other) {
  return report.allocations == 0 && other.allocations > 0 && report.pid == other.pid &&
         report.exe == other.exe;
}

}  // namespace

bool run_record::add_line(const std::string& line) {
  auto report = parse_heap_report(line);
  if (!report) {
    ++unreadable_lines_;
    return false;
  }
  if (!report->is_exit) return add_tick(std::move(*report));
  add_end(std::move(*report));
  return false;
}

void run_record::add_end(heap_report&& report) {
  running_.erase(report.pid);
  const auto [last, is_new] = last_ended_.try_emplace(report.pid, ended_.size());
  if (!is_new) {
    auto& other = ended_[last->second];
    if (is_idle_copy(report, other)) return;
    if (is_idle_copy(other, report)) {
      other = std::move(report);
      return;
    }
    last->second = ended_.size();
  }
  ended_.push_back(std::move(report));
}

bool run_record::add_tick(heap_report&& report) {
  const auto before = running_.find(report.pid);
  if (before != running_.end() && is_idle_copy(report, before->second)) return false;
  ticks_.push_back(report);
  running_[report.pid] = std::move(report);
  return true;
}

std::vector<heap_report> run_record::processes() const {
  std::vector<heap_report> all;
  const auto append_if = [&](bool is_first) {
    const auto belongs = [&](const heap_report& report) {
      return (report.pid == end_.pid) == is_first;
    };
    std::ranges::copy_if(ended_, std::back_inserter(all), belongs);
    std::ranges::copy_if(running_ | std::views::values, std::back_inserter(all), belongs);
  };
  append_if(true);
  append_if(false);
  return all;
}

std::uint64_t run_record::allocations() const noexcept {
  std::uint64_t sum = 0;
  for (const auto& report : ended_)
    sum += report.allocations;
  for (const auto& [pid, report] : running_)
    sum += report.allocations;
  return sum;
}

}  // namespace acre::tool
