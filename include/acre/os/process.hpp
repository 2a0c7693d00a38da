#pragma once

#include <acre/export.h>
#include <acre/os/cgroup.hpp>
#include <acre/os/page_map.hpp>
#include <acre/os/process_maps.hpp>
#include <acre/os/process_status.hpp>
#include <acre/result.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <sys/types.h>

namespace acre::os {

struct process_thread {
  pid_t id = 0;
  std::string name;
  /// Where its stack pointer is; empty while it runs on a processor, or when we may not know.
  std::optional<std::uint64_t> stack_pointer;
};

/// A process as /proc shows it, this one or another.
///
/// It holds the process's directory open, so everything that is read belongs to one process even
/// when that ends and its number is given to another. Nothing stops the process: what is read while
/// it runs is a view of a moving thing, each line true at its own moment.
///
/// Fails:          ESRCH when the process ended, also in the middle of reading; EACCES or EPERM
/// when
///                 we may not look (ptrace(2), "Ptrace access mode checking"); ENOENT when this
///                 kernel has no such file. `failure::call` is the file's name below /proc/PID.
/// Ownership:      sole owner of a file descriptor; a moved-from one answers EBADF.
/// Thread-safety:  all members may be called at the same time.
class ACRE_API process {
 public:
  /// Opens a process by its number in the PID namespace of `proc`, the mount point of a procfs, or
  /// a directory laid out like one.
  ///
  /// Fails:  ESRCH when there is none.
  [[nodiscard]] static result<process> open(pid_t pid, const char* proc = "/proc") noexcept;
  /// This process.
  [[nodiscard]] static result<process> self() noexcept;

  process(process&& other) noexcept
      : pid_(std::exchange(other.pid_, 0)), directory_(std::exchange(other.directory_, -1)) {}
  process& operator=(process&& other) noexcept {
    std::swap(pid_, other.pid_);
    std::swap(directory_, other.directory_);
    return *this;
  }
  process(const process&) = delete;
  process& operator=(const process&) = delete;
  ~process();

  [[nodiscard]] pid_t pid() const noexcept { return pid_; }

  /// Whether it still runs: neither gone nor a zombie.
  [[nodiscard]] bool is_alive() const;

  /// Memory mappings; empty for a kernel thread.
  [[nodiscard]] result<process_maps> maps() const;
  /// The same with what each takes. The kernel walks every page table for it: about 5 us a mapping
  /// and 1 ms per GiB that is resident.
  [[nodiscard]] result<process_usage> smaps() const;
  /// Sums only, with PSS rounded once.
  [[nodiscard]] result<memory_counts> smaps_rollup() const;
  [[nodiscard]] result<process_status> status() const;
  [[nodiscard]] result<process_limits> limits() const;
  /// The memory limits of its control group.
  [[nodiscard]] result<cgroup_memory> cgroup() const;
  [[nodiscard]] result<page_map> pages() const;
  /// Its threads by number; one that ends meanwhile is left out.
  [[nodiscard]] result<std::vector<process_thread>> threads() const;
  /// The path of the program's file, as the kernel writes it, with " (deleted)" behind it when it
  /// is.
  [[nodiscard]] result<std::string> executable() const;
  /// The words of its command line.
  [[nodiscard]] result<std::vector<std::string>> command_line() const;

  /// Copies memory of the process from `address` on (/proc/PID/mem).
  ///
  /// Returns:  how many bytes; fewer than asked for where a page cannot be read.
  /// Fails:    EACCES without permission (that of a debugger), EIO when the first byte is not
  ///           readable.
  [[nodiscard]] result<std::size_t> read_memory(std::uint64_t address,
                                                std::span<std::byte> into) const noexcept;

  /// What clear_refs(5) can forget.
  enum class forget : std::uint8_t {
    referenced = 1,  ///< that pages were referenced, so that smaps counts from now on
    soft_dirty = 4,  ///< that pages were written; see `soft_dirty_works`
  };
  /// The kernel does not make processors forget what they cached, so a page that is in use without
  /// a pause may count as not referenced for a while: what is counted afterwards is a lower bound.
  ///
  /// Fails:  EACCES for a process of another user.
  [[nodiscard]] result<void> clear_references(forget what) const noexcept;

  /// The whole text of a file below /proc/PID, such as "status" or "task/12/comm".
  [[nodiscard]] result<std::string> read(const char* file) const;
  /// The target of a symbolic link below /proc/PID.
  [[nodiscard]] result<std::string> read_link(const char* file) const;

 private:
  process(pid_t pid, int directory) noexcept : pid_(pid), directory_(directory) {}
  [[nodiscard]] failure explain(failure problem) const noexcept;
  [[nodiscard]] result<std::string> read_while_alive(const char* file) const;

  pid_t pid_ = 0;
  int directory_ = -1;
};

}  // namespace acre::os
