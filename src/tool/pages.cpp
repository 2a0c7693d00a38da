#include "tool/pages.hpp"

#include "tool/error.hpp"
#include "tool/output_file.hpp"
#include "tool/page_view.hpp"
#include "tool/pages_image.hpp"
#include "tool/pages_text.hpp"
#include "tool/snapshot.hpp"

#include <unistd.h>

namespace acre::tool {

int pages(const pages_request& request) {
  const auto pid = request.target == "self" ? ::getpid() : parse_pid(request.target);
  const auto process = open_process(pid, "/proc");
  const auto view = take_page_view(process, request.selector, request.working_set_time);
  if (!request.json_path.empty()) output_file(request.json_path).write(format_pages_json(view));
  if (!request.svg_path.empty()) output_file(request.svg_path).write(format_pages_svg(view));
  if (!request.png_path.empty()) output_file(request.png_path).write(format_pages_png(view));
  const bool is_written_to_standard_output =
      request.json_path == "-" || request.svg_path == "-" || request.png_path == "-";
  if (is_written_to_standard_output) return 0;
  if (!write_all(STDOUT_FILENO, format_pages(view, drawing_for(STDOUT_FILENO))))
    throw error(exit_code::misuse, "cannot write to standard output");
  return 0;
}

}  // namespace acre::tool
