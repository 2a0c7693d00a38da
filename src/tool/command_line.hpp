#pragma once

#include <span>

namespace acre::tool {

/// Reads the command line and runs the verb that it names.
///
/// Returns:  the exit code.
/// Throws:   error, for a wrong command line too.
int run_command_line(std::span<char* const> words);

}  // namespace acre::tool
