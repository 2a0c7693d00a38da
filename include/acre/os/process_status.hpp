#pragma once

#include <acre/export.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <sys/types.h>

/// What /proc/PID/status and /proc/PID/limits say, as values (proc_pid_status(5)).
///
/// The parsers take text and touch no file; what is missing stays empty, what is new is passed
/// over. Units: bytes.
namespace acre::os {

/// Memory is empty where the process has none of its own (kernel threads, processes that ended).
struct process_status {
  std::string name;  ///< of the program, at most 15 bytes
  char state = '?';  ///< 'R', 'S', 'D', 'T', 'Z' and further ones, as in ps(1)
  pid_t pid = 0;     ///< of the thread group
  pid_t parent = 0;
  pid_t tracer = 0;  ///< 0: nobody
  uid_t user = 0;    ///< real
  uid_t effective_user = 0;
  std::uint64_t threads = 0;
  bool kernel_thread = false;  ///< Linux 6.8 says so; before, see `has_memory`
  std::vector<pid_t> ns_pids;  ///< its PID in each PID namespace, the innermost last
  std::optional<std::uint64_t> vm_peak, vm_size, locked, pinned, rss_peak, rss;
  std::optional<std::uint64_t> rss_anon, rss_file, rss_shmem;
  std::optional<std::uint64_t> data, stack, text, libraries, page_tables, swap, hugetlb;

  /// Whether it has an address space.
  [[nodiscard]] bool has_memory() const noexcept { return vm_size.has_value(); }
  /// It ended, and only its entry is left.
  [[nodiscard]] bool has_ended() const noexcept { return state == 'Z' || state == 'X'; }
};

[[nodiscard]] ACRE_API process_status parse_status(std::string_view text);

/// One line of /proc/PID/limits. An empty value is "unlimited".
struct process_limit {
  std::string name;  ///< "Max locked memory"
  std::optional<std::uint64_t> soft;
  std::optional<std::uint64_t> hard;
  std::string unit;  ///< "bytes"; may be empty
};

struct process_limits {
  std::vector<process_limit> limits;
  std::size_t unreadable_lines = 0;

  /// The limit of that name, such as "Max locked memory"; null when the kernel has none.
  [[nodiscard]] const process_limit* find(std::string_view name) const noexcept {
    for (const auto& limit : limits) {
      if (limit.name == name) return &limit;
    }
    return nullptr;
  }
};

[[nodiscard]] ACRE_API process_limits parse_limits(std::string_view text);

}  // namespace acre::os
