#pragma once

#include <string_view>

namespace acre::tool {

/// Escape sequences for text on a terminal; all empty where colour is not wanted.
struct ink {
  std::string_view heading;
  std::string_view alarm;
  std::string_view first;   ///< one of two things in a picture
  std::string_view second;  ///< the other
  std::string_view faint;   ///< lines behind them
  std::string_view end;
};

/// The ink for a file descriptor: colour only on a terminal that is not "dumb", and not when
/// NO_COLOR is set to something (no-color.org).
[[nodiscard]] ink ink_for(int file) noexcept;

}  // namespace acre::tool
