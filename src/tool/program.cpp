#include "tool/program.hpp"

#include "tool/error.hpp"
#include "tool/file_descriptor.hpp"

#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <string_view>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/xattr.h>
#include <unistd.h>

namespace acre::tool {
namespace {

/// The kernel's own limit for scripts whose interpreter is a script.
constexpr int script_depth_max = 5;

/// acre::preload::reads_options, which a program has from libacre-malloc.a alone: libacre.a, for a
/// heap beside the system's, leaves it out.
constexpr std::string_view linked_heap = "_ZN4acre7preload13reads_optionsE";

[[noreturn]] void refuse(const std::string& path, std::string_view why) {
  throw error(exit_code::cannot_execute,
              fmt::format("cannot run {} on Acre's heap: {}", path, why));
}

bool is_executable_file(const std::string& path) {
  struct stat status{};
  return ::stat(path.c_str(), &status) == 0 && S_ISREG(status.st_mode) &&
         ::faccessat(AT_FDCWD, path.c_str(), X_OK, AT_EACCESS) == 0;
}

/// Says why a path that is no executable file is none.
[[noreturn]] void refuse_path(const std::string& path) {
  struct stat status{};
  if (::stat(path.c_str(), &status) != 0) {
    const int problem = errno;
    const bool is_missing = problem == ENOENT || problem == ENOTDIR;
    throw error(is_missing ? exit_code::not_found : exit_code::cannot_execute,
                fmt::format("cannot run {}: {}", path, std::strerror(problem)));
  }
  if (S_ISDIR(status.st_mode))
    throw error(exit_code::cannot_execute, fmt::format("cannot run {}: it is a directory", path));
  throw error(exit_code::cannot_execute,
              fmt::format("cannot run {}: it is not executable for this user", path));
}

std::string search_path() {
  const char* const path = std::getenv("PATH");
  return path != nullptr ? path : "/bin:/usr/bin";
}

/// The interpreter of a script; empty when the file does not begin with "#!".
std::string interpreter_of(const std::string& path) {
  const file_descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  std::array<char, 256> start{};  // as much as the kernel looks at
  if (!file.is_open() || ::read(file.get(), start.data(), start.size()) < 2) return {};
  std::string_view line(start.data(), start.size());
  if (!line.starts_with("#!")) return {};
  line.remove_prefix(2);
  line = line.substr(0, line.find_first_of(std::string_view("\n\0", 2)));
  const auto first = line.find_first_not_of(" \t");
  if (first == std::string_view::npos) return {};
  line.remove_prefix(first);
  return std::string(line.substr(0, line.find_first_of(" \t\r")));
}

/// Whether executing the file changes the user, the group or the capabilities; the loader then
/// ignores LD_PRELOAD (ld.so(8), "secure-execution mode").
bool gains_rights(const std::string& path) {
  struct stat status{};
  struct statvfs file_system{};
  if (::stat(path.c_str(), &status) != 0) return false;
  if (::prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1) return false;
  if (::statvfs(path.c_str(), &file_system) == 0 && (file_system.f_flag & ST_NOSUID) != 0)
    return false;
  const bool changes_user = (status.st_mode & S_ISUID) != 0 && status.st_uid != ::getuid();
  // Without the group's execute bit the flag means mandatory locking, not setgid.
  const bool changes_group = (status.st_mode & S_ISGID) != 0 && (status.st_mode & S_IXGRP) != 0 &&
                             status.st_gid != ::getgid();
  const bool has_capabilities =
      ::getuid() != 0 && ::getxattr(path.c_str(), "security.capability", nullptr, 0) > 0;
  return changes_user || changes_group || has_capabilities;
}

void require_preloadable_elf(const std::string& path, const elf_file& file,
                             const elf_file& library) {
  if (file.machine != library.machine || file.is_64_bit != library.is_64_bit) {
    refuse(path, fmt::format("it is a program for {}, and this Acre is built for {}",
                             describe_machine(file), describe_machine(library)));
  }
  if (file.loader.empty()) {
    if (defines_symbol(path, symbol_table::all, linked_heap)) {
      refuse(path,
             "it is statically linked and runs on Acre's heap already; for its figures run it by "
             "itself with ACRE_OPTIONS=summary_path=FILE");
    }
    refuse(path,
           "it is statically linked, so no library can be preloaded; link it with libacre-malloc.a "
           "(CMake: acre::malloc_static) instead");
  }
  const auto loader_name = std::string_view(file.loader).substr(file.loader.rfind('/') + 1);
  if (loader_name.starts_with("ld-musl"))
    refuse(path, "it is linked with musl, and the library needs glibc");
  if (::access(file.loader.c_str(), F_OK) != 0) {
    throw error(exit_code::not_found,
                fmt::format("cannot run {}: its loader {} is missing", path, file.loader));
  }
  if (gains_rights(path)) {
    refuse(path,
           "it is setuid, setgid or has file capabilities, so the loader ignores preloaded "
           "libraries; run acre as its owner");
  }
}

}  // namespace

std::string find_program(const std::string& command) {
  if (command.find('/') != std::string::npos) {
    if (!is_executable_file(command)) refuse_path(command);
    return command;
  }
  const auto all = search_path();
  std::string found_but_refused;
  for (std::string_view rest = all; !command.empty();) {
    const auto folder = rest.substr(0, rest.find(':'));
    const auto path = fmt::format("{}/{}", folder.empty() ? "." : folder, command);
    if (is_executable_file(path)) return path;
    if (found_but_refused.empty() && ::access(path.c_str(), F_OK) == 0) found_but_refused = path;
    if (folder.size() == rest.size()) break;
    rest.remove_prefix(folder.size() + 1);
  }
  if (!found_but_refused.empty()) refuse_path(found_but_refused);
  throw error(exit_code::not_found,
              fmt::format("cannot run '{}': there is no such command in PATH", command));
}

void require_preloadable(const std::string& path, const elf_file& library) {
  std::string program = path;
  for (int depth = 0; depth < script_depth_max; ++depth) {
    const auto file = read_elf_file(program);
    if (file.has_value()) return require_preloadable_elf(program, *file, library);
    if (file.error() == elf_problem::damaged) refuse(program, "its ELF headers are damaged");
    // A program that may be executed but not read cannot be judged; let it run.
    if (file.error() == elf_problem::unreadable) return;
    auto interpreter = interpreter_of(program);
    // A text file without "#!" is run by the shell, as execvp(3) says.
    if (interpreter.empty()) interpreter = "/bin/sh";
    if (::access(interpreter.c_str(), F_OK) != 0) {
      throw error(exit_code::not_found, fmt::format("cannot run {}: its interpreter {} is missing",
                                                    program, interpreter));
    }
    program = interpreter;
  }
  refuse(path, "its interpreters are scripts without end");
}

}  // namespace acre::tool
