#include "tool/installation.hpp"

#include <system_error>

namespace acre::tool {

std::vector<std::filesystem::path> beside_tool(std::span<const char* const> folders,
                                               const char* file_name) {
  std::error_code problem;
  const auto tool = std::filesystem::read_symlink("/proc/self/exe", problem).parent_path();
  std::vector<std::filesystem::path> result;
  for (const auto* folder : folders)
    result.push_back((tool / folder / file_name).lexically_normal());
  return result;
}

}  // namespace acre::tool
