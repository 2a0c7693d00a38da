#include "tool/machine_picture.hpp"

#include "tool/machine_scale.hpp"
#include "tool/machine_text.hpp"
#include "tool/markup.hpp"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace acre::tool {
namespace {

constexpr double width = 920;
constexpr double height = 480;
constexpr double left = 64;
constexpr double right = 118;  // for the curves' names
constexpr double top = 40;     // for the caches' names
constexpr double bottom = 52;

struct drawn_curve {
  std::string name;
  const char* colour_class;
  const std::vector<curve_point>* points;
};

/// A vertical line with a name: where a level ends.
struct drawn_mark {
  std::string name;
  std::uint64_t size_bytes;
};

struct drawing {
  std::string label;  ///< what it shows, for those who cannot see it
  std::string across;
  machine_scale scale;
  std::vector<drawn_curve> curves;
  std::vector<drawn_mark> marks;
  std::uint64_t unit_bytes = 1;  ///< of the numbers across; a page, where pages are counted
};

double x_of(const drawing& picture, double size_bytes) {
  return left + picture.scale.across(size_bytes) * (width - left - right);
}

double y_of(const drawing& picture, double ns) {
  return height - bottom - picture.scale.up(ns) * (height - top - bottom);
}

std::string format_size(const drawing& picture, std::uint64_t size_bytes) {
  if (picture.unit_bytes == 1) return short_bytes(size_bytes);
  return fmt::format("{}", size_bytes / picture.unit_bytes);
}

/// What lies between two caches is a band; every second one is shaded.
std::string draw_bands(const drawing& picture) {
  std::string text;
  double from = left;
  for (std::size_t index = 0; index < picture.marks.size(); ++index) {
    const auto& mark = picture.marks[index];
    const double to = x_of(picture, static_cast<double>(mark.size_bytes));
    if (index % 2 == 0) {
      text += fmt::format(
          "<rect class=\"band\" x=\"{:.1f}\" y=\"{}\" width=\"{:.1f}\" height=\"{}\"/>\n", from,
          top, to - from, height - top - bottom);
    }
    text += fmt::format(
        "<line class=\"mark\" x1=\"{0:.1f}\" y1=\"{1}\" x2=\"{0:.1f}\" y2=\"{2}\"/>\n"
        "<text class=\"strong\" x=\"{3:.1f}\" y=\"{4}\" text-anchor=\"end\">{5}</text>\n"
        "<text class=\"quiet\" x=\"{3:.1f}\" y=\"{6}\" text-anchor=\"end\">{7}</text>\n",
        to, top - 30, height - bottom, to - 5, top - 20, escape_markup(mark.name), top - 6,
        format_size(picture, mark.size_bytes));
    from = to;
  }
  return text;
}

std::string draw_axes(const drawing& picture) {
  std::string text;
  for (const double tick : picture.scale.ns_ticks()) {
    const double y = y_of(picture, tick);
    text += fmt::format(
        "<line class=\"grid\" x1=\"{}\" y1=\"{:.1f}\" x2=\"{}\" y2=\"{:.1f}\"/>\n"
        "<text class=\"quiet\" x=\"{}\" y=\"{:.1f}\" text-anchor=\"end\">{:g} ns</text>\n",
        left, y, width - right, y, left - 8, y + 4, tick);
  }
  for (const auto tick : picture.scale.size_ticks()) {
    text += fmt::format(
        "<line class=\"axis\" x1=\"{0:.1f}\" y1=\"{1}\" x2=\"{0:.1f}\" y2=\"{2}\"/>\n"
        "<text class=\"quiet\" x=\"{0:.1f}\" y=\"{3}\" text-anchor=\"middle\">{4}</text>\n",
        x_of(picture, static_cast<double>(tick)), height - bottom, height - bottom + 5,
        height - bottom + 20, format_size(picture, tick));
  }
  return text + fmt::format(
                    "<line class=\"axis\" x1=\"{}\" y1=\"{}\" x2=\"{}\" y2=\"{}\"/>\n"
                    "<text class=\"quiet\" x=\"{}\" y=\"{}\" text-anchor=\"middle\">{}</text>\n",
                    left, height - bottom, width - right, height - bottom,
                    left + (width - left - right) / 2, height - 12, picture.across);
}

std::string draw_points(const drawing& picture, const drawn_curve& curve) {
  std::string text;
  for (const auto& point : *curve.points) {
    // The circle is small; an unseen larger one is easier to hit with a pointer.
    text += fmt::format(
        "<g class=\"{0}\"><circle class=\"dot\" cx=\"{1:.1f}\" cy=\"{2:.1f}\" r=\"2\"/>"
        "<circle class=\"target\" cx=\"{1:.1f}\" cy=\"{2:.1f}\" r=\"8\"><title>{3}: {4} at best, "
        "{5} in the middle</title></circle></g>\n",
        curve.colour_class, x_of(picture, static_cast<double>(point.size_bytes)),
        y_of(picture, point.latency_ns.minimum), format_size(picture, point.size_bytes),
        format_ns(point.latency_ns.minimum), format_ns(point.latency_ns.median));
  }
  return text;
}

std::string draw_curves(const drawing& picture) {
  std::string text;
  double last_label = -100;
  for (const auto& curve : picture.curves) {
    if (curve.points->empty()) continue;
    std::vector<std::string> places;
    for (const auto& point : *curve.points)
      places.push_back(fmt::format("{:.1f},{:.1f}",
                                   x_of(picture, static_cast<double>(point.size_bytes)),
                                   y_of(picture, point.latency_ns.minimum)));
    // Names stand at the curves' ends, and not on each other.
    double y = y_of(picture, curve.points->back().latency_ns.minimum) + 4;
    if (std::abs(y - last_label) < 16) y = last_label + 16;
    last_label = y;
    text += fmt::format(
        "<polyline class=\"curve {0}\" points=\"{1}\"/>\n{2}"
        "<text class=\"name {0}\" x=\"{3}\" y=\"{4:.1f}\">{5}</text>\n",
        curve.colour_class, fmt::join(places, " "), draw_points(picture, curve), width - right + 8,
        y, escape_markup(curve.name));
  }
  return text;
}

std::string draw(const drawing& picture, std::string_view style) {
  return fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {} {}\" role=\"img\" "
      "aria-label=\"{}\">\n{}<rect class=\"paper\" width=\"100%\" "
      "height=\"100%\"/>\n{}{}{}</svg>\n",
      width, height, escape_markup(picture.label), style, draw_bands(picture), draw_axes(picture),
      draw_curves(picture));
}

drawing working_sets(const machine_description& machine, const machine_measurement& measurement) {
  drawing picture{.label = fmt::format("Latency of a dependent load over working sets, {}",
                                       machine.processor.name),
                  .across = "working set in bytes",
                  .scale = scale_for(measurement),
                  .curves = {{"small pages", "second", &measurement.small_pages.points},
                             {"huge pages", "first", &measurement.huge_pages.points}},
                  .marks = {}};
  for (const auto& cache : caches_here(machine))
    if (static_cast<double>(cache.size_bytes) < picture.scale.size_last)
      picture.marks.push_back({cache.name, cache.size_bytes});
  return picture;
}

std::vector<drawn_mark> tlb_marks(const machine_description& machine, const machine_scale& scale) {
  std::vector<drawn_mark> marks;
  for (const auto& tlb : machine.tlbs) {
    const auto reach = tlb.entries * machine.memory.page_bytes;
    const bool is_drawn =
        tlb.kind != "instruction" && tlb.pages.starts_with("4K") &&
        static_cast<double>(reach)<scale.size_last&& static_cast<double>(reach)> scale.size_first;
    if (is_drawn) marks.push_back({fmt::format("L{} TLB", tlb.level), reach});
  }
  std::ranges::sort(marks, {}, &drawn_mark::size_bytes);
  return marks;
}

}  // namespace

// Without variables, which not every program that draws SVG knows.
std::string_view picture_style() {
  return R"(svg { font: 13px system-ui, "DejaVu Sans", sans-serif; }
svg text { fill: #1d2433; } svg text.quiet { fill: #5b6577; font-size: 12px; }
svg text.strong, svg text.name { font-weight: 600; }
svg .paper { fill: #ffffff; } svg .band { fill: #f3f6fb; } svg .target { fill: transparent; }
svg .grid { stroke: #e3e7ee; } svg .axis { stroke: #9aa4b5; }
svg .mark { stroke: #b4bfd0; stroke-dasharray: 3 3; }
svg .curve { fill: none; stroke-width: 2; stroke-linejoin: round; }
svg .curve.first { stroke: #1f66d0; } svg .curve.second { stroke: #c2580c; }
svg .first .dot, svg text.name.first { fill: #1f66d0; }
svg .second .dot, svg text.name.second { fill: #c2580c; }
@media (prefers-color-scheme: dark) {
svg text { fill: #e6eaf2; } svg text.quiet { fill: #9aa5b8; }
svg .paper { fill: #14181f; } svg .band { fill: #1a202a; }
svg .grid { stroke: #262d38; } svg .axis { stroke: #55617a; } svg .mark { stroke: #46536b; }
svg .curve.first { stroke: #74a9ff; } svg .curve.second { stroke: #ffab66; }
svg .first .dot, svg text.name.first { fill: #74a9ff; }
svg .second .dot, svg text.name.second { fill: #ffab66; } }
)";
}

std::string draw_machine_svg(const machine_description& machine,
                             const machine_measurement& measurement) {
  return draw(working_sets(machine, measurement),
              fmt::format("<style>{}</style>\n", picture_style()));
}

std::string draw_working_sets(const machine_description& machine,
                              const machine_measurement& measurement) {
  return draw(working_sets(machine, measurement), "");
}

std::string draw_page_walk(const machine_description& machine,
                           const machine_measurement& measurement) {
  const auto& points = measurement.page_walk.points;
  if (points.size() < 2) return {};
  machine_scale scale{static_cast<double>(points.front().size_bytes),
                      static_cast<double>(points.back().size_bytes), 1, 2};
  for (const auto& point : points) {
    scale.ns_first = std::min(scale.ns_first, point.latency_ns.minimum * 0.85);
    scale.ns_last = std::max(scale.ns_last, point.latency_ns.minimum * 1.15);
  }
  return draw({.label = "Latency of a dependent load with one line in each page, over pages",
               .across = fmt::format("pages of {}", short_bytes(machine.memory.page_bytes)),
               .scale = scale,
               .curves = {{"line per page", "first", &points}},
               .marks = tlb_marks(machine, scale),
               .unit_bytes = machine.memory.page_bytes},
              "");
}

}  // namespace acre::tool
