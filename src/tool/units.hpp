#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

/// Numbers as people read and write them.
namespace acre::tool {

/// "512 B", "81.3 MiB".
[[nodiscard]] std::string format_bytes(std::uint64_t bytes);

/// "12,345,678".
[[nodiscard]] std::string format_count(std::uint64_t count);

/// "84 ms", "12.31 s", "3 min 20 s", "2 h 5 min".
[[nodiscard]] std::string format_duration(double milliseconds);

/// Reads "500ms", "2s", "1.5s", "1m" or "1h"; a number without a unit means seconds.
[[nodiscard]] std::optional<std::chrono::milliseconds> parse_duration(std::string_view text);

}  // namespace acre::tool
