/// Fuzz targets: any bytes are a file of /proc, or an answer of the kernel about pages.
///
/// The build makes one program per parser, by ACRE_FUZZ_PARSER. What is read must keep its own
/// rules, and must be the same when the text is read once more.
#include <acre/os/cgroup.hpp>
#include <acre/os/page_map.hpp>
#include <acre/os/process_maps.hpp>
#include <acre/os/process_status.hpp>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string_view>
#include <vector>

namespace {

using namespace acre::os;

void require(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "broken: %s\n", what);
  std::abort();
}

std::size_t count_lines(std::string_view text) {
  const auto ends = static_cast<std::size_t>(std::ranges::count(text, '\n'));
  return ends + (text.empty() || text.ends_with('\n') ? 0 : 1);
}

void require_whole(const process_mapping& mapping) {
  require(mapping.start < mapping.end, "a mapping has bytes");
  require(mapping.name.find_first_of(" \t") != 0, "a name begins behind the blanks");
}

[[maybe_unused]] void check_maps(std::string_view text) {
  const auto result = parse_maps(text);
  require(result.mappings.size() + result.unreadable_lines == count_lines(text),
          "every line is a mapping or counted");
  for (const auto& mapping : result.mappings)
    require_whole(mapping);
  require(parse_maps(text).mappings == result.mappings, "the same text gives the same mappings");
}

[[maybe_unused]] void check_smaps(std::string_view text) {
  const auto result = parse_smaps(text);
  require(result.mappings.size() + result.unreadable_lines <= count_lines(text),
          "no line is counted twice");
  for (const auto& each : result.mappings) {
    require_whole(each.mapping);
    static_cast<void>(each.has_flag("lo"));
    for (const auto bytes : each.memory.bytes)
      require(bytes % 1024 == 0, "amounts are of kB");
  }
  static_cast<void>(result.total());
}

[[maybe_unused]] void check_smaps_rollup(std::string_view text) {
  const auto counts = parse_smaps_rollup(text);
  require(counts == parse_smaps_rollup(text), "the same text gives the same figures");
}

[[maybe_unused]] void check_status(std::string_view text) {
  const auto result = parse_status(text);
  require(result.ns_pids.size() <= text.size(), "PIDs come from the text");
  require(!result.rss || *result.rss % 1024 == 0, "amounts are of kB");
}

[[maybe_unused]] void check_limits(std::string_view text) {
  const auto result = parse_limits(text);
  require(result.limits.size() + result.unreadable_lines <= count_lines(text),
          "no line is counted twice");
  for (const auto& limit : result.limits)
    require(result.find(limit.name) != nullptr && !limit.name.empty(), "a limit has a name");
}

[[maybe_unused]] void check_cgroup(std::string_view text) {
  for (const auto& group : parse_cgroup(text))
    require(group.path.starts_with('/'), "a path begins at the root");
  static_cast<void>(parse_cgroup_limit(text));
}

[[maybe_unused]] void check_mountinfo(std::string_view text) {
  for (const auto& mount : parse_mountinfo(text))
    require(!mount.type.empty(), "a mount has a type");
}

[[maybe_unused]] void check_pressure(std::string_view text) {
  const auto result = parse_pressure(text);
  require(!result.some || result.some->average_10s >= 0, "an average is no negative number");
}

[[maybe_unused]] void check_spans(std::string_view text) {
  std::vector<page_span> given(text.size() / sizeof(page_span));
  if (!given.empty()) std::memcpy(given.data(), text.data(), given.size() * sizeof(page_span));
  std::uint64_t at = 4096;
  for (const auto& span : checked_spans(given, at, std::uint64_t{1} << 47U)) {
    require(span.start >= at && span.start < span.end, "spans are in order and have pages");
    at = span.end;
  }
  require(at <= std::uint64_t{1} << 47U, "spans end within the range");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  ACRE_FUZZ_PARSER(std::string_view(reinterpret_cast<const char*>(data), size));
  return 0;
}
