#include "tool/segment.hpp"

#include <algorithm>
#include <array>
#include <unordered_set>
#include <utility>

#include <fmt/format.h>

namespace acre::tool {
namespace {

using os::mapping_usage;
using os::process_mapping;

constexpr std::array<std::string_view, static_cast<std::size_t>(segment_kind::count)> names{
    "program text", "program rodata", "program data", "program bss",   "heap (brk)",
    "Acre heap",    "Acre tables",    "libraries",    "stack",         "thread stacks",
    "anonymous",    "made code",      "files",        "shared memory", "secret memory",
    "devices",      "guard pages",    "reserved",     "kernel"};

/// Address space without access is a guard up to this size, and a reservation above.
constexpr std::uint64_t guard_bytes_max = 1U << 20U;

bool has_access(const process_mapping& mapping) noexcept {
  return mapping.readable || mapping.writable || mapping.executable;
}

std::string_view file_name(std::string_view path) noexcept {
  return path.substr(path.rfind('/') + 1);
}

bool is_library_name(std::string_view path) noexcept {
  const auto name = file_name(path);
  return name.ends_with(".so") || name.find(".so.") != std::string_view::npos;
}

/// "[anon:NAME]" is NAME.
std::string_view anonymous_name(std::string_view name) noexcept {
  for (const std::string_view prefix : {"[anon:", "[anon_shmem:"}) {
    if (name.starts_with(prefix) && name.ends_with(']'))
      return name.substr(prefix.size(), name.size() - prefix.size() - 1);
  }
  return {};
}

bool is_shared_memory(const process_mapping& mapping) noexcept {
  const std::string_view name = mapping.name;
  return name.starts_with("/memfd:") || name.starts_with("/dev/shm/") ||
         name.starts_with("/SYSV") || name.starts_with("[anon_shmem:") ||
         (mapping.shared && (name.empty() || name == "/dev/zero" || name == "/anon_hugepage"));
}

/// Names mappings one after the other, with what the ones before have told.
class classifier {
 public:
  classifier(std::span<const mapping_usage> mappings, const process_facts& facts) : facts_(facts) {
    for (const auto& each : mappings) {
      if (each.mapping.executable && each.mapping.name.starts_with('/'))
        with_code_.insert(each.mapping.name);
    }
  }

  segment take(mapping_usage usage) {
    segment result;
    const auto& mapping = usage.mapping;
    result.kind = kind_of(mapping);
    result.label = label_of(result.kind, mapping);
    result.guard_bytes = guards_in(mapping);
    result.usage = std::move(usage);
    return result;
  }

 private:
  [[nodiscard]] bool is_ours(const process_mapping& mapping) const noexcept {
    return mapping.start < facts_.heap_end && mapping.end > facts_.heap_start;
  }
  [[nodiscard]] bool is_table(const process_mapping& mapping) const noexcept {
    return std::ranges::any_of(facts_.heap_tables, [&](const auto& range) {
      return mapping.start < range.second && mapping.end > range.first;
    });
  }

  segment_kind kind_of(const process_mapping& mapping) {
    const std::string_view name = mapping.name;
    if (name == "[heap]") return segment_kind::break_heap;
    if (name == "[stack]") return segment_kind::stack;
    if (name.starts_with("[stack:")) return segment_kind::thread_stack;  // before Linux 4.5
    const auto own_name = anonymous_name(name);
    if (own_name.starts_with("stack_and_tls:")) return segment_kind::thread_stack;  // Android
    if (own_name.empty() && name.starts_with('[')) return segment_kind::kernel;
    if (name.starts_with("/secretmem")) return segment_kind::secret_memory;
    if (is_shared_memory(mapping)) return segment_kind::shared_memory;
    if (name.starts_with("/dev/") || name.starts_with("anon_inode:")) return segment_kind::device;
    if (name.starts_with('/')) return kind_of_file(mapping);
    return kind_of_anonymous(mapping, own_name);
  }

  segment_kind kind_of_file(const process_mapping& mapping) {
    const bool is_program = mapping.name == facts_.executable;
    const bool is_library = with_code_.contains(mapping.name) || is_library_name(mapping.name);
    if (!is_program && !is_library) return segment_kind::file;
    // What follows at once without a file is the rest of the last segment: zeros.
    object_ = mapping.name;
    object_end_ = mapping.writable ? mapping.end : 0;
    if (!is_program) return segment_kind::library;
    if (mapping.executable) return segment_kind::text;
    return mapping.writable ? segment_kind::data : segment_kind::rodata;
  }

  segment_kind kind_of_anonymous(const process_mapping& mapping, std::string_view own_name) {
    const bool is_heap = own_name == "acre-heap" || is_ours(mapping);
    const bool is_tables = own_name == "acre-tables" || is_table(mapping);
    if (is_heap || is_tables) {
      if (!has_access(mapping)) return segment_kind::reserved;
      return is_heap ? segment_kind::acre_heap : segment_kind::acre_tables;
    }
    if (!has_access(mapping)) {
      guard_end_ = mapping.end;
      return mapping.size_bytes() <= guard_bytes_max ? segment_kind::guard : segment_kind::reserved;
    }
    if (own_name.empty() && is_rest_of_object(mapping))
      return object_ == facts_.executable ? segment_kind::bss : segment_kind::library;
    if (!threads_in(mapping).empty()) return segment_kind::thread_stack;
    return mapping.executable ? segment_kind::code : segment_kind::anonymous;
  }

  /// Whether it holds the variables of the last object that begin as zero. Other memory that the
  /// kernel happened to put behind them makes one mapping with them, which then is not only theirs.
  [[nodiscard]] bool is_rest_of_object(const process_mapping& mapping) const {
    if (mapping.start != object_end_ || mapping.shared || !mapping.writable) return false;
    const auto known = facts_.object_ends.find(object_);
    return known == facts_.object_ends.end() || mapping.end <= known->second;
  }

  /// The threads whose stack pointer is here, if this can be a stack: below one there is a guard. A
  /// stack inside of something larger (a language's own heap) is not a mapping of its own.
  std::vector<const os::process_thread*> threads_in(const process_mapping& mapping) const {
    std::vector<const os::process_thread*> found;
    if (!mapping.writable || mapping.shared) return found;
    if (guard_end_ != mapping.start && guards_in(mapping) == 0) return found;
    for (const auto& thread : facts_.threads) {
      if (thread.stack_pointer && mapping.contains(*thread.stack_pointer)) found.push_back(&thread);
    }
    return found;
  }

  [[nodiscard]] std::uint64_t guards_in(const process_mapping& mapping) const noexcept {
    std::uint64_t bytes = 0;
    auto span = std::ranges::lower_bound(facts_.guards, mapping.start, {}, &os::page_span::end);
    for (; span != facts_.guards.end() && span->start < mapping.end; ++span) {
      const auto from = std::max(span->start, mapping.start);
      bytes += std::min(span->end, mapping.end) - std::min(from, span->end);
    }
    return bytes;
  }

  std::string label_of(segment_kind kind, const process_mapping& mapping) const {
    switch (kind) {
      case segment_kind::thread_stack:
        return stack_label(mapping);
      case segment_kind::bss:
        return std::string(file_name(object_));
      case segment_kind::library:
        return std::string(file_name(mapping.name.empty() ? std::string_view(object_)
                                                          : std::string_view(mapping.name)));
      case segment_kind::break_heap:
      case segment_kind::stack:
        return {};
      default:
        break;
    }
    const auto own_name = anonymous_name(mapping.name);
    std::string label(!own_name.empty() ? own_name
                      : kind == segment_kind::kernel || kind == segment_kind::device
                          ? std::string_view(mapping.name)
                          : file_name(mapping.name));
    // The parts of names that are always there say nothing.
    if (label.starts_with("memfd:")) label = "memfd " + label.substr(6);
    if (kind == segment_kind::secret_memory) label.clear();
    if (mapping.deleted && mapping.inode != 0 && !label.empty() &&
        kind != segment_kind::shared_memory)
      label += ", deleted";
    return label;
  }

  std::string stack_label(const process_mapping& mapping) const {
    const auto threads = threads_in(mapping);
    if (threads.empty()) return mapping.name;
    std::string label;
    for (const auto* const thread : threads)
      label += fmt::format("{}{} ({})", label.empty() ? "" : ", ", thread->name, thread->id);
    return label;
  }

  const process_facts& facts_;
  std::unordered_set<std::string> with_code_;  ///< files of which some part is executable
  std::string object_;                         ///< the program or library whose mapping came last
  std::uint64_t object_end_ = 0;               ///< of its data; 0 when the last was no data
  std::uint64_t guard_end_ = 0;                ///< of the last mapping without access
};

}  // namespace

std::string_view kind_name(segment_kind kind) noexcept {
  return names[static_cast<std::size_t>(kind)];
}

std::string kind_key(segment_kind kind) {
  std::string key;
  for (const char letter : kind_name(kind)) {
    if (letter == ' ') key += '_';
    if (letter >= 'a' && letter <= 'z') key += letter;
    if (letter >= 'A' && letter <= 'Z') key += static_cast<char>(letter - 'A' + 'a');
  }
  return key;
}

std::optional<segment_kind> find_kind(std::string_view key) noexcept {
  for (std::size_t index = 0; index < names.size(); ++index) {
    const auto kind = static_cast<segment_kind>(index);
    if (kind_key(kind) == key) return kind;
  }
  return {};
}

std::vector<segment> classify(std::vector<os::mapping_usage> mappings, const process_facts& facts) {
  classifier names_them(mappings, facts);
  std::vector<segment> segments;
  segments.reserve(mappings.size());
  for (auto& each : mappings)
    segments.push_back(names_them.take(std::move(each)));
  return segments;
}

}  // namespace acre::tool
