#pragma once

#include <acre/os/program_break.hpp>
#include <acre/os/secret_memory.hpp>
#include <acre/os/shared_memory.hpp>
#include <acre/region/buffer_source.hpp>

#include <cstddef>
#include <mutex>
#include <span>
#include <type_traits>
#include <utility>

#include <string.h>

namespace acre::region {

/// A source of one piece of special memory, of which it is the owner and gives out parts.
///
///     auto segment = os::shared_memory::create("/orders", {.size_bytes = 1 << 20});
///     shared_memory_source from(std::move(*segment));
///     pool orders({.from = &from, .block_bytes = 64, .chunk_bytes = 4096});
///
/// Ownership:      owns the memory; it ends with the source.
/// Thread-safety:  any thread.
/// Fails:          ENOMEM when no free part is long enough; such memory does not grow.
template <class Segment>
class segment_source : public source {
 public:
  explicit segment_source(Segment segment) noexcept
      : segment_(std::move(segment)), blocks_(all_of(segment_)) {}

  [[nodiscard]] std::size_t granularity() const noexcept override { return blocks_.granularity(); }
  [[nodiscard]] const Segment& segment() const noexcept { return segment_; }

  [[nodiscard]] source_report report() const noexcept override {
    if constexpr (std::is_same_v<Segment, os::secret_memory>) {
      const bool is_full = segment_.level() == os::secret_level::hidden;
      return {.kind = "secret memory", .fell_back = !is_full};
    } else if constexpr (std::is_same_v<Segment, os::program_break>) {
      return {.kind = "program break"};
    } else {
      return {.kind = "shared memory"};
    }
  }

 private:
  /// What the source may give out; of a claim at the break that is what `extend` hands out.
  [[nodiscard]] static std::span<std::byte> all_of(Segment& segment) noexcept {
    if constexpr (std::is_same_v<Segment, os::program_break>) {
      const auto rest = segment.extend(segment.size_bytes() - segment.used_bytes(), 1);
      return rest ? *rest : std::span<std::byte>{};
    } else {
      return segment.bytes();
    }
  }

  [[nodiscard]] result<block> do_take(std::size_t size_bytes,
                                      std::size_t alignment) noexcept override {
    const std::lock_guard guard(lock_);
    return blocks_.take(size_bytes, alignment);
  }

  void do_give_back(block taken) noexcept override {
    // The compiler may not leave this out, as it may a memset before memory is given away.
    if constexpr (std::is_same_v<Segment, os::secret_memory>) {
      explicit_bzero(taken.data, taken.size_bytes);
    }
    const std::lock_guard guard(lock_);
    blocks_.give_back(taken);
  }

  Segment segment_;
  std::mutex lock_;
  buffer_source blocks_;
};

/// Memory that other processes see: a named segment (`os::shared_memory::create`) or one that is
/// handed over by descriptor (`unnamed`, a memfd). The regions' own pointers are of this process,
/// so the others read objects at known offsets; to allocate in several processes is what
/// `shared_segment` is for.
using shared_memory_source = segment_source<os::shared_memory>;

/// Memory kept out of swap, core dumps, children and, where the kernel can, the kernel itself.
/// Blocks are wiped when they come back. `report().fell_back` tells that the memory is less than
/// hidden.
using secret_source = segment_source<os::secret_memory>;

/// Memory at the program break, all that a claim has.
using break_source = segment_source<os::program_break>;

}  // namespace acre::region
