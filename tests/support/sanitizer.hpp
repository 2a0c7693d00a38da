#pragma once

/// Whether a sanitizer slows this program down and holds back memory; tests then take smaller sizes
/// and do not look at RSS. GCC and Clang tell it in different ways.
namespace acre_test {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
inline constexpr bool is_sanitized = true;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
inline constexpr bool is_sanitized = true;
#else
inline constexpr bool is_sanitized = false;
#endif
#else
inline constexpr bool is_sanitized = false;
#endif

}  // namespace acre_test
