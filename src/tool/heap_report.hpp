#pragma once

#include <cstdint>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace acre::tool {

struct size_class_use {
  std::uint64_t size_bytes = 0;
  std::uint64_t allocations = 0;
  std::uint64_t live = 0;
  std::uint64_t live_bytes = 0;
};

/// One line of the summary channel: a process's figures at its end or at a tick.
struct heap_report {
  bool is_exit = false;
  std::int64_t pid = 0;
  std::string exe;
  double wall_ms = 0;
  double user_ms = 0;
  double system_ms = 0;
  std::uint64_t minor_faults = 0;
  std::uint64_t major_faults = 0;
  std::uint64_t rss_bytes = 0;
  std::uint64_t rss_peak_bytes = 0;
  std::uint64_t allocations = 0;
  std::uint64_t frees = 0;
  std::uint64_t live_bytes = 0;
  std::uint64_t live_bytes_peak = 0;
  std::uint64_t committed_bytes = 0;
  std::uint64_t threads_peak = 0;
  std::uint64_t rounding_bytes = 0;  ///< an estimate
  std::uint64_t slab_free_bytes = 0;
  std::uint64_t cache_bytes = 0;
  std::uint64_t retained_bytes = 0;
  std::uint64_t metadata_bytes = 0;
  std::uint64_t large_allocations = 0;
  std::uint64_t large_live = 0;
  std::uint64_t large_live_bytes = 0;
  std::vector<size_class_use> classes;
  std::shared_ptr<const nlohmann::ordered_json> source;  ///< the whole line, for --json

  /// The last part of `exe`, or "?".
  [[nodiscard]] std::string name() const;
};

/// Reads a line; nothing when it is no such line. A figure that is missing reads as 0.
[[nodiscard]] std::optional<heap_report> parse_heap_report(std::string_view line);

}  // namespace acre::tool
