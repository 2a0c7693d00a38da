#pragma once

#include <stdexcept>
#include <string>

namespace acre::tool {

/// What the exit code of `acre` says; under `acre run` it is otherwise the command's own.
enum class exit_code : int {
  done = 0,
  found = 1,             ///< it worked, and the answer is bad news
  misuse = 2,            ///< wrong arguments or a wrong installation
  cannot_execute = 126,  ///< as in the shell
  not_found = 127,       ///< as in the shell
};

/// Ends the command; `main` alone prints it.
///
/// The text says what is wrong, why, and what to do next, without full stop or newline.
class error : public std::runtime_error {
 public:
  error(exit_code code, const std::string& text) : std::runtime_error(text), code_(code) {}

  [[nodiscard]] exit_code code() const noexcept { return code_; }

 private:
  exit_code code_;
};

}  // namespace acre::tool
