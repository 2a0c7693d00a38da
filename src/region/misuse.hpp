#pragma once

#include <string_view>

namespace acre::region {

/// Ends the program with "acre: region 'NAME': WHAT"; for broken contracts, in every build.
[[noreturn]] void misuse(std::string_view name, std::string_view what) noexcept;

}  // namespace acre::region
