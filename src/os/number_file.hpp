#pragma once

#include <acre/result.hpp>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

/// Files of /proc and /sys, which are read whole and without allocation.
namespace acre::os {

/// Reads what fits into `buffer`. The failure names "openat" or "read".
[[nodiscard]] result<std::string_view> read_into_buffer(const char* path,
                                                        std::span<char> buffer) noexcept;

/// A file that holds one decimal number. Fails: EINVAL when it holds something else.
[[nodiscard]] result<std::uint64_t> read_number(const char* path) noexcept;

/// The number after `key` in a text of lines "key: number", such as /proc/self/status; `base` is
/// that of the number. Fails: ENOENT when there is no such line.
[[nodiscard]] result<std::uint64_t> number_after(std::string_view text, std::string_view key,
                                                 int base = 10) noexcept;

}  // namespace acre::os
