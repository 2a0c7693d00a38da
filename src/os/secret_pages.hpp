#pragma once

#include <acre/os/secret_memory.hpp>
#include <acre/result.hpp>

#include <cstddef>
#include <cstdint>
#include <span>

namespace acre::os {

/// Pages of one level between two guard pages; values of this type own nothing.
struct secret_pages {
  std::byte* data = nullptr;
  std::size_t size = 0;  ///< without the guard pages
  secret_level level = secret_level::guarded;
};

/// Maps pages for `size_bytes`, at the highest level that the request allows and the kernel grants.
[[nodiscard]] result<secret_pages> map_secret_pages(std::size_t size_bytes,
                                                    secret_request request) noexcept;

[[nodiscard]] result<void> unmap_secret_pages(const secret_pages& pages) noexcept;

/// Makes zeros of the bytes in a way that no optimisation removes. Not inlined, so that the object
/// code can be checked for calls of it.
[[gnu::noinline]] void wipe(std::span<std::byte> bytes) noexcept;

/// Fences are bytes that depend on their address and on the process's key, so that copying what
/// lies around a secret to another place shows, too.
void build_fence(std::span<std::byte> bytes, std::uint64_t key) noexcept;
[[nodiscard]] bool is_fence_whole(std::span<const std::byte> bytes, std::uint64_t key) noexcept;

}  // namespace acre::os
