// The latency curves on a terminal.

#include "tool/machine_scale.hpp"
#include "tool/machine_text.hpp"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

namespace acre::tool {
namespace {

constexpr std::size_t rows = 14;
constexpr std::size_t margin = 9;  // the numbers on the left

struct canvases {
  dot_canvas huge;
  dot_canvas small;
};

void draw(dot_canvas& canvas, const latency_curve& curve, const machine_scale& scale, int every) {
  const auto x = [&](const curve_point& point) {
    return scale.across(static_cast<double>(point.size_bytes)) *
           static_cast<double>(canvas.dots_wide() - 1);
  };
  const auto y = [&](const curve_point& point) {
    return (1 - scale.up(point.latency_ns.minimum)) * static_cast<double>(canvas.dots_high() - 1);
  };
  for (std::size_t index = 1; index < curve.points.size(); ++index) {
    const auto& left = curve.points[index - 1];
    const auto& right = curve.points[index];
    canvas.line(x(left), y(left), x(right), y(right), every);
  }
}

std::size_t column_of(const machine_scale& scale, std::uint64_t size_bytes, std::size_t columns) {
  return static_cast<std::size_t>(std::lround(scale.across(static_cast<double>(size_bytes)) *
                                              static_cast<double>(columns - 1)));
}

/// Writes words into a line at their columns, leaving out what would run into the one before.
class label_line {
 public:
  explicit label_line(std::size_t columns) : text_(columns, ' ') {}

  void put(std::size_t column, std::string_view word) {
    if (column < next_free_) return;
    if (column + word.size() > text_.size()) text_.resize(column + word.size(), ' ');
    text_.replace(column, word.size(), word);
    next_free_ = column + word.size() + 1;
  }
  [[nodiscard]] std::string text() const {
    const auto last = text_.find_last_not_of(' ');
    return last == std::string::npos ? "" : text_.substr(0, last + 1);
  }

 private:
  std::string text_;
  std::size_t next_free_ = 0;
};

std::string label_of_row(const machine_scale& scale, std::size_t row) {
  for (const double tick : scale.ns_ticks()) {
    const double position = (1 - scale.up(tick)) * static_cast<double>(rows - 1);
    if (static_cast<std::size_t>(std::lround(position)) == row)
      return fmt::format("{:>6g} ns", tick);
  }
  return std::string(margin, ' ');
}

std::string draw_row(const canvases& both, std::size_t row, std::size_t columns,
                     const std::vector<std::size_t>& marks, const ink& colours, bool has_unicode) {
  std::string text;
  for (std::size_t column = 0; column < columns; ++column) {
    const bool has_huge = both.huge.has(column, row);
    if (has_huge || both.small.has(column, row)) {
      const auto colour = has_huge ? colours.first : colours.second;
      text += fmt::format("{}{}{}", colour,
                          both.huge.character(column, row, both.small, has_unicode), colours.end);
    } else if (std::ranges::find(marks, column) != marks.end()) {
      text += fmt::format("{}{}{}", colours.faint, has_unicode ? "┊" : ":", colours.end);
    } else {
      text += ' ';
    }
  }
  return text;
}

std::string legend(const machine_measurement& measurement, const ink& colours, bool has_unicode) {
  std::string text = std::string(margin + 1, ' ');
  const auto add = [&](const latency_curve& curve, std::string_view colour, const char* sample) {
    if (curve.missing.empty())
      text += fmt::format("{}{}{} {}   ", colour, sample, colours.end, curve.name);
    else
      text += fmt::format("no curve on {}: {}   ", curve.name, curve.missing);
  };
  add(measurement.huge_pages, colours.first, has_unicode ? "⣀⠤⠒⠉" : "***");
  add(measurement.small_pages, colours.second, has_unicode ? "⢀⠠⠐⠈" : "ooo");
  text.erase(text.find_last_not_of(' ') + 1);
  return text + "\n";
}

}  // namespace

std::string draw_curve(const machine_description& machine, const machine_measurement& measurement,
                       const ink& colours, const screen& screen) {
  if (measurement.huge_pages.points.empty() && measurement.small_pages.points.empty()) return {};
  const auto scale = scale_for(measurement);
  // The last size stands beyond the last column.
  const auto columns = screen.columns - margin - 5;
  canvases both{dot_canvas(columns, rows), dot_canvas(columns, rows)};
  draw(both.huge, measurement.huge_pages, scale, 1);
  draw(both.small, measurement.small_pages, scale, 2);

  label_line names(columns);
  std::vector<std::size_t> marks;
  for (const auto& cache : caches_here(machine)) {
    if (static_cast<double>(cache.size_bytes) > scale.size_last) continue;
    marks.push_back(column_of(scale, cache.size_bytes, columns));
    names.put(marks.back() - std::min(marks.back(), cache.name.size() / 2), cache.name);
  }
  label_line sizes(columns);
  for (const auto tick : scale.size_ticks())
    sizes.put(column_of(scale, tick, columns), short_bytes(tick));

  const std::string indent(margin + 1, ' ');
  auto text = indent + names.text() + "\n";
  for (std::size_t row = 0; row < rows; ++row) {
    text += label_of_row(scale, row) + (screen.has_unicode ? "│" : "|") +
            draw_row(both, row, columns, marks, colours, screen.has_unicode);
    text.erase(text.find_last_not_of(' ') + 1);
    text += "\n";
  }
  text += std::string(margin, ' ') + (screen.has_unicode ? "└" : "+");
  for (std::size_t column = 0; column < columns; ++column)
    text += screen.has_unicode ? "─" : "-";
  return text + "\n" + indent + sizes.text() + "\n" +
         legend(measurement, colours, screen.has_unicode);
}

}  // namespace acre::tool
