#pragma once

#include <acre/result.hpp>

#include <cerrno>
#include <cstdint>
#include <expected>

namespace acre::os {

/// A failure that our own check found, or that explains the kernel's.
[[nodiscard]] inline std::unexpected<failure> refusal(int number, const char* call,
                                                      const char* why = "",
                                                      std::uint64_t value = 0) noexcept {
  return std::unexpected(failure{.number = number, .call = call, .why = why, .value = value});
}

/// The same failure, with what is behind it.
[[nodiscard]] inline std::unexpected<failure> because(failure failed, const char* why,
                                                      std::uint64_t value = 0) noexcept {
  failed.why = why;
  failed.value = value;
  return std::unexpected(failed);
}

}  // namespace acre::os
