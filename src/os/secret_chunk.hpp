#pragma once

#include "os/secret_pages.hpp"

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

namespace acre::os::detail {

inline constexpr std::size_t chunk_bytes = 64 * 1024;
inline constexpr std::size_t fence_bytes = 16;

/// Slot sizes; a secret takes the smallest that holds it.
inline constexpr std::array<std::size_t, 12> slot_sizes{16,  32,  48,  64,  96,  128,
                                                        192, 256, 384, 512, 768, 1024};

[[nodiscard]] constexpr std::size_t slot_class(std::size_t size_bytes) noexcept {
  std::size_t index = 0;
  while (slot_sizes[index] < size_bytes)
    ++index;
  return index;
}

struct secret_pool_body;

/// Slots of one size on one run of pages, and which of them are taken. This is kept apart from the
/// pages, so that an overrun of a secret does not reach it.
///
/// Invariant:  `taken` is the number of bits set in `slots`.
struct secret_chunk {
  secret_pool_body* pool = nullptr;
  secret_chunk* next = nullptr;  ///< of the same class; both null at the ends
  secret_chunk* previous = nullptr;
  secret_pages pages;
  std::size_t class_index = 0;
  std::size_t count = 0;  ///< slots there are
  std::size_t taken = 0;
  std::size_t first_word = 0;  ///< no word of `slots` before it has a free slot
  std::array<std::uint64_t, chunk_bytes / (16 + fence_bytes) / 64> slots{};

  [[nodiscard]] std::size_t slot_bytes() const noexcept { return slot_sizes[class_index]; }
  [[nodiscard]] std::size_t stride() const noexcept { return slot_bytes() + fence_bytes; }
  [[nodiscard]] bool is_full() const noexcept { return taken == count; }
  [[nodiscard]] std::byte* slot(std::size_t index) const noexcept {
    return pages.data + index * stride();
  }
  [[nodiscard]] std::size_t index_of(const std::byte* data) const noexcept {
    return static_cast<std::size_t>(data - pages.data) / stride();
  }
  [[nodiscard]] bool is_taken(std::size_t index) const noexcept {
    return (slots[index / 64] >> index % 64 & 1U) != 0;
  }
  /// The fence behind the slot, without what the secret leaves of the slot.
  [[nodiscard]] std::span<const std::byte> fence(std::size_t index) const noexcept {
    return {slot(index) + slot_bytes(), fence_bytes};
  }

  /// Takes a free slot. Requires: not full.
  [[nodiscard]] std::size_t take() noexcept {
    while (slots[first_word] == ~std::uint64_t{0})
      ++first_word;
    const auto bit = static_cast<std::size_t>(std::countr_one(slots[first_word]));
    slots[first_word] |= std::uint64_t{1} << bit;
    ++taken;
    return first_word * 64 + bit;
  }

  void give_back(std::size_t index) noexcept {
    slots[index / 64] &= ~(std::uint64_t{1} << index % 64);
    if (index / 64 < first_word) first_word = index / 64;
    --taken;
  }
};

/// Chunks linked with each other.
///
/// Invariant:  chunks with free slots come before full ones.
struct chunk_list {
  secret_chunk* first = nullptr;
  secret_chunk* last = nullptr;

  void push_front(secret_chunk* chunk) noexcept {
    chunk->previous = nullptr;
    chunk->next = first;
    (first != nullptr ? first->previous : last) = chunk;
    first = chunk;
  }
  void push_back(secret_chunk* chunk) noexcept {
    chunk->next = nullptr;
    chunk->previous = last;
    (last != nullptr ? last->next : first) = chunk;
    last = chunk;
  }
  void remove(secret_chunk* chunk) noexcept {
    (chunk->previous != nullptr ? chunk->previous->next : first) = chunk->next;
    (chunk->next != nullptr ? chunk->next->previous : last) = chunk->previous;
  }
};

}  // namespace acre::os::detail
