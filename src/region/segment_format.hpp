#pragma once

#include <acre/region/robust_mutex.hpp>

#include "base/bits.hpp"

#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <type_traits>

/// What lies where in a shared segment's file.
///
///     |head|used map|descriptors|granules ...                     |
///      ^    ^        ^           ^
///      |    |        |           4 KiB each: slabs of blocks of one class, or parts of large
///      blocks |    |        64 bytes for each granule |    one bit for each granule lock, journal,
///      free lists, names
///
/// All four have their places for the segment's limit; the file is sparse, and only what the
/// present size needs has space. Nothing but the program's objects is in the granules, so that an
/// overflow there cannot break the segment.
///
/// A part of this is *truth*: a change of it is one store of eight bytes, before which the
/// operation has not happened and after which it has. The rest is *derived* and can be computed
/// from the truth, which is done after a process died within a change. Processes that are killed
/// lose none of the stores they made, so the compiler's order is all that matters; see `commit`.
namespace acre::region::segment {

inline constexpr std::array<char, 8> magic{'a', 'c', 'r', 'e', 'm', 's', 'g', '\n'};
inline constexpr std::uint32_t format = 1;

inline constexpr std::size_t granule_bytes = 4096;
inline constexpr std::uint64_t granules_max = std::uint64_t{1} << 31U;  // 8 TiB
inline constexpr std::size_t alignment_max = granule_bytes;

/// A store that happens at one instant, after those before it and before those after it.
///
/// For a process that is killed: the order in which its own instructions run is what survives, so
/// no fence of the processor is needed. Against loss of power it promises nothing.
inline void commit(std::uint64_t& word, std::uint64_t value) noexcept {
  std::atomic_signal_fence(std::memory_order_seq_cst);
  std::atomic_ref(word).store(value, std::memory_order_relaxed);
  std::atomic_signal_fence(std::memory_order_seq_cst);
}

// --- size classes ------------------------------------------------------------------------------

/// Blocks of one size, in slabs of one or more granules. The table is part of the format and
/// therefore not the heap's, which may change with any release.
struct size_class {
  std::uint32_t size_bytes;
  std::uint32_t reciprocal;  ///< `offset * reciprocal >> 32` is the slot, for offsets below 2^16
  std::uint16_t granules;
  std::uint16_t slots;
};

inline constexpr unsigned class_count = 56;
inline constexpr std::size_t class_bytes_max = 8192;
inline constexpr unsigned slab_slots_max = 256;
inline constexpr unsigned slab_granules_max = 16;

/// Multiples of 16 up to 128, then eight in each doubling: at most 12.5 % are lost to rounding.
[[nodiscard]] constexpr std::uint32_t class_size(unsigned index) noexcept {
  if (index < 8) return 16 * (index + 1);
  const unsigned doubling = (index - 8) / 8;
  return (8 + (index - 8) % 8 + 1) << (4 + doubling);
}

/// Requires: `size_bytes` of 1 to `class_bytes_max`.
[[nodiscard]] constexpr unsigned class_of(std::size_t size_bytes) noexcept {
  const std::size_t last = size_bytes - 1;
  if (last < 128) return static_cast<unsigned>(last / 16);
  const unsigned top = base::log2_floor(last);
  return 8 * (top - 7) + 8 + static_cast<unsigned>((last >> (top - 3)) & 7U);
}

[[nodiscard]] constexpr std::array<size_class, class_count> make_classes() noexcept {
  std::array<size_class, class_count> table{};
  for (unsigned index = 0; index < class_count; ++index) {
    const std::uint32_t size = class_size(index);
    // The shortest slab with at least four blocks that leaves at most a sixteenth unused.
    std::size_t granules = 1;
    while (granules * granule_bytes / size < 4 ||
           (granules * granule_bytes) % size * 16 > granules * granule_bytes) {
      ++granules;
    }
    table[index] = {
        .size_bytes = size,
        .reciprocal = static_cast<std::uint32_t>(((std::uint64_t{1} << 32U) + size - 1) / size),
        .granules = static_cast<std::uint16_t>(granules),
        .slots = static_cast<std::uint16_t>(granules * granule_bytes / size)};
  }
  return table;
}
inline constexpr std::array<size_class, class_count> classes = make_classes();

[[nodiscard]] constexpr bool are_classes_sound() noexcept {
  for (unsigned index = 0; index < class_count; ++index) {
    const size_class& kind = classes[index];
    if (kind.slots > slab_slots_max || kind.granules > slab_granules_max) return false;
    if (class_of(kind.size_bytes) != index) return false;
    if (index > 0 && class_of(classes[index - 1].size_bytes + 1) != index) return false;
  }
  return classes[class_count - 1].size_bytes == class_bytes_max;
}
static_assert(are_classes_sound());

// --- granules ----------------------------------------------------------------------------------

enum class granule_kind : std::uint8_t {
  free = 0,
  slab,   ///< the first of a slab
  large,  ///< the first of a large block
  inner,  ///< a later one of either
};

/// A granule's state as one word: kind, size class, and the length in granules of what starts here
/// or the distance back to where it started.
struct granule_state {
  granule_kind kind = granule_kind::free;
  std::uint8_t size_class = 0;
  std::uint32_t span = 0;

  [[nodiscard]] static constexpr granule_state of(std::uint64_t word) noexcept {
    return {.kind = static_cast<granule_kind>(word & 0xffU),
            .size_class = static_cast<std::uint8_t>(word >> 8U),
            .span = static_cast<std::uint32_t>(word >> 32U)};
  }
  [[nodiscard]] constexpr std::uint64_t word() const noexcept {
    return static_cast<std::uint64_t>(kind) | std::uint64_t{size_class} << 8U |
           std::uint64_t{span} << 32U;
  }
};

/// Indices of granules in lists are one too high, so that zero is none.
using granule_link = std::uint32_t;

struct descriptor {
  std::uint64_t state;                ///< truth: a `granule_state`
  std::array<std::uint64_t, 4> free;  ///< truth, of a slab: a bit for each slot
  granule_link next;                  ///< derived: the class's slabs with free slots
  granule_link previous;
  std::uint32_t free_count;  ///< derived
  std::uint32_t unused;
  std::uint64_t unused_too;
};
static_assert(sizeof(descriptor) == 64);

/// The bits of the slots that a slab of the class has in one of its words.
[[nodiscard]] constexpr std::uint64_t slot_mask(unsigned slots, unsigned word) noexcept {
  if (slots >= 64 * (word + 1)) return ~std::uint64_t{0};
  if (slots <= 64 * word) return 0;
  return (std::uint64_t{1} << (slots % 64)) - 1;
}

// --- the journal -------------------------------------------------------------------------------

enum class intent : std::uint8_t {
  none = 0,
  take,       ///< a block is being allocated: undone unless its link holds the value
  give_back,  ///< a block is being freed: completed, once its link holds the value
};

/// What a process is about to do, written before it does it.
///
/// A block that is published (by a name or an `offset_ptr`) is so by the store of `value` at
/// `link`; whether it happened tells recovery which way to go. Without a link a block being taken
/// is undone and one being given back is completed.
struct journal_record {
  std::uint64_t block;  ///< the block's offset, a multiple of 16, plus the intent; 0: no record
  std::uint64_t link;   ///< the offset of an eight-byte word in the segment, or 0
  std::uint64_t value;  ///< what it holds once the object is published, or removed
};

inline constexpr unsigned journal_depth_max = 16;

struct journal {
  std::uint64_t depth;  ///< records below it stay while constructors and destructors run
  std::array<journal_record, journal_depth_max> records;
};

// --- names -------------------------------------------------------------------------------------

/// Lies at the start of a named object's block; then come the name and the object.
struct name_entry {
  std::uint64_t next;  ///< the next entry's offset, or 0
  std::uint64_t type_hash;
  std::uint64_t object_bytes;
  std::uint32_t object_alignment;
  std::uint32_t object_shift;  ///< from the entry to the object
  std::uint32_t name_bytes;    ///< the name follows the entry
  std::uint32_t unused;
};
static_assert(sizeof(name_entry) % 8 == 0);

inline constexpr unsigned bucket_count = 256;
inline constexpr std::size_t name_bytes_max = 255;

// --- the head ----------------------------------------------------------------------------------

struct class_list {
  granule_link first;  ///< derived: slabs with free slots
  std::uint32_t unused;
  std::uint64_t live;  ///< derived: blocks
};

/// Whether the lock and the derived part have been made ready by whoever used the file alone.
enum class readiness : std::uint64_t { being_made = 0, ready = 0x7964616572 };

/// What a dead process was within, as bits.
struct damage {
  static constexpr std::uint32_t lock = 1;
  static constexpr std::uint32_t section = 2;
  static constexpr std::uint32_t object = 4;
  static constexpr std::uint32_t untold = 8;  ///< repaired, but by a process without a callback
};

struct head {
  std::array<char, 8> magic;
  std::uint32_t format;
  std::uint32_t version;
  std::uint64_t layout_hash;
  std::uint64_t granules_limit;  ///< fixes where everything lies
  std::uint64_t granules;        ///< truth: as many have space in the file
  std::uint64_t ready;           ///< a `readiness`
  std::uint64_t recoveries;      ///< how often a process died inside

  alignas(64) robust_mutex lock;
  std::uint32_t sections;       ///< how many of its holds are sections of the program
  std::uint32_t unrepaired;     ///< `damage` that no program's `on_recovery` has dealt with
  std::uint64_t first_free;     ///< derived: no granule below is free
  std::uint64_t used_granules;  ///< derived

  alignas(64) segment::journal journal;
  alignas(64) std::array<class_list, class_count> lists;
  std::uint64_t live_large_blocks;                  ///< derived
  std::uint64_t live_large_granules;                ///< derived
  std::uint64_t name_count;                         ///< derived
  std::array<std::uint64_t, bucket_count> buckets;  ///< truth: chains of `name_entry`
};
static_assert(std::is_standard_layout_v<head>);

/// Where everything lies, from the limit alone.
struct geometry {
  std::uint64_t granules_limit = 0;
  std::uint64_t used_map_offset = 0;
  std::uint64_t descriptors_offset = 0;
  std::uint64_t data_offset = 0;
  std::uint64_t file_bytes_limit = 0;

  [[nodiscard]] static constexpr geometry of(std::uint64_t granules_limit) noexcept {
    const auto whole = [](std::uint64_t bytes) { return base::align_up(bytes, granule_bytes); };
    geometry places{.granules_limit = granules_limit};
    places.used_map_offset = whole(sizeof(head));
    places.descriptors_offset =
        places.used_map_offset + whole(base::divide_up(granules_limit, 64) * 8);
    places.data_offset = places.descriptors_offset + whole(granules_limit * sizeof(descriptor));
    places.file_bytes_limit = places.data_offset + granules_limit * granule_bytes;
    return places;
  }
  [[nodiscard]] constexpr std::uint64_t file_bytes(std::uint64_t granules) const noexcept {
    return data_offset + granules * granule_bytes;
  }
};

}  // namespace acre::region::segment
