#pragma once

#include "tool/maps.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace acre::tool {

/// One line of the picture: neighbouring mappings of the same kind and the same thing.
struct map_row {
  segment_kind kind = segment_kind::anonymous;
  std::string label;
  std::uint64_t start = 0;
  std::uint64_t end = 0;
  std::size_t mappings = 0;
  os::memory_counts memory;
  std::vector<std::string> protections;  ///< each that occurs, once: "r--p", "r-xp"
  std::size_t locked = 0;                ///< how many of the mappings are locked
  std::uint64_t guard_bytes = 0;
};

/// Rows by address, or one for each mapping when `is_all`.
[[nodiscard]] std::vector<map_row> make_rows(const std::vector<segment>& segments, bool is_all);

/// Sums by kind, in the order of the kinds; kinds that do not occur are left out.
[[nodiscard]] std::vector<map_row> sum_kinds(const std::vector<segment>& segments);

/// The figure that rows are ordered by.
[[nodiscard]] std::uint64_t order_figure(const map_row& row, maps_order order) noexcept;

/// Puts the rows in order: by address, else the largest first.
void sort_rows(std::vector<map_row>& rows, maps_order order);

}  // namespace acre::tool
