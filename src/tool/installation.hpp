#pragma once

#include <filesystem>
#include <span>
#include <vector>

namespace acre::tool {

/// Where a file that belongs to the tool may lie, given folders relative to the tool's own.
[[nodiscard]] std::vector<std::filesystem::path> beside_tool(std::span<const char* const> folders,
                                                             const char* file_name);

}  // namespace acre::tool
