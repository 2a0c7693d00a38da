#pragma once

#include <acre/export.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

/// What /proc/PID/maps, smaps and smaps_rollup say, as values (proc_pid_maps(5),
/// proc_pid_smaps(5)).
///
/// The parsers take text and touch no file. They accept whatever they are given: a line that cannot
/// be read is counted and left out, and a figure of a later kernel is kept under its name.
/// Units: bytes, also where the kernel writes kB.
namespace acre::os {

/// One line of /proc/PID/maps. Addresses are 64 bits wide whatever the process is.
struct process_mapping {
  std::uint64_t start = 0;
  std::uint64_t end = 0;     ///< the first address behind it
  std::uint64_t offset = 0;  ///< in the file
  std::uint64_t inode = 0;   ///< 0: no file
  std::uint32_t device_major = 0;
  std::uint32_t device_minor = 0;
  bool readable = false;
  bool writable = false;
  bool executable = false;
  bool shared = false;
  /// The kernel wrote " (deleted)" behind the name, and it was taken off here. A file whose own
  /// name ends so looks the same; `stat` on the whole name tells the two apart.
  bool deleted = false;
  std::string name;  ///< path, "[heap]" and the like, or empty; a newline in it is a newline here

  [[nodiscard]] std::uint64_t size_bytes() const noexcept { return end - start; }
  [[nodiscard]] bool contains(std::uint64_t address) const noexcept {
    return address >= start && address < end;
  }
  /// "rw-p", as the kernel writes it.
  [[nodiscard]] std::array<char, 5> protection() const noexcept {
    return {readable ? 'r' : '-', writable ? 'w' : '-', executable ? 'x' : '-', shared ? 's' : 'p',
            '\0'};
  }
  bool operator==(const process_mapping&) const = default;
};

struct process_maps {
  std::vector<process_mapping> mappings;  ///< in the order of the text, which is by address
  std::size_t unreadable_lines = 0;
};

/// A figure of smaps; `memory_field_name` has the kernel's name.
enum class memory_field : std::uint8_t {
  size,
  kernel_page_size,
  mmu_page_size,
  rss,
  pss,
  pss_dirty,
  pss_anon,   ///< smaps_rollup only
  pss_file,   ///< smaps_rollup only
  pss_shmem,  ///< smaps_rollup only
  shared_clean,
  shared_dirty,
  private_clean,
  private_dirty,
  referenced,
  anonymous,
  ksm,
  lazy_free,
  anon_huge_pages,
  shmem_pmd_mapped,
  file_pmd_mapped,
  shared_hugetlb,
  private_hugetlb,
  swap,
  swap_pss,
  locked,
  count
};

/// The kernel's name, such as "Pss_Dirty".
[[nodiscard]] ACRE_API std::string_view memory_field_name(memory_field field) noexcept;

/// The figures of one mapping, or a sum of them.
struct memory_counts {
  std::array<std::uint64_t, static_cast<std::size_t>(memory_field::count)> bytes{};

  [[nodiscard]] std::uint64_t operator[](memory_field field) const noexcept {
    return bytes[static_cast<std::size_t>(field)];
  }
  [[nodiscard]] std::uint64_t& operator[](memory_field field) noexcept {
    return bytes[static_cast<std::size_t>(field)];
  }
  /// Everything in huge pages: transparent ones of all kinds, and hugetlb.
  [[nodiscard]] std::uint64_t huge_bytes() const noexcept {
    using enum memory_field;
    const auto& all = *this;
    return all[anon_huge_pages] + all[shmem_pmd_mapped] + all[file_pmd_mapped] +
           all[shared_hugetlb] + all[private_hugetlb];
  }
  /// What would have to be written before the page could be dropped.
  [[nodiscard]] std::uint64_t dirty_bytes() const noexcept {
    return (*this)[memory_field::shared_dirty] + (*this)[memory_field::private_dirty];
  }
  /// Page sizes are no amounts, and are left alone.
  ACRE_API memory_counts& operator+=(const memory_counts& other) noexcept;
  bool operator==(const memory_counts&) const = default;
};

/// One mapping of /proc/PID/smaps.
struct mapping_usage {
  process_mapping mapping;
  memory_counts memory;
  std::string
      flags;  ///< VmFlags: two letters each with a space between, such as "rd wr mr mw me ac"
  std::optional<bool> thp_eligible;
  std::optional<std::uint32_t> protection_key;
  /// Amounts in kB that this version of Acre does not know, by the kernel's name.
  std::vector<std::pair<std::string, std::uint64_t>> other;

  /// Whether VmFlags has it: "lo" is locked, "hg" advised for huge pages, "dp" droppable.
  [[nodiscard]] bool has_flag(std::string_view two_letters) const noexcept {
    for (std::size_t at = 0; at + 2 <= flags.size(); at += 3) {
      if (std::string_view(flags).substr(at, 2) == two_letters) return true;
    }
    return false;
  }
};

struct process_usage {
  std::vector<mapping_usage> mappings;
  std::size_t unreadable_lines = 0;

  /// The sum over all mappings. Every mapping's PSS is rounded down to a kB by the kernel, so it
  /// may be less than smaps_rollup says, by less than a kB a mapping.
  [[nodiscard]] ACRE_API memory_counts total() const noexcept;
};

/// Parses one line without its newline; nothing when it is no mapping.
[[nodiscard]] ACRE_API std::optional<process_mapping> parse_mapping(std::string_view line);
[[nodiscard]] ACRE_API process_maps parse_maps(std::string_view text);
[[nodiscard]] ACRE_API process_usage parse_smaps(std::string_view text);
/// The figures of /proc/PID/smaps_rollup; all 0 when the text is empty (a kernel thread).
[[nodiscard]] ACRE_API memory_counts parse_smaps_rollup(std::string_view text);

}  // namespace acre::os
