#pragma once

#include <acre/os/mapping.hpp>
#include <acre/result.hpp>

#include <cstddef>
#include <span>

/// What the files that implement `mapping` share.
namespace acre::os {

/// PROT_… of an access.
[[nodiscard]] int protection_bits(page_access access) noexcept;

/// The size of the pages that a range of such a mapping consists of.
[[nodiscard]] std::size_t granule_of(page_kind kind) noexcept;

/// The bytes of a range, or a failure of `call` that says what is wrong with it.
[[nodiscard]] result<std::span<std::byte>> part_of(const mapping& whole, byte_range where,
                                                   const char* call) noexcept;

}  // namespace acre::os
