#include "base/option_parser.hpp"
#include "heap/config.hpp"
#include "heap/misuse.hpp"
#include "os/syscall.hpp"
#include "preload/summary.hpp"

#include <algorithm>
#include <cstring>
#include <string_view>

#include <sys/auxv.h>
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

/// What stands behind "name=", or null if the entry is another variable's.
char* value_in(char* entry, std::string_view name) noexcept {
  for (const char c : name)
    if (*entry++ != c) return nullptr;
  return *entry == '=' ? entry + 1 : nullptr;
}

/// The variable's value, or null. In place of libc's getenv, whose page most small programs do
/// without. No other thread runs yet. Not `environ`: a program may have a variable of that name.
char* variable(std::string_view name) noexcept {
  if (__environ == nullptr) return nullptr;
  for (char** entry = __environ; *entry != nullptr; ++entry)
    if (char* const value = value_in(*entry, name); value != nullptr) return value;
  return nullptr;
}

/// `acre run --no-follow` asks for the first process only: what it starts shall not be preloaded.
/// The variable's value is cut in place; it belongs to the process.
void leave_the_environment() noexcept {
  if (variable("ACRE_PRELOAD_ONCE") == nullptr) return;
  char* const list = variable("LD_PRELOAD");
  if (list == nullptr) return;
  // The tool puts the library first; entries are separated by colons or spaces.
  constexpr std::string_view separators = ": ";
  const std::string_view entries = list;
  const std::size_t found = entries.find("libacre-malloc.so");
  if (found == std::string_view::npos) return;
  const std::size_t start = entries.find_last_of(separators, found) + 1;
  const std::size_t end =
      std::min(entries.find_first_of(separators, found), entries.size() - 1) + 1;
  std::memmove(list + start, list + end, entries.size() - end + 1);
}

/// What a program with the rights of others was given by its caller counts for nothing.
bool has_others_rights() noexcept {
  return ::getauxval(AT_SECURE) != 0;
}

[[gnu::constructor(102)]] void start() noexcept {
  leave_the_environment();
  const char* const list = variable("ACRE_OPTIONS");
  if (list == nullptr || has_others_rights()) return;
  static constinit base::option_values values;
  (void)base::parse_options(list, values, warn, nullptr);
  apply(values);
  const char* const path = values.text(base::option_id::summary_path);
  if (*path != '\0') start_summary(path, values.number(base::option_id::summary_interval_ms));
}

/// What was freed wrongly may still lie in a cache, where only a search finds it.
[[gnu::destructor(102)]] void look_back() noexcept {
  const heaps::bad_free found = heaps::find_cached_misuse();
  if (found.address != nullptr) heaps::report_misuse(found.kind, found.address);
}

}  // namespace
}  // namespace acre::preload
