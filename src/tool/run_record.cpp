#include "tool/run_record.hpp"

#include <algorithm>

namespace acre::tool {

void run_record::add_lines(const std::vector<std::string>& lines) {
  for (const auto& line : lines) {
    auto report = parse_heap_report(line);
    if (!report) {
      ++unreadable_lines_;
    } else if (report->is_exit) {
      running_.erase(report->pid);
      ended_.push_back(std::move(*report));
    } else {
      ticks_.push_back(*report);
      running_[report->pid] = std::move(*report);
    }
  }
}

std::vector<heap_report> run_record::processes() const {
  auto all = ended_;
  for (const auto& [pid, report] : running_)
    all.push_back(report);
  std::ranges::stable_partition(
      all, [this](const heap_report& report) { return report.pid == end_.pid; });
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
