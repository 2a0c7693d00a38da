#include "preload/summary.hpp"

#include "base/text.hpp"
#include "heap/size_class.hpp"
#include "heap/statistics.hpp"
#include "malloc/report.hpp"
#include "os/background_thread.hpp"
#include "os/lock.hpp"
#include "os/memory.hpp"
#include "os/syscall.hpp"

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <string_view>

#include <fcntl.h>
#include <pthread.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

namespace acre::preload {

namespace {

constinit const char* path = nullptr;
constinit std::int64_t interval = 0;
constinit long started_ms = 0;
constinit os::background_thread ticker;

using line_text = base::text<24576>;

struct process_figures {
  std::uint64_t rss_bytes = 0, rss_peak_bytes = 0;
  std::uint64_t user_ms = 0, system_ms = 0, minor_faults = 0, major_faults = 0;
};

/// The number after `key` in a text of /proc, or 0.
std::uint64_t number_after(std::string_view text, std::string_view key) noexcept {
  const std::size_t at = text.find(key);
  if (at == std::string_view::npos) return 0;
  std::uint64_t value = 0;
  bool any = false;
  text.remove_prefix(at + key.size());
  for (const char c : text) {
    if (c >= '0' && c <= '9') {
      value = value * 10 + static_cast<std::uint64_t>(c - '0');
      any = true;
    } else if (any) {
      break;
    }
  }
  return value;
}

process_figures read_process() noexcept {
  process_figures p;
  struct rusage usage{};
  if (!os::failed(os::raw_syscall(SYS_getrusage, RUSAGE_SELF, os::as_long(&usage)))) {
    const auto ms = [](const timeval& t) {
      return static_cast<std::uint64_t>(t.tv_sec) * 1000 +
             static_cast<std::uint64_t>(t.tv_usec) / 1000;
    };
    p.user_ms = ms(usage.ru_utime);
    p.system_ms = ms(usage.ru_stime);
    p.minor_faults = static_cast<std::uint64_t>(usage.ru_minflt);
    p.major_faults = static_cast<std::uint64_t>(usage.ru_majflt);
  }
  char buffer[4096];
  const long file =
      os::raw_syscall(SYS_openat, AT_FDCWD, os::as_long("/proc/self/status"), O_RDONLY | O_CLOEXEC);
  if (os::failed(file)) return p;
  const long size = os::raw_syscall(SYS_read, file, os::as_long(buffer), sizeof buffer);
  os::raw_syscall(SYS_close, file);
  if (os::failed(size)) return p;
  const std::string_view text(buffer, static_cast<std::size_t>(size));
  p.rss_bytes = number_after(text, "VmRSS:") * 1024;
  p.rss_peak_bytes = number_after(text, "VmHWM:") * 1024;
  return p;
}

void add_string(line_text& line, std::string_view value) noexcept {
  line.add("\"");
  for (const char c : value) {
    if (c == '"' || c == '\\') line.add("\\");
    line.add(static_cast<unsigned char>(c) < 0x20 ? std::string_view("?")
                                                  : std::string_view(&c, 1));
  }
  line.add("\"");
}

void add_field(line_text& line, std::string_view name, std::uint64_t value) noexcept {
  line.add(",\"").add(name).add("\":").add_number(value);
}

void add_counts(line_text& line) noexcept {
  const struct acre_statistics s = mallocs::statistics();
  add_field(line, "allocations", s.allocations);
  add_field(line, "frees", s.frees);
  add_field(line, "live_bytes", s.live_bytes);
  add_field(line, "live_bytes_peak", s.live_bytes_peak);
  add_field(line, "committed_bytes", s.committed_bytes);
  add_field(line, "threads_peak", s.threads_peak);
  line.add(",\"waste\":{\"rounding_bytes\":").add_number(s.rounding_bytes);
  add_field(line, "rounding_samples", s.rounding_samples);
  add_field(line, "slab_free_bytes", s.slab_free_bytes);
  add_field(line, "cache_bytes", s.cache_bytes);
  add_field(line, "retained_bytes", s.retained_bytes);
  add_field(line, "metadata_bytes", s.metadata_bytes);
  line.add("},\"large\":{\"allocations\":").add_number(s.large_allocations);
  add_field(line, "live", s.large_live);
  add_field(line, "live_bytes", s.large_live_bytes);
  line.add("}");
}

void add_classes(line_text& line) noexcept {
  heaps::heap_counts counts;
  heaps::collect(counts);
  line.add(",\"classes\":[");
  bool first = true;
  for (unsigned c = 0; c < heaps::class_count; ++c) {
    const heaps::class_counts& of = counts.classes[c];
    if (of.allocations == 0 && of.in_slabs == 0) continue;
    line.add(first ? "{\"size\":" : ",{\"size\":").add_number(heaps::class_bytes(c));
    add_field(line, "allocations", of.allocations);
    add_field(line, "live", of.live());
    add_field(line, "live_bytes", of.live_slots() * heaps::class_bytes(c));
    add_field(line, "cached", of.cached);
    add_field(line, "free", of.slab_slots - of.in_slabs);
    line.add("}");
    first = false;
  }
  line.add("]");
}

/// Held while a line is made, which takes locks of the heap; guards the line.
constinit os::lock line_lock;
constinit bool held_for_fork = false;

/// The file that lines are appended to; negative with an errno when it cannot be opened.
long open_path() noexcept {
  return os::raw_syscall(SYS_openat, AT_FDCWD, os::as_long(path),
                         O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
}

void warn_no_summary(int error) noexcept {
  base::text<640> line;
  line.add("acre: warning: ACRE_OPTIONS: summary_path: cannot write '").add(path).add("': ");
  line.add(::strerrordesc_np(error)).add("; there will be no summary\n");
  os::raw_syscall(SYS_write, STDERR_FILENO, os::as_long(line.view().data()),
                  static_cast<long>(line.size()));
}

/// Says at the start that there will be no summary. Not of a path that `acre run` gave: it is
/// passed on to processes that outlive the tool or give up the right to it.
void check_path() noexcept {
  if (base::begins_with(path, "/proc/")) return;
  struct stat kind{};
  // A pipe's reader would take the end of this try for the end of all.
  const bool exists =
      !os::failed(os::raw_syscall(SYS_newfstatat, AT_FDCWD, os::as_long(path), os::as_long(&kind)));
  if (exists && !S_ISREG(kind.st_mode) && !S_ISDIR(kind.st_mode)) return;
  const long file = open_path();
  if (!os::failed(file)) {
    os::raw_syscall(SYS_close, file);
    return;
  }
  warn_no_summary(static_cast<int>(-file));
}

/// Makes the line and appends it with one write, so that lines of several processes do not mix.
void write_line(std::string_view event) noexcept {
  static constinit line_text line;
  const os::hold guard(line_lock);
  line.clear();
  const process_figures p = read_process();
  char exe[1024];
  const long exe_size = os::raw_syscall(SYS_readlinkat, AT_FDCWD, os::as_long("/proc/self/exe"),
                                        os::as_long(exe), sizeof exe);
  line.add("{\"acre\":1,\"event\":");
  add_string(line, event);
  add_field(line, "pid", static_cast<std::uint64_t>(os::raw_syscall(SYS_getpid)));
  add_field(line, "ppid", static_cast<std::uint64_t>(os::raw_syscall(SYS_getppid)));
  line.add(",\"exe\":");
  add_string(line, os::failed(exe_size)
                       ? std::string_view()
                       : std::string_view(exe, static_cast<std::size_t>(exe_size)));
  add_field(line, "wall_ms", static_cast<std::uint64_t>(os::now_ms() - started_ms));
  add_field(line, "user_ms", p.user_ms);
  add_field(line, "system_ms", p.system_ms);
  add_field(line, "minor_faults", p.minor_faults);
  add_field(line, "major_faults", p.major_faults);
  add_field(line, "rss_bytes", p.rss_bytes);
  add_field(line, "rss_peak_bytes", p.rss_peak_bytes);
  add_counts(line);
  add_classes(line);
  line.add("}\n");
  const long file = open_path();
  if (os::failed(file)) return;
  os::raw_syscall(SYS_write, file, os::as_long(line.view().data()), static_cast<long>(line.size()));
  os::raw_syscall(SYS_close, file);
}

/// The handler of a signal that interrupted the heap may be what calls exit; then nothing can be
/// counted.
void write_last_line() noexcept {
  constexpr long patience_ms = 1000;
  if (heaps::wait_until_collectable(patience_ms)) write_line("exit");
}

void tick() noexcept {
  for (;;) {
    os::background_thread::sleep_ms(interval);
    write_line("tick");
  }
}

/// Keeps the ticking thread out of the heap: the C library does not know of it, so the heap's own
/// handler takes the program for one with a single thread.
void before_fork() noexcept ACRE_NO_THREAD_SAFETY_ANALYSIS {
  held_for_fork = ticker.running();
  if (held_for_fork) line_lock.acquire();
}

void parent_goes_on() noexcept ACRE_NO_THREAD_SAFETY_ANALYSIS {
  if (held_for_fork) line_lock.release();
}

/// The child has no thread of its parent's; its time starts anew.
void child_starts() noexcept {
  started_ms = os::now_ms();
  line_lock.reset();
  ticker.reset();
  if (interval > 0) ticker.start(tick);
}

}  // namespace

void start_summary(const char* to, std::int64_t interval_ms) noexcept {
  path = to;
  interval = interval_ms;
  started_ms = os::now_ms();
  check_path();
  pthread_atfork(before_fork, parent_goes_on, child_starts);
  if (interval > 0) ticker.start(tick);
  // Registered this early, it comes after all that the program registers, and after the destructors
  // of its libraries.
  if (std::atexit(write_last_line) != 0) warn_no_summary(ENOMEM);
}

}  // namespace acre::preload
