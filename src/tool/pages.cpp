#include "tool/pages.hpp"

#include "tool/error.hpp"
#include "tool/output_file.hpp"
#include "tool/page_view.hpp"
#include "tool/pages_image.hpp"
#include "tool/pages_text.hpp"
#include "tool/snapshot.hpp"

#include <algorithm>
#include <array>

#include <unistd.h>

namespace acre::tool {

int pages(const pages_request& request) {
  const std::array paths{request.json_path, request.svg_path, request.png_path};
  const auto standard_outputs = std::ranges::count(paths, "-");
  if (standard_outputs > 1)
    throw error(exit_code::misuse, "only one of --json, --svg and --png may be '-'");
  const auto pid = request.target == "self" ? ::getpid() : parse_pid(request.target);
  const auto process = open_process(pid, "/proc");
  const auto view = take_page_view(process, request.selector, request.working_set_time);
  if (!request.json_path.empty()) output_file(request.json_path).write(format_pages_json(view));
  if (!request.svg_path.empty()) output_file(request.svg_path).write(format_pages_svg(view));
  if (!request.png_path.empty()) output_file(request.png_path).write(format_pages_png(view));
  if (standard_outputs > 0) return 0;
  if (!write_all(STDOUT_FILENO, format_pages(view, drawing_for(STDOUT_FILENO))))
    throw error(exit_code::misuse, "cannot write to standard output");
  return 0;
}

}  // namespace acre::tool
