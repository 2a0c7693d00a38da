#pragma once

#include <cstdint>

namespace acre::preload {

/// In the file that reads the options when the program starts; see malloc_names.cpp.
extern const bool reads_options;

/// From now on a line of JSON with the heap's figures is appended to `path` every `interval_ms` if
/// that is not 0, and one when the program ends. `path` must live for ever.
///
/// Fails: a file that cannot be written is left alone; the program must not notice.
void start_summary(const char* path, std::int64_t interval_ms) noexcept;

}  // namespace acre::preload
