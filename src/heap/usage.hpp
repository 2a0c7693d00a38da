#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace acre::heaps {

/// Bytes of blocks that are out of the slabs, and of large blocks; and the most there ever were.
/// Relaxed counters: written in steps under the heaps' locks, read for statistics only.
struct usage {
  std::atomic<std::int64_t> bytes{0};
  std::atomic<std::int64_t> peak_bytes{0};

  void add(std::int64_t delta) noexcept {
    const std::int64_t now = bytes.fetch_add(delta, std::memory_order_relaxed) + delta;
    std::int64_t peak = peak_bytes.load(std::memory_order_relaxed);
    while (now > peak && !peak_bytes.compare_exchange_weak(peak, now, std::memory_order_relaxed)) {
    }
  }
};

inline constinit usage used;

}  // namespace acre::heaps
