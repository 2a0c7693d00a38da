#pragma once

#include "base/sanitizer.hpp"

namespace acre_test {

/// Whether a sanitizer slows this program down and holds back memory; tests then take smaller sizes
/// and do not look at RSS.
inline constexpr bool is_sanitized = ACRE_ASAN != 0 || ACRE_TSAN != 0;
inline constexpr bool is_tsan = ACRE_TSAN != 0;

}  // namespace acre_test
