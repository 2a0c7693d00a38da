#pragma once

#include <expected>
#include <system_error>

namespace acre {

/// Why the operating system refused something.
///
/// A number and the name of the call, and no allocation, so that it can be made and passed on
/// anywhere. Turn it into text at the edge, through `code()`.
struct failure {
  int number = 0;         ///< the `errno` value; never 0 in a returned failure
  const char* call = "";  ///< the system call or file that failed, such as "mmap"; a literal

  [[nodiscard]] std::error_code code() const noexcept { return {number, std::system_category()}; }
};

/// A value, or the reason there is none.
template <class T>
using result = std::expected<T, failure>;

}  // namespace acre
