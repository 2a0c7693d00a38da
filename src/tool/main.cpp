// acre: the command. Verbs are in files of their names; this file alone prints errors and picks the
// exit code for them.

#include "tool/command_line.hpp"
#include "tool/error.hpp"
#include "tool/maps_text.hpp"
#include "tool/output_file.hpp"

#include <clocale>
#include <exception>
#include <span>

#include <fcntl.h>
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

/// A standard stream that the caller has closed is taken, so that no file of ours gets its number
/// and is written over; what is written to it fails, and is told. The programs that we start still
/// find it closed.
void take_closed_streams() noexcept {
  for (int file = STDIN_FILENO; file <= STDERR_FILENO; ++file)
    if (::fcntl(file, F_GETFD) < 0)
      // The lowest free number is this one.
      (void)::open("/dev/null", (file == STDIN_FILENO ? O_WRONLY : O_RDONLY) | O_CLOEXEC);
}

}  // namespace

int main(int count, char** words) {
  take_closed_streams();
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
