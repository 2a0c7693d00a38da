#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <system_error>
#include <utility>

namespace acre {

/// Why the operating system refused something.
///
/// Numbers and literals, and no allocation, so that it can be made and passed on anywhere. Turn it
/// into text at the edge, through `message()` or `code()`.
struct failure {
  int number = 0;         ///< the `errno` value; never 0 in a returned failure
  const char* call = "";  ///< the system call or file that failed, such as "mmap"; a literal

  /// What is behind the refusal where that is known, and the next step; a literal or empty. A `%`
  /// in it stands for `value`: "the limit RLIMIT_MEMLOCK is % bytes; raise it with ulimit -l".
  const char* why = "";
  std::uint64_t value = 0;  ///< the value that `why` speaks of

  [[nodiscard]] std::error_code code() const noexcept { return {number, std::system_category()}; }

  /// Such as "mlock: Cannot allocate memory (the limit RLIMIT_MEMLOCK is 65536 bytes; …)".
  /// Throws: `std::bad_alloc`.
  [[nodiscard]] std::string message() const {
    std::string text = std::string(call) + ": " + code().message();
    if (*why == '\0') return text;
    text += " (";
    for (const char* c = why; *c != '\0'; ++c) {
      if (*c == '%') {
        text += std::to_string(value);
      } else {
        text += *c;
      }
    }
    return text + ')';
  }
};

/// A value, or the reason there is none.
template <class T>
using result = std::expected<T, failure>;

/// The value, for those who prefer exceptions: `auto buffer =
/// acre::or_throw(mapping::anonymous(n));` Throws: `std::system_error` with the failure's code and
/// message.
template <class T>
T or_throw(result<T> outcome) {
  if (!outcome) throw std::system_error(outcome.error().code(), outcome.error().message());
  if constexpr (!std::is_void_v<T>) return *std::move(outcome);
}

}  // namespace acre
