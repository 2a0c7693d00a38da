#pragma once

#include "region/segment_format.hpp"

#include <cstdint>
#include <string_view>

/// The table of named objects: fixed buckets of chains.
namespace acre::region::segment {

[[nodiscard]] constexpr unsigned bucket_of(std::string_view name) noexcept {
  std::uint64_t hash = 0xcbf29ce484222325U;  // FNV-1a
  for (const char c : name)
    hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3U;
  return static_cast<unsigned>(hash % bucket_count);
}

[[nodiscard]] inline std::string_view name_of(const name_entry& entry) noexcept {
  return {reinterpret_cast<const char*>(&entry + 1), entry.name_bytes};
}

}  // namespace acre::region::segment
