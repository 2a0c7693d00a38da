#include "tool/run_record.hpp"

#include <algorithm>
#include <iterator>
#include <ranges>

namespace acre::tool {

bool run_record::add_line(const std::string& line) {
  auto report = parse_heap_report(line);
  if (!report) {
    ++unreadable_lines_;
  } else if (report->is_exit) {
    running_.erase(report->pid);
    ended_.push_back(std::move(*report));
  } else {
    ticks_.push_back(*report);
    running_[report->pid] = std::move(*report);
    return true;
  }
  return false;
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
