#pragma once

#include <acre/export.h>
#include <acre/result.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

/// Control groups and pressure: what limits a process's memory from outside, and who waits for it.
///
/// Both versions of control groups are read, and machines that mount both at once (cgroups(7)).
/// Units: bytes, microseconds, percent.
namespace acre::os {

/// One line of /proc/PID/cgroup.
struct cgroup_entry {
  std::uint32_t hierarchy = 0;           ///< 0: version 2
  std::vector<std::string> controllers;  ///< of version 1, "memory" among them; "name=systemd" too
  std::string path;                      ///< below the hierarchy's mount
};

[[nodiscard]] ACRE_API std::vector<cgroup_entry> parse_cgroup(std::string_view text);

/// One line of /proc/PID/mountinfo (proc_pid_mountinfo(5)), with escapes taken off.
struct mount_entry {
  std::string root;   ///< what of the file system is mounted
  std::string point;  ///< where
  std::string type;   ///< "cgroup2"
  std::string super_options;
};

[[nodiscard]] ACRE_API std::vector<mount_entry> parse_mountinfo(std::string_view text);

/// The memory limits that hold for a control group: the lowest of it and of all groups above.
struct cgroup_memory {
  int version = 0;        ///< 1 or 2
  std::string directory;  ///< of the group itself
  /// memory.max or memory.limit_in_bytes: beyond it processes are killed; empty: none.
  std::optional<std::uint64_t> limit_bytes;
  std::string limit_directory;  ///< of the group that sets it
  /// memory.high of version 2: beyond it processes are slowed down.
  std::optional<std::uint64_t> high_bytes;
  /// memory.swap.max; version 1 limits memory and swap together, so it has none.
  std::optional<std::uint64_t> swap_limit_bytes;
  std::optional<std::uint64_t> used_bytes;
  std::optional<std::uint64_t> swap_used_bytes;  ///< version 2
};

/// A limit as a control group writes it: "max", -1 and version 1's number for "none" are empty.
/// Returns:  nothing at all when the text is no limit.
[[nodiscard]] ACRE_API std::optional<std::optional<std::uint64_t>> parse_cgroup_limit(
    std::string_view text) noexcept;

/// Reads the limits for a process whose /proc/PID/cgroup says `groups`.
///
/// Fails:  ENOENT when no hierarchy with the memory controller is mounted where we can see it, or
/// the
///         process is in a group outside our cgroup namespace.
[[nodiscard]] ACRE_API result<cgroup_memory> read_cgroup_memory(
    const std::vector<cgroup_entry>& groups, const std::vector<mount_entry>& mounts);

/// How much of the time tasks waited for a resource: one line of a pressure file.
struct pressure_line {
  double average_10s = 0;  ///< percent of the last 10 seconds
  double average_60s = 0;
  double average_300s = 0;
  std::uint64_t total_us = 0;  ///< since boot
};

/// "some": at least one task waited; "full": all did.
struct pressure {
  std::optional<pressure_line> some;
  std::optional<pressure_line> full;
};

[[nodiscard]] ACRE_API pressure parse_pressure(std::string_view text);

/// The pressure of the machine ("memory", "cpu", "io"), or of a control group when `directory`
/// names one of version 2.
///
/// Fails:  ENOENT without CONFIG_PSI, EOPNOTSUPP when it is disabled at boot.
[[nodiscard]] ACRE_API result<pressure> read_pressure(std::string_view resource,
                                                      const std::string& directory = {});

}  // namespace acre::os
