#include "tool/bench_allocators.hpp"

#include <array>
#include <string_view>

#include <glob.h>

namespace acre::tool {
namespace {

struct known_allocator {
  std::string_view name;
  const char* file;  ///< a pattern for glob(3); "/" in it makes it a path of its own
};

/// Later entries of one name are tried when the earlier ones are not installed.
constexpr std::array known{
    known_allocator{"mimalloc", "libmimalloc.so*"},
    known_allocator{"jemalloc", "libjemalloc.so*"},
    known_allocator{"tcmalloc", "libtcmalloc_minimal.so*"},
    known_allocator{"tcmalloc", "libtcmalloc.so*"},
    known_allocator{"tbb", "libtbbmalloc_proxy.so*"},
    known_allocator{"snmalloc", "libsnmallocshim.so*"},
    known_allocator{"rpmalloc", "librpmalloc.so*"},
    known_allocator{"hardened", "libhardened_malloc.so*"},
    known_allocator{"scudo",
                    "/usr/lib/llvm-*/lib/clang/*/lib/linux/libclang_rt.scudo_standalone-*.so"},
};

constexpr std::array folders{"/usr/local/lib/", "/usr/lib/*-linux-gnu/", "/usr/lib64/",
                             "/usr/lib/"};

/// The last file that matches, which is the newest version, and is for the machine of `like`.
std::string newest_match(const std::string& pattern, const elf_file& like) {
  glob_t matches{};
  std::string newest;
  if (::glob(pattern.c_str(), 0, nullptr, &matches) == 0) {
    for (std::size_t index = 0; index < matches.gl_pathc; ++index) {
      const auto headers = read_elf_file(matches.gl_pathv[index]);
      const bool fits =
          headers && headers->machine == like.machine && headers->is_64_bit == like.is_64_bit;
      if (fits) newest = matches.gl_pathv[index];
    }
  }
  ::globfree(&matches);
  return newest;
}

std::string find(const known_allocator& which, const elf_file& like) {
  if (which.file[0] == '/') return newest_match(which.file, like);
  for (const auto* folder : folders) {
    auto path = newest_match(std::string(folder) + which.file, like);
    if (!path.empty()) return path;
  }
  return {};
}

}  // namespace

std::vector<allocator> find_allocators(const library& acre) {
  std::vector<allocator> found{{"acre", acre.path}, {"glibc", ""}};
  for (const auto& which : known) {
    if (found.back().name == which.name) continue;
    auto path = find(which, acre.headers);
    if (!path.empty()) found.push_back({std::string(which.name), std::move(path)});
  }
  return found;
}

}  // namespace acre::tool
