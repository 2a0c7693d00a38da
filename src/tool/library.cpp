#include "tool/library.hpp"

#include "tool/error.hpp"
#include "tool/installation.hpp"

#include <array>
#include <cstdlib>
#include <filesystem>
#include <system_error>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace acre::tool {
namespace {

constexpr const char* file_name = "libacre-malloc.so";

/// Folders relative to the tool's own: the installed tree's, then the build tree's.
constexpr std::array folders{ACRE_TOOL_TO_LIBRARY_INSTALLED, "../lib", ACRE_TOOL_TO_LIBRARY_BUILT};

std::vector<std::filesystem::path> candidates() {
  if (const char* const chosen = std::getenv("ACRE_LIBRARY"); chosen != nullptr && *chosen != '\0')
    return {std::filesystem::absolute(chosen)};
  return beside_tool(folders, file_name);
}

}  // namespace

library find_library() {
  std::vector<std::string> looked_at;
  for (const auto& path : candidates()) {
    std::error_code problem;
    if (!std::filesystem::is_regular_file(path, problem)) {
      looked_at.push_back(path.string());
      continue;
    }
    if (path.string().find_first_of(" :") != std::string::npos) {
      throw error(exit_code::misuse,
                  fmt::format("the library's path '{}' has a space or a colon, which LD_PRELOAD "
                              "cannot hold; set ACRE_LIBRARY to a copy or link without",
                              path.string()));
    }
    const auto headers = read_elf_file(path.string());
    if (!headers) {
      throw error(exit_code::misuse,
                  fmt::format("{} is not a library that can be read", path.string()));
    }
    // Any library can be preloaded, and then the program would run without a word on another heap.
    if (!defines_symbol(path.string(), symbol_table::dynamic, "acre_malloc")) {
      throw error(exit_code::misuse,
                  fmt::format("{} is not Acre's library: it has no symbol acre_malloc; set "
                              "ACRE_LIBRARY to a {}",
                              path.string(), file_name));
    }
    return {path.string(), *headers};
  }
  throw error(exit_code::misuse,
              fmt::format("cannot find {}; looked at {}; set ACRE_LIBRARY to its path", file_name,
                          fmt::join(looked_at, ", ")));
}

}  // namespace acre::tool
