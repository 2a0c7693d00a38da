#pragma once

#include <acre/os/page_map.hpp>

#include "tool/segment.hpp"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <utility>
#include <vector>

/// Acre's heap in another process, read from its tables.
///
/// The process goes on meanwhile, and may be damaged: nothing that is read is trusted. A run that
/// does not hold together is counted as unreadable and passed over by one page.
namespace acre::tool {

/// Copies memory of the process from an address on; false unless all of it could be read.
using memory_reader = std::function<bool(std::uint64_t address, std::span<std::byte> into)>;

enum class heap_run_kind : std::uint8_t { slab, large, retained, released, held };

/// Pages in a row that serve one purpose.
struct heap_run {
  std::uint64_t start = 0;
  std::uint64_t size_bytes = 0;
  heap_run_kind kind = heap_run_kind::slab;
  std::uint32_t block_bytes = 0;  ///< of a slab
  std::uint32_t blocks = 0;       ///< of a slab
  std::uint32_t free_blocks = 0;  ///< of a slab
};

struct heap_tables {
  std::uint64_t start = 0;  ///< of the heap's pages
  std::uint64_t end = 0;
  std::uint64_t page_bytes = 0;
  std::vector<std::pair<std::uint64_t, std::uint64_t>> tables;  ///< where the tables begin and end
  std::vector<heap_run> runs;                                   ///< by address
  std::uint64_t unreadable_pages = 0;
};

/// Looks for the heap's descriptor in these ranges of memory.
/// Returns:  its address.
[[nodiscard]] std::optional<std::uint64_t> find_heap_descriptor(
    const memory_reader& read, std::span<const std::pair<std::uint64_t, std::uint64_t>> ranges);

/// Reads the tables that the descriptor at this address leads to.
/// Returns:  nothing when it is no descriptor that this version knows, or leads nowhere.
[[nodiscard]] std::optional<heap_tables> read_heap_tables(const memory_reader& read,
                                                          std::uint64_t descriptor);

/// Sums the runs by what they hold, the most resident first. `spans` are the pages that are present
/// or swapped, by address.
[[nodiscard]] std::vector<heap_part> sum_heap_parts(const heap_tables& heap,
                                                    std::span<const os::page_span> spans);

}  // namespace acre::tool
