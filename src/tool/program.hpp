#pragma once

#include "tool/elf_file.hpp"

#include <string>

/// What a command is before it runs, so that a program that cannot run on Acre's heap gets a plain
/// error instead of running silently on another one.
namespace acre::tool {

/// Finds a command as the shell does: through PATH, unless it has a slash.
///
/// Throws:  error with exit code 127 when there is none, 126 when it may not be executed.
[[nodiscard]] std::string find_program(const std::string& command);

/// Checks that the loader of the program at `path` will preload the library: dynamically linked
/// with glibc, for the library's machine, and not with more rights than its caller's. A script is
/// judged by its interpreter.
///
/// Throws:  error with exit code 126 or 127.
void require_preloadable(const std::string& path, const elf_file& library);

}  // namespace acre::tool
