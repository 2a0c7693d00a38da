#include <acre/os/process_status.hpp>

#include "os/proc_text.hpp"

#include <array>

namespace acre::os {
namespace {

using namespace proc_text;

using amount = std::optional<std::uint64_t> process_status::*;

struct amount_name {
  std::string_view name;
  amount member;
};

constexpr std::array amounts{
    amount_name{"VmPeak", &process_status::vm_peak},
    amount_name{"VmSize", &process_status::vm_size},
    amount_name{"VmLck", &process_status::locked},
    amount_name{"VmPin", &process_status::pinned},
    amount_name{"VmHWM", &process_status::rss_peak},
    amount_name{"VmRSS", &process_status::rss},
    amount_name{"RssAnon", &process_status::rss_anon},
    amount_name{"RssFile", &process_status::rss_file},
    amount_name{"RssShmem", &process_status::rss_shmem},
    amount_name{"VmData", &process_status::data},
    amount_name{"VmStk", &process_status::stack},
    amount_name{"VmExe", &process_status::text},
    amount_name{"VmLib", &process_status::libraries},
    amount_name{"VmPTE", &process_status::page_tables},
    amount_name{"VmSwap", &process_status::swap},
    amount_name{"HugetlbPages", &process_status::hugetlb},
};

/// The kernel escapes newlines and backslashes of a program's name with letters here.
std::string unescaped_name(std::string_view text) {
  std::string name;
  for (std::size_t at = 0; at < text.size(); ++at) {
    const bool is_escape = text[at] == '\\' && at + 1 < text.size();
    if (is_escape && (text[at + 1] == 'n' || text[at + 1] == '\\')) {
      name += text[++at] == 'n' ? '\n' : '\\';
    } else {
      name += text[at];
    }
  }
  return name;
}

void parse_users(std::string_view text, process_status& into) {
  into.user = number<uid_t>(take_word(text)).value_or(0);
  into.effective_user = number<uid_t>(take_word(text)).value_or(into.user);
}

void parse_namespaces(std::string_view text, process_status& into) {
  for (auto word = take_word(text); !word.empty(); word = take_word(text)) {
    if (const auto pid = number<pid_t>(word)) into.ns_pids.push_back(*pid);
  }
}

void parse_line(std::string_view name, std::string_view text, process_status& into) {
  for (const auto& [known, member] : amounts) {
    if (name != known) continue;
    into.*member = kilobytes(text);
    return;
  }
  if (name == "Name") {
    if (text.starts_with('\t')) text.remove_prefix(1);
    into.name = unescaped_name(text);
    return;
  }
  if (name == "Uid") return parse_users(text, into);
  if (name == "NSpid") return parse_namespaces(text, into);
  const auto word = take_word(text);
  if (name == "State" && !word.empty()) into.state = word.front();
  if (name == "Tgid") into.pid = number<pid_t>(word).value_or(0);
  if (name == "PPid") into.parent = number<pid_t>(word).value_or(0);
  if (name == "TracerPid") into.tracer = number<pid_t>(word).value_or(0);
  if (name == "Threads") into.threads = number<std::uint64_t>(word).value_or(0);
  if (name == "Kthread") into.kernel_thread = word == "1";
}

/// A limit's value: a number or "unlimited".
std::optional<std::optional<std::uint64_t>> limit_value(std::string_view word) noexcept {
  if (word == "unlimited") return std::optional<std::uint64_t>();
  if (const auto value = number<std::uint64_t>(word)) return value;
  return {};
}

/// The name is the words before the first value; the columns are not fixed, as names grow.
std::optional<process_limit> parse_limit(std::string_view line) {
  process_limit limit;
  for (auto word = take_word(line); !word.empty(); word = take_word(line)) {
    const auto soft = limit_value(word);
    if (!soft) {
      limit.name += limit.name.empty() ? "" : " ";
      limit.name += word;
      continue;
    }
    const auto hard = limit_value(take_word(line));
    if (!hard || limit.name.empty()) return {};
    limit.soft = *soft;
    limit.hard = *hard;
    limit.unit = take_word(line);
    return limit;
  }
  return {};
}

}  // namespace

process_status parse_status(std::string_view text) {
  process_status status;
  while (!text.empty()) {
    auto line = take_line(text);
    if (const auto name = take_until(line, ':')) parse_line(*name, line, status);
  }
  return status;
}

process_limits parse_limits(std::string_view text) {
  process_limits result;
  while (!text.empty()) {
    const auto line = take_line(text);
    if (line.starts_with("Limit ")) continue;  // the heads of the columns
    if (auto limit = parse_limit(line)) {
      result.limits.push_back(*std::move(limit));
    } else {
      ++result.unreadable_lines;
    }
  }
  return result;
}

}  // namespace acre::os
