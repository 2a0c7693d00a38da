// acre: the command. Verbs are in files of their names; this file alone prints errors and picks the
// exit code for them.

#include "tool/command_line.hpp"
#include "tool/error.hpp"
#include "tool/maps_text.hpp"
#include "tool/output_file.hpp"

#include <clocale>
#include <exception>
#include <span>

#include <fmt/format.h>
#include <unistd.h>

namespace {

int report(const char* text, acre::tool::exit_code code) noexcept {
  try {
    acre::tool::write_all(STDERR_FILENO,
                          fmt::format("acre: error: {}\n", acre::tool::printable(text)));
  } catch (const std::exception&) {
    acre::tool::write_all(STDERR_FILENO, "acre: error: out of memory\n");
  }
  return static_cast<int>(code);
}

}  // namespace

int main(int count, char** words) {
  // Which characters a terminal shows; numbers and messages stay as they are.
  std::setlocale(LC_CTYPE, "");
  try {
    return acre::tool::run_command_line(
        std::span(words, static_cast<std::size_t>(count)).subspan(1));
  } catch (const acre::tool::error& problem) {
    return report(problem.what(), problem.code());
  } catch (const std::exception& problem) {
    return report(problem.what(), acre::tool::exit_code::misuse);
  }
}
