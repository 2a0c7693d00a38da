#pragma once

#include <acre/os/process.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>

namespace acre::tool {

/// Cells of the longest bar.
inline constexpr std::size_t bar_cells = 16;

/// The columns of a picture that a terminal has room for, beside the words at the end of each row.
class map_columns {
 public:
  /// All where `width` is 0. Else, until the words have room, those without any figure in `total`
  /// are left out, then the bar, then other figures, then the protection; size, RSS and the
  /// address of `address_digits` stay.
  map_columns(const os::memory_counts& total, std::size_t address_digits, std::size_t width);

  /// The headings of the figures.
  [[nodiscard]] std::string heads() const;
  [[nodiscard]] std::string figures(const os::memory_counts& memory) const;
  [[nodiscard]] bool has_bar() const noexcept { return has_bar_; }
  [[nodiscard]] bool has_protection() const noexcept { return has_protection_; }

 private:
  /// In the order in which a picture can do without them: the last first.
  enum class figure : std::uint8_t { size, rss, pss, dirty, swap, huge, count };
  static constexpr auto figure_count = static_cast<std::size_t>(figure::count);

  static std::uint64_t bytes_of(const os::memory_counts& memory, figure which) noexcept;
  template <class Text>
  [[nodiscard]] std::string join(Text text_of) const;
  [[nodiscard]] std::size_t columns_before_words() const noexcept;

  std::size_t address_digits_;
  std::array<bool, figure_count> shown_{};
  bool has_bar_ = true;
  bool has_protection_ = true;
};

}  // namespace acre::tool
