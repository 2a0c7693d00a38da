#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace acre::tool {

/// The text of a small file of /proc or /sys; empty when it cannot be read, which is how a kernel
/// without the feature answers.
[[nodiscard]] std::string read_kernel_file(const std::string& path);

/// The same without the newline at its end.
[[nodiscard]] std::string read_kernel_line(const std::string& path);

/// A number at the start of a text; nothing when there is none.
[[nodiscard]] std::optional<std::uint64_t> parse_number(std::string_view text);

/// The number behind `name` in a text of lines "Name:   123 kB", as in /proc/meminfo.
[[nodiscard]] std::optional<std::uint64_t> find_number(std::string_view text,
                                                       std::string_view name);

/// The word in brackets, as in "always [madvise] never"; empty when there is none.
[[nodiscard]] std::string find_chosen(std::string_view text);

}  // namespace acre::tool
