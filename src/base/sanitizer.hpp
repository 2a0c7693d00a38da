#pragma once

/// Which sanitizer the file is compiled with, as macros that are 0 or 1: GCC and Clang tell it in
/// different ways.
#if defined(__has_feature)
#define ACRE_HAS_FEATURE(feature) __has_feature(feature)
#else
#define ACRE_HAS_FEATURE(feature) 0
#endif

#if defined(__SANITIZE_ADDRESS__) || ACRE_HAS_FEATURE(address_sanitizer)
#define ACRE_ASAN 1
#else
#define ACRE_ASAN 0
#endif

#if defined(__SANITIZE_THREAD__) || ACRE_HAS_FEATURE(thread_sanitizer)
#define ACRE_TSAN 1
#else
#define ACRE_TSAN 0
#endif
