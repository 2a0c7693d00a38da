#include "base/option_parser.hpp"
#include "heap/config.hpp"
#include "heap/misuse.hpp"
#include "os/syscall.hpp"
#include "preload/summary.hpp"

#include <cstdlib>
#include <cstring>

#include <unistd.h>

// What happens when the library is loaded: the options are read, and the summary is set up. Blocks
// may be given out before; then the defaults hold.

namespace acre::preload {

constinit const bool reads_options = true;

namespace {

/// A typo must never keep a program from starting: it is told and the default stays.
void warn(const base::option_problem& problem, void*) noexcept {
  base::text<640> line;
  line.add("acre: warning: ACRE_OPTIONS: ").add(base::describe_problem(problem).view()).add("\n");
  os::raw_syscall(SYS_write, STDERR_FILENO, os::as_long(line.view().data()),
                  static_cast<long>(line.size()));
}

void apply(const base::option_values& values) noexcept {
  using base::option_id;
  heaps::settings& c = heaps::config;
  constexpr auto order = std::memory_order_relaxed;
  c.purge_delay_ms.store(values.number(option_id::purge_delay_ms), order);
  c.memory_limit_bytes.store(static_cast<std::size_t>(values.number(option_id::memory_limit)),
                             order);
  c.background.store(values.number(option_id::background) != 0, order);
  c.abort_on_misuse.store(values.number(option_id::on_misuse) == 0, order);
  c.huge.store(static_cast<heaps::huge_policy>(values.number(option_id::thp)), order);
}

/// `acre run --no-follow` asks for the first process only: what it starts shall not be preloaded.
/// The variable's value is cut in place; it belongs to the process.
void leave_the_environment() noexcept {
  if (std::getenv("ACRE_PRELOAD_ONCE") == nullptr) return;
  char* const list = std::getenv("LD_PRELOAD");
  if (list == nullptr) return;
  // The tool puts the library first; entries are separated by colons or spaces.
  char* const found = std::strstr(list, "libacre-malloc.so");
  if (found == nullptr) return;
  char* start = found;
  while (start > list && start[-1] != ':' && start[-1] != ' ')
    --start;
  const char* end = found + std::strcspn(found, ": ");
  if (*end != '\0') ++end;
  std::memmove(start, end, std::strlen(end) + 1);
}

constinit bool has_summary = false;

[[gnu::constructor(102)]] void start() noexcept {
  static constinit base::option_values values;
  if (const char* const list = ::secure_getenv("ACRE_OPTIONS"); list != nullptr) {
    (void)base::parse_options(list, values, warn, nullptr);
    apply(values);
  }
  leave_the_environment();
  const char* const path = values.text(base::option_id::summary_path);
  if (*path == '\0') return;
  has_summary = true;
  start_summary(path, values.number(base::option_id::summary_interval_ms));
}

/// What was freed wrongly may still lie in a cache, where only a search finds it.
[[gnu::destructor(102)]] void look_back() noexcept {
  const heaps::bad_free found = heaps::find_cached_misuse();
  if (found.address != nullptr) heaps::report_misuse(found.kind, found.address);
}

/// After the program's own destructors; those of its libraries may come later.
[[gnu::destructor(101)]] void finish() noexcept {
  if (has_summary) end_summary();
}

}  // namespace
}  // namespace acre::preload
