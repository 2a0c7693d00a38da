#pragma once

#include <acre/os/page_map.hpp>
#include <acre/os/process.hpp>

#include "tool/snapshot.hpp"

#include <array>
#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace acre::tool {

/// What a page is; the first that holds.
enum class page_state : std::uint8_t {
  none,   ///< not in memory: never touched, or given back
  guard,  ///< MADV_GUARD_INSTALL
  swapped,
  zero,  ///< the kernel's shared page of zeros
  huge,  ///< part of a huge page
  file,  ///< of a file or of shared memory
  anonymous,
  count
};

[[nodiscard]] std::string_view page_state_name(page_state state) noexcept;
[[nodiscard]] page_state state_of(const os::page_span& span) noexcept;

/// How many pages are in each state.
using page_counts = std::array<std::uint64_t, static_cast<std::size_t>(page_state::count)>;

/// One mapping and the pages of it that are somewhere. What lies between the spans is nowhere.
struct page_area {
  segment what;
  std::uint64_t start = 0;
  std::uint64_t end = 0;
  std::vector<os::page_span> spans;
  std::uint64_t referenced_bytes = 0;  ///< since the references were forgotten
  std::uint64_t written_pages = 0;     ///< since then
};

/// What was used within a time.
struct working_set {
  std::chrono::milliseconds time{0};
  bool has_written = false;  ///< whether writes could be told
};

/// The pages of a process that were asked for.
struct page_view {
  pid_t pid = 0;
  std::string name;
  std::uint64_t page_bytes = 4096;
  std::vector<page_area> areas;  ///< by address
  page_counts counts{};
  std::uint64_t pages = 0;
  std::optional<std::uint64_t> exclusive_pages;  ///< mapped by this process alone
  std::map<int, std::uint64_t> node_pages;       ///< empty when it could not be found out
  /// Pages whose frame has a flag, by the flag's name; empty when that may not be seen.
  std::vector<std::pair<std::string, std::uint64_t>> frame_flags;
  std::optional<std::uint64_t> page_table_bytes;  ///< of the whole process
  std::uint64_t leaf_table_bytes = 0;             ///< at least this for the pages shown
  std::optional<working_set> used;
  std::vector<std::string> notes;
};

/// Looks at the pages of the mappings that `selector` means: an address, a range "START-END", or a
/// part of a kind's or a mapping's name; empty: all but reservations.
///
/// Throws:  error when nothing fits, or the process may not be looked at.
[[nodiscard]] page_view take_page_view(const os::process& process, const std::string& selector,
                                       std::optional<std::chrono::milliseconds> working_set_time);

/// One cell of a heat map.
struct heat_cell {
  page_counts counts{};
  std::uint64_t pages = 0;

  /// The state of most pages that are somewhere; none when all are nowhere.
  [[nodiscard]] page_state main_state() const noexcept;
  [[nodiscard]] double share(page_state state) const noexcept;
};

/// The areas one behind the other, in at most `cells_max` cells of equally many pages.
struct heat_map {
  std::uint64_t pages_per_cell = 1;
  std::vector<heat_cell> cells;
};
[[nodiscard]] heat_map make_heat_map(const page_view& view, std::size_t cells_max);

}  // namespace acre::tool
