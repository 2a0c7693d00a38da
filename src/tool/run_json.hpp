#pragma once

#include "tool/run_record.hpp"

#include <string>

namespace acre::tool {

/// A run as one JSON object with a newline behind it; docs/man/acre.1 describes its members.
[[nodiscard]] std::string format_run_json(const run_record& record);

}  // namespace acre::tool
