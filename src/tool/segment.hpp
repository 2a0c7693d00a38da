#pragma once

#include <acre/os/page_map.hpp>
#include <acre/os/process.hpp>

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

namespace acre::tool {

/// What a mapping is to the program, in the words of the textbook.
enum class segment_kind : std::uint8_t {
  text,           ///< the program's code
  rodata,         ///< its constants, and what the loader wrote and then protected
  data,           ///< its initialised variables
  bss,            ///< its variables that begin as zero
  break_heap,     ///< what brk(2) gave: the C library's small blocks
  acre_heap,      ///< pages of Acre's heap
  acre_tables,    ///< what the heap knows of its pages
  library,        ///< shared libraries: code, constants and data
  stack,          ///< of the first thread
  thread_stack,   ///< of another thread
  anonymous,      ///< private memory without a file
  code,           ///< anonymous and executable: made at run time
  file,           ///< a mapped file that is no program
  shared_memory,  ///< shm_open, memfd_create, shmget, or shared and anonymous
  secret_memory,  ///< memfd_secret
  device,         ///< of a driver
  guard,          ///< small, and no access: catches overruns
  reserved,       ///< no access: address space only
  kernel,         ///< what the kernel puts there: vdso, vvar, vsyscall
  count
};

/// "program text"; at most 14 characters.
[[nodiscard]] std::string_view kind_name(segment_kind kind) noexcept;
/// "program_text", for JSON and CSS.
[[nodiscard]] std::string kind_key(segment_kind kind);
/// The kind with that key; nothing when there is none.
[[nodiscard]] std::optional<segment_kind> find_kind(std::string_view key) noexcept;

/// A part of Acre's heap by what it holds.
struct heap_part {
  std::string what;  ///< "slabs of 64 B", "large blocks", "retained pages"
  std::uint64_t size_bytes = 0;
  std::uint64_t resident_bytes = 0;
  std::uint64_t swapped_bytes = 0;
  std::uint64_t blocks = 0;       ///< there is room for; 0 where there are none
  std::uint64_t live_blocks = 0;  ///< held by the program or by a thread's cache
};

/// A mapping with what it is.
struct segment {
  segment_kind kind = segment_kind::anonymous;
  std::string label;  ///< the file's name without its folder, "stack of worker (42)", or empty
  os::mapping_usage usage;
  std::uint64_t guard_bytes = 0;  ///< inside, by MADV_GUARD_INSTALL

  [[nodiscard]] const os::process_mapping& mapping() const noexcept { return usage.mapping; }
  [[nodiscard]] bool is_locked() const noexcept { return usage.has_flag("lo"); }
};

/// What is known about a process besides its mappings.
struct process_facts {
  std::string executable;  ///< the path as maps has it, without " (deleted)"
  std::span<const os::process_thread> threads;
  std::uint64_t heap_start = 0;  ///< of Acre's pages, by the heap's own tables; 0: unknown
  std::uint64_t heap_end = 0;
  std::vector<std::pair<std::uint64_t, std::uint64_t>> heap_tables;  ///< ranges
  /// Where the program and each library end by their own headers, by path; empty where unknown.
  std::unordered_map<std::string, std::uint64_t> object_ends;
  std::vector<os::page_span> guards;  ///< regions of MADV_GUARD_INSTALL, in order
};

/// Names each mapping. They must be in the order of their addresses.
[[nodiscard]] std::vector<segment> classify(std::vector<os::mapping_usage> mappings,
                                            const process_facts& facts);

}  // namespace acre::tool
