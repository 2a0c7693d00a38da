#pragma once

#include <acre/result.hpp>

#include "os/kernel.hpp"

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <utility>

#include <fcntl.h>

namespace acre::os {

/// A file of /proc, open; closed when its owner dies. Failures bear `call`, the file's name, which
/// is kept, so it must be a literal or live as long as they do.
class proc_file {
 public:
  [[nodiscard]] static result<proc_file> open(int directory, const char* path, const char* call,
                                              int flags = O_RDONLY) noexcept {
    const auto number = ask(calls::openat, directory, path, flags | O_CLOEXEC, 0);
    if (!number) return std::unexpected(failure{number.error().number, call});
    return proc_file(static_cast<int>(*number), call);
  }
  proc_file(proc_file&& other) noexcept
      : number_(std::exchange(other.number_, -1)), call_(other.call_) {}
  proc_file(const proc_file&) = delete;
  proc_file& operator=(const proc_file&) = delete;
  proc_file& operator=(proc_file&&) = delete;
  ~proc_file() {
    // Nothing is written back to such a file, so there is nothing to lose.
    if (number_ >= 0) static_cast<void>(tell(calls::close, number_));
  }

  [[nodiscard]] int number() const noexcept { return number_; }

  /// As read(2), but goes on when a signal interrupts it.
  [[nodiscard]] result<std::size_t> read(std::span<char> into) const noexcept {
    return retry([&] { return ask(calls::read, number_, into.data(), into.size()); });
  }
  [[nodiscard]] result<std::size_t> read_at(std::uint64_t offset,
                                            std::span<std::byte> into) const noexcept {
    return retry([&] { return ask(calls::pread, number_, into.data(), into.size(), offset); });
  }
  [[nodiscard]] result<std::size_t> write(std::span<const char> from) const noexcept {
    return retry([&] { return ask(calls::write, number_, from.data(), from.size()); });
  }

 private:
  proc_file(int number, const char* call) noexcept : number_(number), call_(call) {}

  template <class Call>
  result<std::size_t> retry(Call make) const noexcept {
    for (;;) {
      const result<long> outcome = make();
      if (outcome) return static_cast<std::size_t>(*outcome);
      if (outcome.error().number != EINTR)
        return std::unexpected(failure{outcome.error().number, call_});
    }
  }

  int number_;
  const char* call_;
};

/// Reads a file to its end, below the open directory `directory` or by an absolute path.
///
/// The files of /proc have no size, and give a page or so with each read.
[[nodiscard]] inline result<std::string> read_whole(int directory, const char* path,
                                                    const char* call) {
  const auto file = proc_file::open(directory, path, call);
  if (!file) return std::unexpected(file.error());
  std::string text;
  std::size_t used = 0;
  for (;;) {
    if (text.size() - used < 4096) text.resize(text.size() < 16384 ? 16384 : text.size() * 2);
    const auto size = file->read(std::span(text).subspan(used));
    if (!size) return std::unexpected(size.error());
    if (*size == 0) break;
    used += *size;
  }
  text.resize(used);
  return text;
}

}  // namespace acre::os
