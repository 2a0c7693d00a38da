#pragma once

#include <cstddef>
#include <cstdint>

namespace acre::heaps {

enum class owner_kind : std::uint8_t { not_ours, small_live, small_free, large, unused };

struct owner_facts {
  owner_kind kind = owner_kind::not_ours;
  void* block = nullptr;  ///< start of the block or free slot that holds the address
  std::size_t block_bytes = 0;
};

/// What holds `address`; safe for any address. A block waiting in a cache counts as live.
/// Takes no lock: for an address whose block is being freed or allocated meanwhile, the answer is
/// one of the two.
[[nodiscard]] owner_facts owner_of(const void* address) noexcept;

}  // namespace acre::heaps
