#include <acre/os/process.hpp>

#include "os/proc_file.hpp"
#include "os/proc_text.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <memory>

#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

namespace acre::os {
namespace {

using namespace proc_text;

/// A path of fixed greatest length, so that nothing is allocated for it.
using short_path = std::array<char, 512>;

struct close_directory {
  void operator()(DIR* directory) const noexcept { ::closedir(directory); }
};

/// The stack pointer is the word before the last of /proc/PID/task/TID/syscall: "0 0x… … sp pc"
/// while in a system call, "-1 sp pc" when stopped elsewhere, "running" otherwise.
std::optional<std::uint64_t> parse_stack_pointer(std::string_view text) {
  std::string_view before;
  std::string_view last;
  text = take_line(text);
  for (auto word = take_word(text); !word.empty(); word = take_word(text)) {
    before = last;
    last = word;
  }
  if (!before.starts_with("0x")) return {};
  return number<std::uint64_t>(before.substr(2), 16);
}

std::optional<process_thread> read_thread(int directory, pid_t id) {
  process_thread thread{.id = id, .name = {}, .stack_pointer = {}};
  short_path path{};
  std::snprintf(path.data(), path.size(), "task/%d/comm", id);
  auto name = read_whole(directory, path.data(), "task");
  if (!name) return {};
  if (name->ends_with('\n')) name->pop_back();
  thread.name = *std::move(name);
  std::snprintf(path.data(), path.size(), "task/%d/syscall", id);
  if (const auto text = read_whole(directory, path.data(), "task"))
    thread.stack_pointer = parse_stack_pointer(*text);
  return thread;
}

}  // namespace

process::~process() {
  if (directory_ >= 0) static_cast<void>(tell(calls::close, directory_));
}

result<process> process::open(pid_t pid, const char* proc) noexcept {
  short_path path{};
  const int length = std::snprintf(path.data(), path.size(), "%s/%d", proc, pid);
  if (pid <= 0 || length >= static_cast<int>(path.size()))
    return std::unexpected(failure{pid <= 0 ? ESRCH : ENAMETOOLONG, "open"});
  const auto directory =
      ask(calls::openat, AT_FDCWD, path.data(), O_PATH | O_DIRECTORY | O_CLOEXEC, 0);
  if (!directory) {
    const int number = directory.error().number;
    return std::unexpected(failure{number == ENOENT ? ESRCH : number, "open"});
  }
  return process(pid, static_cast<int>(*directory));
}

result<process> process::self() noexcept {
  return open(::getpid());
}

/// A file that is missing has two causes: the process has ended, or the kernel has no such file.
failure process::explain(failure problem) const noexcept {
  if (problem.number == ESRCH) return problem;
  const auto file = proc_file::open(directory_, "status", "status", O_PATH);
  const bool is_gone =
      !file && directory_ >= 0 && (file.error().number == ENOENT || file.error().number == ESRCH);
  return is_gone ? failure{ESRCH, problem.call} : problem;
}

result<std::string> process::read(const char* file) const {
  auto text = read_whole(directory_, file, file);
  if (!text) return std::unexpected(explain(text.error()));
  return text;
}

bool process::is_alive() const {
  const auto now = status();
  return now && !now->has_ended();
}

/// When a process ends while its memory is being read, the kernel just ends the file: what was read
/// is then a part, and must not be taken for the whole.
result<std::string> process::read_while_alive(const char* file) const {
  auto text = read(file);
  if (text && !is_alive()) return std::unexpected(failure{ESRCH, file});
  return text;
}

result<process_maps> process::maps() const {
  const auto text = read_while_alive("maps");
  if (!text) return std::unexpected(text.error());
  return parse_maps(*text);
}

result<process_usage> process::smaps() const {
  const auto text = read_while_alive("smaps");
  if (!text) return std::unexpected(text.error());
  return parse_smaps(*text);
}

result<memory_counts> process::smaps_rollup() const {
  const auto text = read_while_alive("smaps_rollup");
  // A kernel thread, which has no memory, answers ESRCH.
  if (!text && text.error().number == ESRCH && is_alive()) return memory_counts{};
  if (!text) return std::unexpected(text.error());
  return parse_smaps_rollup(*text);
}

result<process_status> process::status() const {
  const auto text = read("status");
  if (!text) return std::unexpected(text.error());
  return parse_status(*text);
}

result<process_limits> process::limits() const {
  const auto text = read("limits");
  if (!text) return std::unexpected(text.error());
  return parse_limits(*text);
}

result<cgroup_memory> process::cgroup() const {
  const auto groups = read("cgroup");
  if (!groups) return std::unexpected(groups.error());
  // Where the hierarchies are mounted for us, not for it.
  const auto mounts = read_whole(AT_FDCWD, "/proc/self/mountinfo", "mountinfo");
  if (!mounts) return std::unexpected(mounts.error());
  return read_cgroup_memory(parse_cgroup(*groups), parse_mountinfo(*mounts));
}

result<page_map> process::pages() const {
  auto map = page_map::open("pagemap", directory_);
  if (!map) return std::unexpected(explain(map.error()));
  return map;
}

result<std::vector<process_thread>> process::threads() const {
  const int file = ::openat(directory_, "task", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (file < 0) return std::unexpected(explain({errno, "task"}));
  const std::unique_ptr<DIR, close_directory> list(::fdopendir(file));
  if (!list) {
    const failure problem{errno, "task"};
    ::close(file);
    return std::unexpected(problem);
  }
  std::vector<process_thread> threads;
  while (const dirent* const entry = ::readdir(list.get())) {
    const auto id = number<pid_t>(entry->d_name);
    if (!id) continue;
    if (auto thread = read_thread(directory_, *id)) threads.push_back(*std::move(thread));
  }
  if (threads.empty() && !is_alive()) return std::unexpected(failure{ESRCH, "task"});
  std::ranges::sort(threads, {}, &process_thread::id);
  return threads;
}

result<std::string> process::read_link(const char* file) const {
  std::string path(4096, '\0');
  const auto size = ::readlinkat(directory_, file, path.data(), path.size());
  if (size < 0) return std::unexpected(explain({errno, file}));
  path.resize(static_cast<std::size_t>(size));
  return path;
}

result<std::string> process::executable() const {
  return read_link("exe");
}

result<std::vector<std::string>> process::command_line() const {
  const auto text = read("cmdline");
  if (!text) return std::unexpected(text.error());
  std::vector<std::string> words;
  for (std::string_view rest = *text; !rest.empty();) {
    words.emplace_back(rest.substr(0, rest.find('\0')));
    rest.remove_prefix(std::min(words.back().size() + 1, rest.size()));
  }
  return words;
}

result<std::size_t> process::read_memory(std::uint64_t address,
                                         std::span<std::byte> into) const noexcept {
  if (into.empty()) return std::size_t{0};
  // The file and not process_vm_readv, which knows the process by its number alone.
  const auto file = proc_file::open(directory_, "mem", "mem");
  if (!file) return std::unexpected(explain(file.error()));
  const auto size = file->read_at(address, into);
  if (!size) return std::unexpected(size.error());
  if (*size == 0) return std::unexpected(failure{ESRCH, "mem"});
  return *size;
}

result<void> process::clear_references(forget what) const noexcept {
  const auto file = proc_file::open(directory_, "clear_refs", "clear_refs", O_WRONLY);
  if (!file) return std::unexpected(explain(file.error()));
  const char digit = static_cast<char>('0' + static_cast<int>(what));
  const auto size = file->write({&digit, 1});
  if (!size) return std::unexpected(explain(size.error()));
  return {};
}

}  // namespace acre::os
