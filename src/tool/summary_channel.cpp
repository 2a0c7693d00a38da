#include "tool/summary_channel.hpp"

#include "tool/error.hpp"

#include <array>
#include <cerrno>
#include <cstring>

#include <fmt/format.h>
#include <sys/mman.h>
#include <unistd.h>

namespace acre::tool {

summary_channel::summary_channel() : file_(::memfd_create("acre-summary", MFD_CLOEXEC)) {
  if (!file_.is_open()) {
    throw error(exit_code::misuse,
                fmt::format("cannot make a memory file: {}", std::strerror(errno)));
  }
}

std::string summary_channel::path() const {
  return fmt::format("/proc/{}/fd/{}", ::getpid(), file_.get());
}

std::vector<std::string> summary_channel::read_new_lines() {
  std::array<char, 65536> buffer;
  ssize_t size = 0;
  while ((size = ::pread(file_.get(), buffer.data(), buffer.size(), offset_)) > 0) {
    offset_ += size;
    unfinished_.append(buffer.data(), static_cast<std::size_t>(size));
  }
  std::vector<std::string> lines;
  std::size_t start = 0;
  for (std::size_t end = 0; (end = unfinished_.find('\n', start)) != std::string::npos;
       start = end + 1) {
    lines.push_back(unfinished_.substr(start, end - start));
  }
  unfinished_.erase(0, start);
  return lines;
}

}  // namespace acre::tool
