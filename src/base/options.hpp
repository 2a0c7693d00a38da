#pragma once

#include <array>
#include <cstdint>
#include <string_view>

/// The one table of run-time options.
///
/// The parser in the library, `acre options`, `acre run --option` and the manual page all read it.
/// Values are 64-bit integers (a text option keeps its text beside); a table row never allocates.
namespace acre::base {

enum class option_kind : std::uint8_t {
  boolean,  ///< 0, 1, false, true, no, yes, off, on
  bytes,  ///< a number with an optional K, M, G or T (powers of 1024): 0 for none, or from minimum
  milliseconds,  ///< a number; -1 where the minimum allows it
  choice,        ///< one of `choices`, separated by '|'; the value is the index
  text,          ///< any text without a comma
};

enum class option_id : std::uint8_t {
  purge_delay_ms,
  memory_limit,
  background,
  thp,
  on_misuse,
  summary_path,
  summary_interval_ms,
  count,
};

struct option_info {
  option_id id;
  std::string_view name;
  option_kind kind;
  std::int64_t fallback;  ///< the default
  std::int64_t minimum;
  std::int64_t maximum;
  std::string_view choices;  ///< of a choice, separated by '|'
  std::string_view help;     ///< one or two sentences
};

inline constexpr std::int64_t option_no_maximum = INT64_MAX;

inline constexpr std::array<option_info, static_cast<std::size_t>(option_id::count)> option_table{{
    {option_id::purge_delay_ms, "purge_delay_ms", option_kind::milliseconds, 250, -1, 3'600'000, "",
     "How long free pages stay unneeded before they go back to the kernel; -1 keeps them."},
    {option_id::memory_limit, "memory_limit", option_kind::bytes, 0, 1 << 20, option_no_maximum, "",
     "Most bytes of pages the heap may hold, 1M at least; beyond it allocation fails with ENOMEM; "
     "0 is no limit."},
    {option_id::background, "background", option_kind::boolean, 1, 0, 1, "",
     "Whether a thread may run, while there is something to purge, to give memory back when the "
     "program is idle."},
    {option_id::thp, "thp", option_kind::choice, 0, 0, 2, "never|large|always",
     "Which memory is advised for transparent huge pages: none, blocks of 8 to 64 MiB, or all "
     "blocks from 8 MiB."},
    {option_id::on_misuse, "on_misuse", option_kind::choice, 0, 0, 1, "abort|report",
     "After a bad free was reported: end the program, or ignore that free and go on."},
    {option_id::summary_path, "summary_path", option_kind::text, 0, 0, 0, "",
     "File to which a line of JSON with the heap's figures is appended at exit."},
    {option_id::summary_interval_ms, "summary_interval_ms", option_kind::milliseconds, 0, 0,
     3'600'000, "", "Append such a line every so often while the program runs; 0 only at exit."},
}};

}  // namespace acre::base
