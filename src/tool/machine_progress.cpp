#include "tool/machine_plan.hpp"
#include "tool/output_file.hpp"

#include <fmt/format.h>
#include <unistd.h>

namespace acre::tool {

machine_progress::machine_progress() : is_terminal_(::isatty(STDERR_FILENO) != 0) {}

machine_progress::~machine_progress() {
  if (is_terminal_) write_all(STDERR_FILENO, "\r\x1b[K");
}

void machine_progress::begin(const std::string& stage, double part) {
  before_ += part_;
  part_ = part;
  stage_ = stage;
  shown_ = -1;
  advance(0);
}

void machine_progress::advance(double part) {
  const int percent = static_cast<int>(100 * (before_ + part_ * part));
  if (!is_terminal_ || percent == shown_) return;
  shown_ = percent;
  write_all(STDERR_FILENO, fmt::format("\r\x1b[K{:>3} %  {}", percent, stage_));
}

}  // namespace acre::tool
