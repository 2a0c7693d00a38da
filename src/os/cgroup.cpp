#include <acre/os/cgroup.hpp>

#include "os/number_file.hpp"
#include "os/proc_file.hpp"
#include "os/proc_text.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

namespace acre::os {
namespace {

using namespace proc_text;

/// Version 1 rounds LONG_MAX down to a page for "none"; no machine has a quarter of that.
constexpr std::uint64_t version_1_none = std::uint64_t{1} << 62U;

std::vector<std::string> split(std::string_view text, char mark) {
  std::vector<std::string> parts;
  while (!text.empty()) {
    const auto part = text.substr(0, text.find(mark));
    if (!part.empty()) parts.emplace_back(part);
    text.remove_prefix(std::min(part.size() + 1, text.size()));
  }
  return parts;
}

bool has_word(const std::vector<std::string>& words, std::string_view word) {
  return std::ranges::find(words, word) != words.end();
}

/// The mount of the hierarchy through which `path` is seen, and what is below it.
struct place {
  std::string mount;
  std::string below;  ///< "" or "/a/b"
};

/// `root` is which part of the hierarchy the mount shows: in a container the group of its own.
std::optional<std::string> below_root(std::string_view path, std::string_view root) {
  // A group outside of our cgroup namespace begins with "/..".
  if (path.starts_with("/..")) return {};
  if (root.starts_with("/..")) root = "/";
  if (root != "/") {
    if (!path.starts_with(root)) return std::string(path == "/" ? "" : path);
    path.remove_prefix(root.size());
    if (!path.empty() && path.front() != '/') return {};
  }
  return std::string(path == "/" ? "" : path);
}

std::optional<place> find_place(const std::vector<mount_entry>& mounts, const cgroup_entry& group,
                                bool is_version_2) {
  for (const auto& mount : mounts) {
    const bool fits = is_version_2 ? mount.type == "cgroup2"
                                   : mount.type == "cgroup" &&
                                         has_word(split(mount.super_options, ','), "memory");
    if (!fits) continue;
    if (auto below = below_root(group.path, mount.root))
      return place{mount.point, *std::move(below)};
  }
  return {};
}

/// Reads one amount of a group; empty when there is no such file or no such limit.
std::optional<std::uint64_t> read_amount(const std::string& directory, const char* file) {
  std::array<char, 64> buffer{};
  const auto text = read_into_buffer((directory + "/" + file).c_str(), buffer);
  if (!text) return {};
  const auto value = parse_cgroup_limit(*text);
  return value ? *value : std::nullopt;
}

void lower(std::optional<std::uint64_t>& limit, std::optional<std::uint64_t> other) {
  if (other && (!limit || *other < *limit)) limit = other;
}

/// Applies the limits of one group, which may be lower than those below it.
void apply_limits(const std::string& directory, cgroup_memory& memory) {
  const bool is_version_2 = memory.version == 2;
  const auto limit = read_amount(directory, is_version_2 ? "memory.max" : "memory.limit_in_bytes");
  if (limit && (!memory.limit_bytes || *limit < *memory.limit_bytes)) {
    memory.limit_bytes = limit;
    memory.limit_directory = directory;
  }
  if (!is_version_2) return;
  lower(memory.high_bytes, read_amount(directory, "memory.high"));
  lower(memory.swap_limit_bytes, read_amount(directory, "memory.swap.max"));
}

cgroup_memory read_at(const place& where, int version) {
  cgroup_memory memory;
  memory.version = version;
  memory.directory = where.mount + where.below;
  memory.used_bytes =
      read_amount(memory.directory, version == 2 ? "memory.current" : "memory.usage_in_bytes");
  if (version == 2) memory.swap_used_bytes = read_amount(memory.directory, "memory.swap.current");
  for (std::string below = where.below;; below.resize(below.rfind('/'))) {
    apply_limits(where.mount + below, memory);
    if (below.empty() || below.rfind('/') == std::string::npos) return memory;
  }
}

std::optional<double> decimal(std::string_view text) noexcept {
  double value = 0;
  const char* const end = text.data() + text.size();
  const auto [rest, problem] = std::from_chars(text.data(), end, value, std::chars_format::fixed);
  if (problem != std::errc{} || rest != end || !(value >= 0)) return {};
  return value;
}

/// "avg10=0.00 avg60=0.00 avg300=0.00 total=0"; nothing when no known word is among them.
std::optional<pressure_line> parse_pressure_line(std::string_view text) {
  pressure_line line;
  bool is_known = false;
  for (auto word = take_word(text); !word.empty(); word = take_word(text)) {
    const auto name = take_until(word, '=');
    if (!name) continue;
    if (*name == "total") {
      const auto total = number<std::uint64_t>(word);
      is_known |= total.has_value();
      line.total_us = total.value_or(0);
    }
    const auto value = decimal(word);
    if (!value) continue;
    if (*name == "avg10") line.average_10s = *value;
    if (*name == "avg60") line.average_60s = *value;
    if (*name == "avg300") line.average_300s = *value;
  }
  return is_known ? std::optional(line) : std::nullopt;
}

}  // namespace

std::vector<cgroup_entry> parse_cgroup(std::string_view text) {
  std::vector<cgroup_entry> entries;
  while (!text.empty()) {
    auto line = take_line(text);
    const auto hierarchy = take_until(line, ':');
    const auto controllers = take_until(line, ':');
    if (!hierarchy || !controllers || !line.starts_with('/')) continue;
    const auto value = number<std::uint32_t>(*hierarchy);
    if (!value) continue;
    entries.push_back({*value, split(*controllers, ','), std::string(line)});
  }
  return entries;
}

std::vector<mount_entry> parse_mountinfo(std::string_view text) {
  const auto plain = [](std::string_view word) {
    return unescaped(word, [](char byte) {
      return byte == ' ' || byte == '\t' || byte == '\n' || byte == '\\' || byte == '#';
    });
  };
  std::vector<mount_entry> entries;
  while (!text.empty()) {
    auto line = take_line(text);
    // ID, parent, device; root, point; options; any count of tags; "-"; type, source, options
    for (int skipped = 0; skipped < 3; ++skipped)
      static_cast<void>(take_word(line));
    const auto root = take_word(line);
    const auto point = take_word(line);
    auto word = take_word(line);
    while (!word.empty() && word != "-")
      word = take_word(line);
    const auto type = take_word(line);
    static_cast<void>(take_word(line));
    if (type.empty()) continue;
    entries.push_back({plain(root), plain(point), std::string(type), plain(take_word(line))});
  }
  return entries;
}

std::optional<std::optional<std::uint64_t>> parse_cgroup_limit(std::string_view text) noexcept {
  while (!text.empty() && (text.back() == '\n' || text.back() == ' '))
    text.remove_suffix(1);
  if (text == "max" || text == "-1") return std::optional<std::uint64_t>();
  const auto value = number<std::uint64_t>(text);
  if (!value) return {};
  return *value >= version_1_none ? std::optional<std::uint64_t>() : value;
}

result<cgroup_memory> read_cgroup_memory(const std::vector<cgroup_entry>& groups,
                                         const std::vector<mount_entry>& mounts) {
  // The memory controller is in one hierarchy at a time; version 1 names it.
  for (const auto& group : groups) {
    if (!has_word(group.controllers, "memory")) continue;
    if (const auto where = find_place(mounts, group, false)) return read_at(*where, 1);
    return std::unexpected(failure{ENOENT, "cgroup"});
  }
  for (const auto& group : groups) {
    if (group.hierarchy != 0 || !group.controllers.empty()) continue;
    if (const auto where = find_place(mounts, group, true)) return read_at(*where, 2);
  }
  return std::unexpected(failure{ENOENT, "cgroup"});
}

pressure parse_pressure(std::string_view text) {
  pressure result;
  while (!text.empty()) {
    auto line = take_line(text);
    const auto kind = take_word(line);
    if (kind == "some") result.some = parse_pressure_line(line);
    if (kind == "full") result.full = parse_pressure_line(line);
  }
  return result;
}

result<pressure> read_pressure(std::string_view resource, const std::string& directory) {
  const std::string path = directory.empty()
                               ? "/proc/pressure/" + std::string(resource)
                               : directory + "/" + std::string(resource) + ".pressure";
  const auto text = read_whole(AT_FDCWD, path.c_str(), "pressure");
  if (!text) return std::unexpected(text.error());
  return parse_pressure(*text);
}

}  // namespace acre::os
