#include "tool/maps_json.hpp"

#include "tool/error.hpp"

#include <cctype>
#include <charconv>
#include <nlohmann/json.hpp>

#include <fmt/format.h>

namespace acre::tool {
namespace {

using json = nlohmann::ordered_json;

constexpr int format_version = 1;

/// "Pss_Dirty" is "pss_dirty_bytes", "AnonHugePages" is "anon_huge_pages_bytes".
std::string field_key(os::memory_field field) {
  std::string key;
  char before = '_';
  for (const char letter : os::memory_field_name(field)) {
    const bool is_capital = std::isupper(static_cast<unsigned char>(letter)) != 0;
    const bool follows_small = std::islower(static_cast<unsigned char>(before)) != 0;
    if (is_capital && follows_small) key += '_';
    key += static_cast<char>(std::tolower(static_cast<unsigned char>(letter)));
    before = letter;
  }
  return key + "_bytes";
}

template <class Visitor>
void for_each_field(Visitor visit) {
  for (std::size_t index = 0; index < static_cast<std::size_t>(os::memory_field::count); ++index) {
    const auto field = static_cast<os::memory_field>(index);
    // What only the sum over all mappings has in the kernel.
    if (field >= os::memory_field::pss_anon && field <= os::memory_field::pss_shmem) continue;
    visit(field);
  }
}

json memory_json(const os::memory_counts& memory) {
  static const auto keys = [] {
    std::vector<std::pair<os::memory_field, std::string>> list;
    for_each_field([&](os::memory_field field) { list.emplace_back(field, field_key(field)); });
    return list;
  }();
  json result = json::object();
  for (const auto& [field, key] : keys)
    result[key] = memory[field];
  return result;
}

json segment_json(const segment& each) {
  const auto& mapping = each.mapping();
  json row;
  row["kind"] = kind_key(each.kind);
  row["label"] = each.label;
  row["start"] = fmt::format("{:x}", mapping.start);
  row["end"] = fmt::format("{:x}", mapping.end);
  row["protection"] = std::string(mapping.protection().data());
  row["offset"] = mapping.offset;
  row["device"] = fmt::format("{:02x}:{:02x}", mapping.device_major, mapping.device_minor);
  row["inode"] = mapping.inode;
  row["name"] = mapping.name;
  row["deleted"] = mapping.deleted;
  row["locked"] = each.is_locked();
  row["guard_bytes"] = each.guard_bytes;
  row["flags"] = each.usage.flags;
  row["memory"] = memory_json(each.usage.memory);
  for (const auto& [name, bytes] : each.usage.other)
    row["other"][name] = bytes;
  return row;
}

json part_json(const heap_part& part) {
  return {{"what", part.what},
          {"size_bytes", part.size_bytes},
          {"resident_bytes", part.resident_bytes},
          {"swapped_bytes", part.swapped_bytes},
          {"blocks", part.blocks},
          {"live_blocks", part.live_blocks}};
}

template <class T>
json nullable(const std::optional<T>& value) {
  return value ? json(*value) : json(nullptr);
}

std::uint64_t hexadecimal(const json& text) {
  const auto& digits = text.get_ref<const std::string&>();
  std::uint64_t value = 0;
  const char* const end = digits.data() + digits.size();
  const auto [rest, problem] = std::from_chars(digits.data(), end, value, 16);
  if (problem != std::errc{} || rest != end) throw std::out_of_range("an address");
  return value;
}

os::memory_counts parse_memory(const json& object) {
  os::memory_counts memory;
  for_each_field([&](os::memory_field field) {
    memory[field] = object.value(field_key(field), std::uint64_t{0});
  });
  return memory;
}

segment parse_segment(const json& row) {
  segment each;
  each.kind = find_kind(row.at("kind").get<std::string>()).value_or(segment_kind::anonymous);
  each.label = row.at("label").get<std::string>();
  auto& mapping = each.usage.mapping;
  mapping.start = hexadecimal(row.at("start"));
  mapping.end = hexadecimal(row.at("end"));
  const auto protection = row.at("protection").get<std::string>();
  mapping.readable = protection.starts_with('r');
  mapping.writable = protection.find('w') != std::string::npos;
  mapping.executable = protection.find('x') != std::string::npos;
  mapping.shared = protection.ends_with('s');
  mapping.offset = row.at("offset").get<std::uint64_t>();
  mapping.inode = row.at("inode").get<std::uint64_t>();
  mapping.name = row.at("name").get<std::string>();
  mapping.deleted = row.at("deleted").get<bool>();
  each.guard_bytes = row.at("guard_bytes").get<std::uint64_t>();
  each.usage.flags = row.at("flags").get<std::string>();
  each.usage.memory = parse_memory(row.at("memory"));
  return each;
}

heap_part parse_part(const json& row) {
  return {.what = row.at("what").get<std::string>(),
          .size_bytes = row.at("size_bytes").get<std::uint64_t>(),
          .resident_bytes = row.at("resident_bytes").get<std::uint64_t>(),
          .swapped_bytes = row.at("swapped_bytes").get<std::uint64_t>(),
          .blocks = row.at("blocks").get<std::uint64_t>(),
          .live_blocks = row.at("live_blocks").get<std::uint64_t>()};
}

snapshot parse_snapshot(const json& object) {
  snapshot what;
  if (object.at("acre_maps").get<int>() != format_version) throw std::out_of_range("version");
  what.pid = object.at("pid").get<pid_t>();
  what.name = object.at("name").get<std::string>();
  what.command_line = object.at("command_line").get<std::vector<std::string>>();
  what.executable = object.at("executable").get<std::string>();
  what.time = std::chrono::system_clock::time_point(
      std::chrono::milliseconds(object.at("time_ms").get<std::int64_t>()));
  if (!object.at("page_table_bytes").is_null())
    what.page_table_bytes = object.at("page_table_bytes").get<std::uint64_t>();
  if (!object.at("limit_bytes").is_null())
    what.limit_bytes = object.at("limit_bytes").get<std::uint64_t>();
  for (const auto& row : object.at("segments"))
    what.segments.push_back(parse_segment(row));
  for (const auto& row : object.at("acre_heap"))
    what.heap_parts.push_back(parse_part(row));
  for (const auto& each : what.segments)
    what.total += each.usage.memory;
  what.notes = object.at("notes").get<std::vector<std::string>>();
  return what;
}

}  // namespace

std::string format_maps_json(const snapshot& what) {
  using namespace std::chrono;
  json object;
  object["acre_maps"] = format_version;
  object["pid"] = what.pid;
  object["name"] = what.name;
  object["command_line"] = what.command_line;
  object["executable"] = what.executable;
  object["time_ms"] = duration_cast<milliseconds>(what.time.time_since_epoch()).count();
  object["page_table_bytes"] = nullable(what.page_table_bytes);
  object["limit_bytes"] = nullable(what.limit_bytes);
  object["unreadable_lines"] = what.unreadable_lines;
  object["total"] = memory_json(what.total);
  object["segments"] = json::array();
  for (const auto& each : what.segments)
    object["segments"].push_back(segment_json(each));
  object["acre_heap"] = json::array();
  for (const auto& part : what.heap_parts)
    object["acre_heap"].push_back(part_json(part));
  object["notes"] = what.notes;
  // Names of files are bytes and need not be UTF-8.
  return object.dump(1, ' ', false, json::error_handler_t::replace) + "\n";
}

snapshot parse_maps_json(std::string_view text, const std::string& path) {
  try {
    return parse_snapshot(json::parse(text));
  } catch (const std::exception&) {
    throw error(exit_code::misuse,
                fmt::format("{} is no file that this version's 'acre maps --json' wrote", path));
  }
}

}  // namespace acre::tool
