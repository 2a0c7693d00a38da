#include "tool/output_file.hpp"

#include "tool/error.hpp"

#include <cerrno>
#include <cstring>

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

namespace acre::tool {

bool write_all(int file, std::string_view text) noexcept {
  while (!text.empty()) {
    const auto size = ::write(file, text.data(), text.size());
    if (size < 0 && errno == EINTR) continue;
    if (size <= 0) return false;
    text.remove_prefix(static_cast<std::size_t>(size));
  }
  return true;
}

output_file::output_file(const std::string& path)
    : name_(path == "-" ? "to standard output" : path) {
  constexpr int flags = O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC;
  file_ = file_descriptor(path == "-" ? ::fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3)
                                      : ::open(path.c_str(), flags, 0666));
  if (!file_.is_open()) {
    throw error(exit_code::misuse, fmt::format("cannot write {}: {}", name_, std::strerror(errno)));
  }
}

void output_file::write(std::string_view text) const {
  if (!write_all(file_.get(), text))
    throw error(exit_code::misuse, fmt::format("cannot write {}: {}", name_, std::strerror(errno)));
}

}  // namespace acre::tool
