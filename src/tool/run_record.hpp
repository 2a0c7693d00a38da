#pragma once

#include "tool/child.hpp"
#include "tool/heap_report.hpp"

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace acre::tool {

/// Everything that is known of a run, gathered from the summary channel and from the kernel.
class run_record {
 public:
  explicit run_record(std::vector<std::string> words) : words_(std::move(words)) {}

  /// Takes a line of the summary channel; they come in their order.
  ///
  /// A program that is linked with the library and runs on the preloaded one, too, has two copies
  /// of it, of which one gives out all blocks; the other's reports are left out.
  ///
  /// Returns:  whether it is a tick, and was taken.
  bool add_line(const std::string& line);
  void set_end(const child_end& end) { end_ = end; }

  [[nodiscard]] const std::vector<std::string>& words() const noexcept { return words_; }
  [[nodiscard]] const child_end& end() const noexcept { return end_; }

  /// The last figures of each process; the first process, if it left any, in front, and the others
  /// in the order in which they ended.
  [[nodiscard]] std::vector<heap_report> processes() const;
  /// The latest figures of the processes that have not ended.
  [[nodiscard]] const std::map<std::int64_t, heap_report>& running() const noexcept {
    return running_;
  }
  /// All ticks.
  [[nodiscard]] const std::vector<heap_report>& ticks() const noexcept { return ticks_; }
  /// Allocations of all processes that reported, ended or not.
  [[nodiscard]] std::uint64_t allocations() const noexcept;
  [[nodiscard]] std::size_t unreadable_lines() const noexcept { return unreadable_lines_; }

 private:
  void add_end(heap_report&& report);
  bool add_tick(heap_report&& report);

  std::vector<std::string> words_;
  child_end end_;
  std::vector<heap_report> ended_;
  std::map<std::int64_t, std::size_t> last_ended_;  // of each process id, its place in `ended_`
  std::map<std::int64_t, heap_report> running_;     // by process id, which may be used again later
  std::vector<heap_report> ticks_;
  std::size_t unreadable_lines_ = 0;
};

}  // namespace acre::tool
