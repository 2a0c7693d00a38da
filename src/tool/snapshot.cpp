#include "tool/snapshot.hpp"

#include "tool/heap_tables.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <functional>
#include <thread>
#include <unordered_map>
#include <unordered_set>

#include <elf.h>
#include <fmt/format.h>
#include <unistd.h>

namespace acre::tool {
namespace {

using range = std::pair<std::uint64_t, std::uint64_t>;

/// How much of a program's data is searched for the heap's descriptor, which is in its first pages.
constexpr std::uint64_t searched_bytes_max = 32U << 20U;

/// Threads that run on a processor at this moment do not show their stacks; most do soon.
constexpr int stack_tries = 4;
constexpr std::chrono::milliseconds stack_pause{2};

/// glibc keeps a thread's number this far behind the start of its control block, on x86-64 and
/// since 2.4; the block begins with its own address, and has it once more two words on.
constexpr std::size_t glibc_number_offset = 0x2d0;
constexpr std::size_t glibc_block_most = 65536;

std::string without_deleted(std::string path) {
  constexpr std::string_view mark = " (deleted)";
  if (path.ends_with(mark)) path.resize(path.size() - mark.size());
  return path;
}

/// Reads the memory of a process without changing it.
///
/// The kernel brings a page in before it copies from it, and the process would be larger after it
/// was looked at. So only pages that are present are copied; others read as zeros, which is what
/// pages of tables that were never touched hold.
class quiet_reader {
 public:
  quiet_reader(const os::process& process, const os::page_map& map)
      : process_(process), map_(map) {}

  bool operator()(std::uint64_t address, std::span<std::byte> into) {
    const auto first = address / page * page;
    std::vector<os::page_entry> entries((address + into.size() - first + page - 1) / page);
    const auto count = map_.read(first, entries);
    if (!count || *count != entries.size()) return false;
    std::ranges::fill(into, std::byte{});
    for (std::size_t index = 0; index < entries.size();) {
      auto end = index + 1;
      const bool is_present = entries[index].present();
      met_swapped_ = met_swapped_ || entries[index].swapped();
      while (end < entries.size() && entries[end].present() == is_present)
        ++end;
      const auto from = std::max(address, first + index * page);
      const auto to = std::min(address + into.size(), first + end * page);
      index = end;
      if (!is_present) continue;
      const auto part = into.subspan(from - address, to - from);
      const auto size = process_.read_memory(from, part);
      if (!size || *size != part.size()) return false;
    }
    return true;
  }

  [[nodiscard]] bool met_swapped() const noexcept { return met_swapped_; }

 private:
  static constexpr std::uint64_t page = 4096;
  const os::process& process_;
  const os::page_map& map_;
  bool met_swapped_ = false;
};

/// Where the descriptor of a heap can be: constants that the loader relocated, of the preloaded
/// library first and then of the program, into which the heap may be linked.
std::vector<range> descriptor_places(const std::vector<os::mapping_usage>& mappings,
                                     const std::string& executable) {
  std::vector<range> places;
  const auto add = [&](auto wanted) {
    std::uint64_t bytes = 0;
    for (const auto& each : mappings) {
      const auto& mapping = each.mapping;
      const bool is_data = mapping.readable && !mapping.executable && !mapping.shared;
      if (!is_data || !wanted(mapping) || bytes + mapping.size_bytes() > searched_bytes_max)
        continue;
      bytes += mapping.size_bytes();
      places.emplace_back(mapping.start, mapping.end);
    }
  };
  add([](const auto& mapping) {
    const auto slash = mapping.name.rfind('/');
    return mapping.name.find("acre", slash == std::string::npos ? 0 : slash) != std::string::npos;
  });
  add([&](const auto& mapping) { return mapping.name == executable; });
  return places;
}

/// The parts of these ranges that are present: what was relocated is, and nothing else is worth a
/// look.
std::vector<range> present_parts(const os::page_map& map, const std::vector<range>& places) {
  std::vector<range> parts;
  for (const auto& [start, end] : places) {
    for (const auto& span : used_spans(map, start, end)) {
      if (span.is(os::page_category::present)) parts.emplace_back(span.start, span.end);
    }
  }
  return parts;
}

bool has_library(const std::vector<os::mapping_usage>& mappings) {
  return std::ranges::any_of(mappings, [](const os::mapping_usage& each) {
    return each.mapping.name.find("libacre-malloc") != std::string::npos;
  });
}

std::optional<heap_tables> find_heap(const os::process& process, const os::page_map& map,
                                     const std::vector<os::mapping_usage>& mappings,
                                     const std::string& executable,
                                     std::vector<std::string>& notes) {
  const auto places = present_parts(map, descriptor_places(mappings, executable));
  if (places.empty()) return {};
  std::byte first{};
  const auto permitted = process.read_memory(places.front().first, {&first, 1});
  if (!permitted) {
    if (has_library(mappings)) {
      notes.push_back(
          fmt::format("what Acre's heap holds is not shown: its tables may not be read ({}); run "
                      "as root, or set "
                      "kernel.yama.ptrace_scope to 0",
                      std::strerror(permitted.error().number)));
    }
    return {};
  }
  quiet_reader reader(process, map);
  const memory_reader read = std::ref(reader);
  const auto descriptor = find_heap_descriptor(read, places);
  if (!descriptor) return {};
  auto heap = read_heap_tables(read, *descriptor);
  if (reader.met_swapped()) {
    notes.emplace_back(
        "parts of Acre's tables are swapped out and were left there; what the heap holds is not "
        "all "
        "shown");
  }
  return heap;
}

/// The end of an ELF object by its program headers, which are at the start of its first mapping.
template <class Header, class Segment>
std::optional<std::uint64_t> object_end(std::span<const std::byte> bytes, std::uint64_t start) {
  Header header;
  if (bytes.size() < sizeof header) return {};
  std::memcpy(&header, bytes.data(), sizeof header);
  std::uint64_t first = UINT64_MAX;
  std::uint64_t last = 0;
  for (std::size_t index = 0; index < header.e_phnum; ++index) {
    Segment part;
    const auto offset = header.e_phoff + index * sizeof part;
    if (header.e_phentsize != sizeof part || offset > bytes.size() - sizeof part) return {};
    std::memcpy(&part, bytes.data() + offset, sizeof part);
    if (part.p_type != PT_LOAD) continue;
    first = std::min<std::uint64_t>(first, part.p_vaddr);
    last = std::max<std::uint64_t>(last, part.p_vaddr + part.p_memsz);
  }
  constexpr std::uint64_t page = 4096;
  if (first >= last) return {};
  return start + (last - first / page * page + page - 1) / page * page;
}

/// Where the program and its libraries end, for those whose headers can be read.
std::unordered_map<std::string, std::uint64_t> find_object_ends(
    const memory_reader& read, const std::vector<os::mapping_usage>& mappings) {
  std::unordered_map<std::string, std::uint64_t> ends;
  std::unordered_set<std::string_view> with_code;
  for (const auto& each : mappings) {
    if (each.mapping.executable) with_code.insert(each.mapping.name);
  }
  std::array<std::byte, 4096> bytes;
  for (const auto& each : mappings) {
    const auto& mapping = each.mapping;
    const bool is_first = mapping.offset == 0 && mapping.readable && mapping.name.starts_with('/');
    if (!is_first || !with_code.contains(mapping.name) || ends.contains(mapping.name)) continue;
    if (!read(mapping.start, bytes) || std::memcmp(bytes.data(), ELFMAG, SELFMAG) != 0) continue;
    const auto whole = std::span<const std::byte>(bytes);
    const bool is_wide = static_cast<unsigned char>(bytes[EI_CLASS]) == ELFCLASS64;
    const auto end = is_wide ? object_end<Elf64_Ehdr, Elf64_Phdr>(whole, mapping.start)
                             : object_end<Elf32_Ehdr, Elf32_Phdr>(whole, mapping.start);
    if (end) ends.emplace(mapping.name, *end);
  }
  return ends;
}

/// The address of a thread's own control block of glibc, if it lies at the end of this mapping.
bool has_control_block(const memory_reader& read, const os::process_mapping& mapping,
                       pid_t own_id) {
  const auto size = std::min<std::uint64_t>(mapping.size_bytes(), glibc_block_most);
  std::vector<std::uint64_t> words(size / sizeof(std::uint64_t));
  const auto start = mapping.end - words.size() * sizeof(std::uint64_t);
  if (!read(start, std::as_writable_bytes(std::span(words)))) return false;
  constexpr std::size_t number_word = glibc_number_offset / sizeof(std::uint64_t);
  for (std::size_t index = 0; index + number_word < words.size(); index += 2) {
    const auto address = start + index * sizeof(std::uint64_t);
    if (words[index] != address || words[index + 2] != address) continue;
    if (static_cast<pid_t>(words[index + number_word] & 0xffffffffU) == own_id) return true;
  }
  return false;
}

/// The number that a thread has for itself, in the innermost PID namespace.
pid_t inner_id(const os::process& process, pid_t id) {
  const auto path = fmt::format("task/{}/status", id);
  const auto text = process.read(path.c_str());
  const auto ids = text ? os::parse_status(*text).ns_pids : std::vector<pid_t>{};
  return ids.empty() ? id : ids.back();
}

/// Finds the stacks of threads that never stood still, by what the C library keeps at their ends.
void find_running_stacks(const os::process& process, const memory_reader& read,
                         const std::vector<os::mapping_usage>& mappings,
                         std::vector<os::process_thread>& threads) {
  for (auto& thread : threads) {
    if (thread.stack_pointer || thread.id == process.pid()) continue;
    const auto own_id = inner_id(process, thread.id);
    std::uint64_t guard_end = 0;
    for (const auto& each : mappings) {
      const auto& mapping = each.mapping;
      const bool is_anonymous = mapping.name.empty() && !mapping.shared;
      const bool follows_guard = guard_end == mapping.start;
      guard_end = is_anonymous && !mapping.readable && !mapping.writable ? mapping.end : 0;
      if (!is_anonymous || !mapping.writable || !follows_guard) continue;
      if (!has_control_block(read, mapping, own_id)) continue;
      thread.stack_pointer = mapping.end - 1;
      break;
    }
  }
}

std::vector<os::process_thread> find_threads(const os::process& process, const memory_reader& read,
                                             const std::vector<os::mapping_usage>& mappings) {
  std::vector<os::process_thread> threads;
  for (int attempt = 0; attempt < stack_tries; ++attempt) {
    auto now = process.threads();
    if (!now) return threads;
    for (auto& thread : *now) {
      const auto before = std::ranges::find(threads, thread.id, &os::process_thread::id);
      if (before != threads.end() && !thread.stack_pointer)
        thread.stack_pointer = before->stack_pointer;
    }
    threads = *std::move(now);
    if (threads.size() <= 1 || std::ranges::all_of(threads, [](const auto& each) {
          return each.stack_pointer.has_value();
        }))
      return threads;
    std::this_thread::sleep_for(stack_pause);
  }
  find_running_stacks(process, read, mappings, threads);
  return threads;
}

/// As the failed file and the process's state tell it.
std::string describe_failure(const os::process& process, const failure& problem) {
  const auto status = process.status();
  const auto who = status ? fmt::format("process {} ({})", process.pid(), status->name)
                          : fmt::format("process {}", process.pid());
  if (problem.number == ESRCH || !status)
    return fmt::format("{} ended while it was looked at", who);
  if (problem.number == EACCES || problem.number == EPERM) {
    const auto refused = fmt::format("may not read {} of {}, which belongs to user {}",
                                     problem.call, who, status->user);
    if (::geteuid() != 0 && ::geteuid() == status->user) {
      return refused +
             "; it is yours, but has more rights than you (capabilities of its file, set-user-ID), "
             "or "
             "closes itself (PR_SET_DUMPABLE of prctl(2)); run as root";
    }
    if (::geteuid() != 0) return refused + "; run as that user or as root";
    return refused + "; root needs CAP_SYS_PTRACE for it, in a container that of the host";
  }
  return fmt::format("cannot read {} of {}: {}", problem.call, who, std::strerror(problem.number));
}

void require_memory(const os::process& process) {
  const auto status = process.status();
  if (!status) throw explain_failure(process, status.error());
  if (status->has_ended()) {
    throw error(
        exit_code::misuse,
        fmt::format("process {} ({}) has ended and waits for its parent {} to notice; it has "
                    "no memory any more",
                    process.pid(), status->name, status->parent));
  }
  if (!status->has_memory()) {
    // A process gives its memory back before it shows as ended; before Linux 6.8 the kernel does
    // not tell that from its own threads.
    const auto why = status->kernel_thread
                         ? "is a kernel thread; it has no memory of its own"
                         : "has no memory: it is about to end, or it is a kernel thread";
    throw error(exit_code::misuse,
                fmt::format("process {} ({}) {}", process.pid(), status->name, why));
  }
}

/// Finds out what only the process's pages and memory tell.
/// Returns:  its threads.
std::vector<os::process_thread> look_inside(const os::process& process, const os::page_map& map,
                                            const std::vector<os::mapping_usage>& mappings,
                                            snapshot& result, process_facts& facts) {
  if (mappings.empty()) return {};
  quiet_reader reader(process, map);
  const memory_reader read = std::ref(reader);
  facts.object_ends = find_object_ends(read, mappings);
  // The page of vsyscall is outside of what can be scanned.
  constexpr std::uint64_t user_end = (std::uint64_t{1} << 47U) - 4096;
  facts.guards = map.scan(mappings.front().mapping.start, user_end,
                          static_cast<std::uint64_t>(os::page_category::guard))
                     .value_or(std::vector<os::page_span>{});
  if (const auto heap = find_heap(process, map, mappings, result.executable, result.notes)) {
    facts.heap_start = heap->start;
    facts.heap_end = heap->end;
    facts.heap_tables = heap->tables;
    result.heap_parts = sum_heap_parts(*heap, used_spans(map, heap->start, heap->end));
  }
  return find_threads(process, read, mappings);
}

}  // namespace

pid_t parse_pid(const std::string& text, std::string_view others) {
  pid_t pid = 0;
  const char* const end = text.data() + text.size();
  const auto [rest, problem] = std::from_chars(text.data(), end, pid);
  if (problem != std::errc{} || rest != end || pid <= 0) {
    throw error(
        exit_code::misuse,
        fmt::format("'{}' is no process number; it takes one such as 4711, or {}", text, others));
  }
  return pid;
}

os::process open_process(pid_t pid, const std::string& proc) {
  auto process = os::process::open(pid, proc.c_str());
  if (process) return *std::move(process);
  if (process.error().number == ESRCH)
    throw error(exit_code::misuse,
                fmt::format("there is no process {}{}", pid, proc == "/proc" ? "" : " in " + proc));
  throw error(exit_code::misuse, fmt::format("cannot open process {} in {}: {}", pid, proc,
                                             std::strerror(process.error().number)));
}

error explain_failure(const os::process& process, const failure& problem) {
  return {exit_code::misuse, describe_failure(process, problem)};
}

std::vector<os::page_span> used_spans(const os::page_map& map, std::uint64_t start,
                                      std::uint64_t end) {
  using enum os::page_category;
  auto spans = map.scan(start, end,
                        static_cast<std::uint64_t>(present) | static_cast<std::uint64_t>(swapped));
  if (spans) return *std::move(spans);
  // Before Linux 6.7: the words of the page map, which are many where the range is large.
  std::vector<os::page_span> found;
  std::vector<os::page_entry> entries(16384);
  constexpr std::uint64_t page = 4096;
  for (std::uint64_t at = start; at < end;) {
    const auto wanted = std::min<std::uint64_t>(entries.size(), (end - at) / page);
    const auto count = map.read(at, std::span(entries).first(wanted));
    if (!count || *count == 0) break;
    for (std::size_t index = 0; index < *count; ++index, at += page) {
      const auto& entry = entries[index];
      const auto categories = (entry.present() ? static_cast<std::uint64_t>(present) : 0) |
                              (entry.swapped() ? static_cast<std::uint64_t>(swapped) : 0) |
                              (entry.of_file() ? static_cast<std::uint64_t>(file) : 0);
      if (entry.present() || entry.swapped()) found.push_back({at, at + page, categories});
    }
  }
  return os::checked_spans(found, start, end);
}

snapshot take_snapshot(const os::process& process) {
  require_memory(process);
  snapshot result;
  result.pid = process.pid();
  result.time = std::chrono::system_clock::now();
  auto usage = process.smaps();
  if (!usage) throw explain_failure(process, usage.error());
  if (usage->mappings.empty()) require_memory(process);
  result.total = usage->total();
  result.unreadable_lines = usage->unreadable_lines;
  if (const auto status = process.status()) {
    result.name = status->name;
    result.page_table_bytes = status->page_tables;
  }
  result.executable = without_deleted(process.executable().value_or(""));
  result.command_line = process.command_line().value_or(std::vector<std::string>{});
  if (const auto limits = process.cgroup()) result.limit_bytes = limits->limit_bytes;

  process_facts facts;
  facts.executable = result.executable;
  std::vector<os::process_thread> threads;
  // The page map belongs to those who may read smaps; files laid out like /proc have none.
  if (const auto map = process.pages()) {
    threads = look_inside(process, *map, usage->mappings, result, facts);
    facts.threads = threads;
  }
  result.segments = classify(std::move(usage->mappings), facts);
  if (result.unreadable_lines > 0) {
    result.notes.push_back(
        fmt::format("{} lines of smaps could not be read", result.unreadable_lines));
  }
  return result;
}

}  // namespace acre::tool
