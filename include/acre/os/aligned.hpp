#pragma once

#include <acre/export.h>
#include <acre/result.hpp>

#include <bit>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <utility>

/// Alignment: rounding that says when it overflows, and aligned memory with an owner.
///
/// Units: bytes. An alignment is a power of two.
namespace acre::os {

/// Whether `alignment` can be one: a power of two.
[[nodiscard]] constexpr bool is_alignment(std::size_t alignment) noexcept {
  return std::has_single_bit(alignment);
}

/// The greatest multiple of `alignment` that is not above `value`.
/// Requires: `is_alignment(alignment)`.
[[nodiscard]] constexpr std::size_t round_down(std::size_t value, std::size_t alignment) noexcept {
  return value & ~(alignment - 1);
}

/// The least multiple of `alignment` that is not below `value`; nothing when it does not fit.
/// Requires: `is_alignment(alignment)`.
[[nodiscard]] constexpr std::optional<std::size_t> round_up(std::size_t value,
                                                            std::size_t alignment) noexcept {
  if (value > std::numeric_limits<std::size_t>::max() - (alignment - 1)) return std::nullopt;
  return round_down(value + alignment - 1, alignment);
}

/// Requires: `is_alignment(alignment)`.
[[nodiscard]] constexpr bool is_aligned(std::size_t value, std::size_t alignment) noexcept {
  return (value & (alignment - 1)) == 0;
}

/// Requires: `is_alignment(alignment)`.
[[nodiscard]] inline bool is_aligned(const void* address, std::size_t alignment) noexcept {
  return is_aligned(reinterpret_cast<std::uintptr_t>(address), alignment);
}

/// The largest power of two that divides the address; 0 for null.
[[nodiscard]] inline std::size_t alignment_of(const void* address) noexcept {
  const auto value = reinterpret_cast<std::uintptr_t>(address);
  return value & (~value + 1);
}

/// The part of `bytes` that begins at a multiple of `alignment` and is a whole number of
/// `alignment` long; empty when there is none.
/// Requires: `is_alignment(alignment)`.
[[nodiscard]] inline std::span<std::byte> aligned_part(std::span<std::byte> bytes,
                                                       std::size_t alignment) noexcept {
  const auto first = reinterpret_cast<std::uintptr_t>(bytes.data());
  const std::optional<std::size_t> start = round_up(first, alignment);
  if (!start || *start - first >= bytes.size()) return {};
  const std::size_t skipped = *start - first;
  return bytes.subspan(skipped, round_down(bytes.size() - skipped, alignment));
}

/// A block of the C++ heap at an alignment of the caller's choice.
///
/// Ownership:      sole owner; a moved-from block is empty.
/// Thread-safety:  distinct blocks are independent.
/// Invariant:      `data() == nullptr` exactly when `size() == 0`.
class ACRE_API aligned_block {
 public:
  aligned_block() noexcept = default;

  /// Contents are not initialised.
  /// Fails:  EINVAL when `alignment` is no power of two or `size_bytes` is 0, ENOMEM.
  [[nodiscard]] static result<aligned_block> allocate(std::size_t size_bytes,
                                                      std::size_t alignment) noexcept;

  aligned_block(aligned_block&& other) noexcept
      : data_(std::exchange(other.data_, nullptr)),
        size_bytes_(std::exchange(other.size_bytes_, 0)),
        alignment_(other.alignment_) {}
  aligned_block& operator=(aligned_block&& other) noexcept {
    aligned_block taken(std::move(other));
    std::swap(data_, taken.data_);
    std::swap(size_bytes_, taken.size_bytes_);
    std::swap(alignment_, taken.alignment_);
    return *this;
  }
  ~aligned_block();

  [[nodiscard]] std::byte* data() const noexcept { return data_; }
  [[nodiscard]] std::size_t size() const noexcept { return size_bytes_; }
  [[nodiscard]] std::span<std::byte> bytes() const noexcept { return {data_, size_bytes_}; }

 private:
  std::byte* data_ = nullptr;
  std::size_t size_bytes_ = 0;
  std::size_t alignment_ = 1;
};

}  // namespace acre::os
