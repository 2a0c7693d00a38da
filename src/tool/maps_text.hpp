#pragma once

#include "tool/ink.hpp"
#include "tool/maps.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace acre::tool {

/// How the terminal draws.
struct drawing {
  ink colours;
  bool is_unicode = false;
  std::size_t width = 0;  ///< columns; 0: no limit
};

/// How `file` draws: by its terminal and the locale.
[[nodiscard]] drawing drawing_for(int file);

/// "1.2M", "640K", at most 6 characters; "-" for nothing.
[[nodiscard]] std::string brief_bytes(std::uint64_t bytes);

/// What is not printable, newlines among it, as "\n" and "\x1b"; bytes of UTF-8 are kept.
[[nodiscard]] std::string printable(std::string_view text);

/// The picture: one line a row, and below it sums by kind and what Acre's heap holds.
[[nodiscard]] std::string format_maps(const snapshot& what, maps_order order, bool is_all,
                                      const drawing& how);

/// What became more and less between two moments, the largest change of `order` first; without
/// one, of what is resident.
[[nodiscard]] std::string format_maps_diff(const snapshot& before, const snapshot& after,
                                           std::optional<maps_order> order, const drawing& how);

}  // namespace acre::tool
