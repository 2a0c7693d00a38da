#include "os/whole_file.hpp"

#include "os/kernel.hpp"

#include <array>
#include <cerrno>

#include <fcntl.h>

namespace acre::os {

result<std::string> read_whole_file(const char* path, const char* name) {
  const auto named = [name](const failure& refused) {
    return std::unexpected(failure{.number = refused.number, .call = name});
  };
  const result<long> file = ask(calls::openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0);
  if (!file) return named(file.error());
  std::string text;
  std::array<char, 4096> buffer;
  for (;;) {
    const result<long> size = ask(calls::read, *file, buffer.data(), buffer.size());
    if (!size && size.error().number == EINTR) continue;
    if (!size || *size == 0) {
      // A file that was only read has nothing left to lose when it is closed.
      (void)tell(calls::close, *file);
      if (!size) return named(size.error());
      return text;
    }
    text.append(buffer.data(), static_cast<std::size_t>(*size));
  }
}

}  // namespace acre::os
