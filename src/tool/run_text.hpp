#pragma once

#include "tool/ink.hpp"
#include "tool/run_record.hpp"

#include <chrono>
#include <string>

/// What `acre run` says to people, in lines of at most 80 columns.
namespace acre::tool {

/// "exit code 3" or "killed by SIGSEGV (Segmentation fault)".
[[nodiscard]] std::string describe_end(const child_end& end);

/// The summary after the command ended.
[[nodiscard]] std::string format_summary(const run_record& record, const ink& colours);

/// One line while it runs, over the processes that are alive.
///
/// Requires:  there is one.
[[nodiscard]] std::string format_status(const run_record& record,
                                        std::chrono::duration<double, std::milli> since_start,
                                        std::uint64_t allocations_before);

}  // namespace acre::tool
