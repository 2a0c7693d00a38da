#include "tool/maps_rows.hpp"

#include <algorithm>
#include <tuple>

namespace acre::tool {
namespace {

using enum os::memory_field;

void add(map_row& row, const segment& each) {
  const auto& mapping = each.mapping();
  if (row.mappings == 0) {
    row.kind = each.kind;
    row.label = each.label;
    row.start = mapping.start;
  }
  row.end = mapping.end;
  ++row.mappings;
  row.memory += each.usage.memory;
  row.locked += each.is_locked() ? 1 : 0;
  row.guard_bytes += each.guard_bytes;
  const std::string protection = mapping.protection().data();
  if (std::ranges::find(row.protections, protection) == row.protections.end())
    row.protections.push_back(protection);
}

bool continues(const map_row& row, const segment& each) {
  // Mappings of one library lie together, with gaps where its segments are aligned.
  return row.kind == each.kind && row.label == each.label &&
         (row.end == each.mapping().start || row.kind == segment_kind::library);
}

}  // namespace

std::vector<map_row> make_rows(const std::vector<segment>& segments, bool is_all) {
  std::vector<map_row> rows;
  for (const auto& each : segments) {
    if (rows.empty() || is_all || !continues(rows.back(), each)) rows.emplace_back();
    add(rows.back(), each);
  }
  return rows;
}

std::vector<map_row> sum_kinds(const std::vector<segment>& segments) {
  std::vector<map_row> sums(static_cast<std::size_t>(segment_kind::count));
  for (const auto& each : segments)
    add(sums[static_cast<std::size_t>(each.kind)], each);
  std::erase_if(sums, [](const map_row& row) { return row.mappings == 0; });
  return sums;
}

std::uint64_t order_figure(const map_row& row, maps_order order) noexcept {
  switch (order) {
    case maps_order::address:
      return row.start;
    case maps_order::size:
      return row.memory[os::memory_field::size];
    case maps_order::rss:
      return row.memory[rss];
    case maps_order::pss:
      return row.memory[pss];
    case maps_order::swap:
      return row.memory[swap];
    case maps_order::dirty:
      return row.memory.dirty_bytes();
  }
  return 0;
}

void sort_rows(std::vector<map_row>& rows, maps_order order) {
  if (order == maps_order::address) return;
  std::ranges::sort(rows, {}, [order](const map_row& row) {
    return std::tuple(~order_figure(row, order), row.start);
  });
}

}  // namespace acre::tool
