#include <acre/os/process_maps.hpp>

#include "os/proc_text.hpp"

#include <algorithm>

namespace acre::os {
namespace {

using namespace proc_text;

constexpr auto field_count = static_cast<std::size_t>(memory_field::count);

constexpr std::array<std::string_view, field_count> field_names{"Size",
                                                                "KernelPageSize",
                                                                "MMUPageSize",
                                                                "Rss",
                                                                "Pss",
                                                                "Pss_Dirty",
                                                                "Pss_Anon",
                                                                "Pss_File",
                                                                "Pss_Shmem",
                                                                "Shared_Clean",
                                                                "Shared_Dirty",
                                                                "Private_Clean",
                                                                "Private_Dirty",
                                                                "Referenced",
                                                                "Anonymous",
                                                                "KSM",
                                                                "LazyFree",
                                                                "AnonHugePages",
                                                                "ShmemPmdMapped",
                                                                "FilePmdMapped",
                                                                "Shared_Hugetlb",
                                                                "Private_Hugetlb",
                                                                "Swap",
                                                                "SwapPss",
                                                                "Locked"};

constexpr std::string_view deleted_mark = " (deleted)";

bool is_page_size(std::size_t field) noexcept {
  return field == static_cast<std::size_t>(memory_field::kernel_page_size) ||
         field == static_cast<std::size_t>(memory_field::mmu_page_size);
}

/// The field of that name, looked for from `hint` on: the kernel's order is the table's.
std::size_t find_field(std::string_view name, std::size_t hint) noexcept {
  for (std::size_t step = 0; step < field_count; ++step) {
    const std::size_t field = (hint + step) % field_count;
    if (field_names[field] == name) return field;
  }
  return field_count;
}

std::optional<bool> flag(std::string_view text, std::size_t at, char set, char clear) noexcept {
  if (text[at] == set) return true;
  if (text[at] == clear) return false;
  return {};
}

bool parse_protection(std::string_view text, process_mapping& into) noexcept {
  if (text.size() != 4) return false;
  const auto readable = flag(text, 0, 'r', '-');
  const auto writable = flag(text, 1, 'w', '-');
  const auto executable = flag(text, 2, 'x', '-');
  // 'S' is a shared mapping that may not be written (no kernel writes it today; ps(1) knows it).
  const auto shared = flag(text, 3, 's', 'p');
  if (!readable || !writable || !executable || !shared) return false;
  into.readable = *readable;
  into.writable = *writable;
  into.executable = *executable;
  into.shared = *shared;
  return true;
}

bool parse_range(std::string_view text, process_mapping& into) noexcept {
  const auto start = take_until(text, '-');
  if (!start) return false;
  const auto first = number<std::uint64_t>(*start, 16);
  const auto last = number<std::uint64_t>(text, 16);
  if (!first || !last || *first >= *last) return false;
  into.start = *first;
  into.end = *last;
  return true;
}

bool parse_device(std::string_view text, process_mapping& into) noexcept {
  const auto first = take_until(text, ':');
  if (!first) return false;
  const auto major = number<std::uint32_t>(*first, 16);
  const auto minor = number<std::uint32_t>(text, 16);
  if (!major || !minor) return false;
  into.device_major = *major;
  into.device_minor = *minor;
  return true;
}

/// The name begins after blanks that fill up to a column, and may itself hold blanks.
void parse_name(std::string_view text, process_mapping& into) {
  skip_blanks(text);
  if (text.size() > deleted_mark.size() && text.ends_with(deleted_mark)) {
    into.deleted = true;
    text.remove_suffix(deleted_mark.size());
  }
  // The kernel escapes the newline alone here.
  into.name = text.find('\\') == std::string_view::npos
                  ? std::string(text)
                  : unescaped(text, [](char byte) { return byte == '\n'; });
}

/// One "Name:   value" line of smaps into `into`; false when it is none.
/// `hint` is where the field is likely to be in the table, and is moved on.
bool parse_field(std::string_view line, mapping_usage& into, std::size_t& hint) {
  const auto name = take_until(line, ':');
  if (!name || name->empty() || name->find_first_of(" \t") != std::string_view::npos) return false;
  const auto field = find_field(*name, hint);
  if (field != field_count) {
    const auto value = kilobytes(line);
    if (!value) return false;
    into.memory.bytes[field] = *value;
    hint = field + 1;
    return true;
  }
  if (*name == "VmFlags") {
    skip_blanks(line);
    while (line.ends_with(' '))
      line.remove_suffix(1);
    into.flags = line;
    return true;
  }
  if (*name == "THPeligible") {
    const auto value = number<unsigned>(take_word(line));
    if (value) into.thp_eligible = *value != 0;
    return value.has_value();
  }
  if (*name == "ProtectionKey") {
    into.protection_key = number<std::uint32_t>(take_word(line));
    return into.protection_key.has_value();
  }
  // What a later kernel adds is kept when it is an amount, and passed over when it is not.
  if (const auto value = kilobytes(line)) into.other.emplace_back(*name, *value);
  return true;
}

}  // namespace

std::string_view memory_field_name(memory_field field) noexcept {
  const auto index = static_cast<std::size_t>(field);
  return index < field_count ? field_names[index] : std::string_view();
}

memory_counts& memory_counts::operator+=(const memory_counts& other) noexcept {
  for (std::size_t field = 0; field < field_count; ++field) {
    if (!is_page_size(field)) bytes[field] += other.bytes[field];
  }
  return *this;
}

memory_counts process_usage::total() const noexcept {
  memory_counts sum;
  for (const auto& each : mappings)
    sum += each.memory;
  return sum;
}

std::optional<process_mapping> parse_mapping(std::string_view line) {
  process_mapping mapping;
  if (!parse_range(take_word(line), mapping) || !parse_protection(take_word(line), mapping))
    return {};
  const auto offset = number<std::uint64_t>(take_word(line), 16);
  if (!offset || !parse_device(take_word(line), mapping)) return {};
  const auto inode = number<std::uint64_t>(take_word(line));
  if (!inode) return {};
  mapping.offset = *offset;
  mapping.inode = *inode;
  parse_name(line, mapping);
  return mapping;
}

process_maps parse_maps(std::string_view text) {
  process_maps result;
  while (!text.empty()) {
    if (auto mapping = parse_mapping(take_line(text))) {
      result.mappings.push_back(*std::move(mapping));
    } else {
      ++result.unreadable_lines;
    }
  }
  return result;
}

process_usage parse_smaps(std::string_view text) {
  process_usage result;
  // Figures behind a header that could not be read belong to no mapping.
  bool has_header = false;
  std::size_t hint = 0;
  while (!text.empty()) {
    const auto line = take_line(text);
    // A header begins with an address in lower case, a figure with a capital.
    const bool is_figure = !line.empty() && line.front() >= 'A' && line.front() <= 'Z';
    if (is_figure) {
      if (!has_header || !parse_field(line, result.mappings.back(), hint))
        ++result.unreadable_lines;
      continue;
    }
    auto mapping = parse_mapping(line);
    has_header = mapping.has_value();
    if (!has_header) {
      ++result.unreadable_lines;
      continue;
    }
    hint = 0;
    result.mappings.emplace_back().mapping = *std::move(mapping);
  }
  return result;
}

memory_counts parse_smaps_rollup(std::string_view text) {
  mapping_usage all;
  std::size_t hint = 0;
  static_cast<void>(take_line(text));  // the range that the figures are of
  while (!text.empty())
    static_cast<void>(parse_field(take_line(text), all, hint));
  return all.memory;
}

}  // namespace acre::os
