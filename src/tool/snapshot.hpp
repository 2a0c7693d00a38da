#pragma once

#include <acre/os/process.hpp>

#include "tool/error.hpp"
#include "tool/segment.hpp"

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <sys/types.h>

namespace acre::tool {

/// The memory of a process at one moment.
struct snapshot {
  pid_t pid = 0;
  std::string name;
  std::vector<std::string> command_line;
  std::string executable;
  std::chrono::system_clock::time_point time;
  std::vector<segment> segments;  ///< by address
  std::vector<heap_part> heap_parts;
  os::memory_counts total;
  std::optional<std::uint64_t> page_table_bytes;
  std::optional<std::uint64_t> limit_bytes;  ///< of the control group
  std::size_t unreadable_lines = 0;
  std::vector<std::string> notes;  ///< what could not be found out, and why
};

/// Opens the process, with an error that says what to do.
///
/// Throws:  error when there is no such process.
[[nodiscard]] os::process open_process(pid_t pid, const std::string& proc);

/// The failure of reading something of a process, as an error that says what to do.
[[nodiscard]] error explain_failure(const os::process& process, const failure& problem);

/// Looks at the process; it goes on meanwhile.
///
/// Throws:  error when it ended, has no memory, or may not be looked at.
[[nodiscard]] snapshot take_snapshot(const os::process& process);

/// The spans of [start, end) whose pages are present or swapped.
[[nodiscard]] std::vector<os::page_span> used_spans(const os::page_map& map, std::uint64_t start,
                                                    std::uint64_t end);

/// Reads a process number as people type it.
///
/// Throws:  error that says what is accepted: such a number, or `others`.
[[nodiscard]] pid_t parse_pid(const std::string& text, std::string_view others = "'self'");

}  // namespace acre::tool
