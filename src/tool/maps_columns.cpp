#include "tool/maps_columns.hpp"

#include "tool/maps_text.hpp"

#include <algorithm>
#include <string_view>

#include <fmt/format.h>

namespace acre::tool {
namespace {

using enum os::memory_field;

constexpr std::size_t figure_columns = 7;
constexpr std::size_t protection_columns = 6;
constexpr std::size_t bar_columns = bar_cells + 2;
constexpr std::size_t word_columns_min = 24;

}  // namespace

map_columns::map_columns(const os::memory_counts& total, std::size_t address_digits,
                         std::size_t width)
    : address_digits_(address_digits) {
  constexpr auto last_kept = static_cast<std::size_t>(figure::rss);
  shown_.fill(true);
  const auto is_full = [&] {
    return width > 0 && columns_before_words() + word_columns_min > width;
  };
  for (auto index = figure_count - 1; index > last_kept && is_full(); --index)
    shown_[index] = bytes_of(total, static_cast<figure>(index)) > 0;
  has_bar_ = !is_full();
  for (auto index = figure_count - 1; index > last_kept && is_full(); --index)
    shown_[index] = false;
  has_protection_ = !is_full();
}

std::string map_columns::heads() const {
  constexpr std::array<std::string_view, figure_count> names{"SIZE",  "RSS",  "PSS",
                                                             "DIRTY", "SWAP", "HUGE"};
  return join([&](figure which) { return names[static_cast<std::size_t>(which)]; });
}

std::string map_columns::figures(const os::memory_counts& memory) const {
  return join([&](figure which) { return brief_bytes(bytes_of(memory, which)); });
}

std::uint64_t map_columns::bytes_of(const os::memory_counts& memory, figure which) noexcept {
  switch (which) {
    case figure::size:
      return memory[size];
    case figure::rss:
      return memory[rss];
    case figure::pss:
      return memory[pss];
    case figure::dirty:
      return memory.dirty_bytes();
    case figure::swap:
      return memory[swap];
    case figure::huge:
      return memory.huge_bytes();
    case figure::count:
      break;
  }
  return 0;
}

template <class Text>
std::string map_columns::join(Text text_of) const {
  std::string text;
  for (const auto which :
       {figure::size, figure::rss, figure::pss, figure::swap, figure::dirty, figure::huge}) {
    if (shown_[static_cast<std::size_t>(which)]) text += fmt::format(" {:>6}", text_of(which));
  }
  return text;
}

std::size_t map_columns::columns_before_words() const noexcept {
  const auto figures = static_cast<std::size_t>(std::ranges::count(shown_, true));
  return address_digits_ + figures * figure_columns + (has_protection_ ? protection_columns : 0) +
         (has_bar_ ? bar_columns : 0) + 1;
}

}  // namespace acre::tool
