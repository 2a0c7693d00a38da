#pragma once

#include "tool/elf_file.hpp"

#include <string>

namespace acre::tool {

/// The preload library.
struct library {
  std::string path;  ///< absolute, without the characters that separate entries of LD_PRELOAD
  elf_file headers;
};

/// Finds libacre-malloc.so: where $ACRE_LIBRARY says, else beside the installed tool, else in the
/// build tree.
///
/// Throws:  error that names all places looked at, or says why the file there is not the library.
[[nodiscard]] library find_library();

}  // namespace acre::tool
