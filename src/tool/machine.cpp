#include "tool/machine.hpp"

#include "tool/error.hpp"
#include "tool/ink.hpp"
#include "tool/machine_html.hpp"
#include "tool/machine_json.hpp"
#include "tool/machine_picture.hpp"
#include "tool/machine_text.hpp"
#include "tool/output_file.hpp"

#include <algorithm>
#include <array>
#include <optional>

#include <unistd.h>

namespace acre::tool {
namespace {

void require_sensible(const machine_request& request) {
  const std::array paths{request.json_path, request.svg_path, request.html_path};
  if (std::ranges::count(paths, "-") > 1)
    throw error(exit_code::misuse, "only one of --json, --svg and --html may be '-'");
  if (!request.is_described_only) return;
  if (!request.svg_path.empty() || !request.html_path.empty())
    throw error(exit_code::misuse,
                "--svg and --html show what was measured; with --describe nothing is");
  if (request.is_quick) throw error(exit_code::misuse, "--quick and --describe exclude each other");
}

/// Opens what was asked for before the measurement, so that a wrong path costs no time.
std::optional<output_file> open_if_named(const std::string& path) {
  if (path.empty()) return {};
  return std::optional<output_file>(std::in_place, path);
}

}  // namespace

int machine(const machine_request& request) {
  require_sensible(request);
  const auto json = open_if_named(request.json_path);
  const auto svg = open_if_named(request.svg_path);
  const auto html = open_if_named(request.html_path);

  const auto description = describe_machine();
  std::optional<machine_measurement> measurement;
  if (!request.is_described_only) measurement = measure_machine(description, request.is_quick);

  const bool is_output_taken =
      request.json_path == "-" || request.svg_path == "-" || request.html_path == "-";
  if (!is_output_taken &&
      !write_all(STDOUT_FILENO, format_machine(description, measurement, ink_for(STDOUT_FILENO),
                                               screen_for(STDOUT_FILENO))))
    throw error(exit_code::misuse, "cannot write to standard output");
  if (json) json->write(format_machine_json(description, measurement));
  if (svg) svg->write(draw_machine_svg(description, *measurement));
  if (html) html->write(format_machine_html(description, *measurement));
  const bool is_noisy = measurement && !measurement->noise.reasons.empty();
  return static_cast<int>(is_noisy ? exit_code::found : exit_code::done);
}

}  // namespace acre::tool
