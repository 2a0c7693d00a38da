#pragma once

#include <cstddef>

/// Raw memory from the kernel for the heap: no exception, no errno, no allocation.
///
/// Units: bytes; addresses and sizes are multiples of the page size.
namespace acre::os {

/// Address space with memory on demand; null when the kernel refuses.
/// Not counted against the commit limit unless vm.overcommit_memory is 2.
[[nodiscard]] std::byte* map_on_demand(std::size_t size_bytes) noexcept;

/// Address space alone: no access until `make_usable`. Locking all memory (mlockall) leaves it out.
[[nodiscard]] std::byte* reserve(std::size_t size_bytes) noexcept;
[[nodiscard]] bool make_inaccessible(std::byte* address, std::size_t size_bytes) noexcept;
[[nodiscard]] bool make_usable(std::byte* address, std::size_t size_bytes) noexcept;

/// Memory on demand at exactly `address`; false when it is taken or refused (Linux 4.17).
[[nodiscard]] bool map_at(std::byte* address, std::size_t size_bytes) noexcept;

void unmap(std::byte* address, std::size_t size_bytes) noexcept;

/// Gives the pages' contents back; they read as zero afterwards. False when the kernel refuses
/// (locked pages): the contents are then unchanged.
[[nodiscard]] bool purge(std::byte* address, std::size_t size_bytes) noexcept;

/// How many of the bytes lie in pages that are resident; all when the kernel does not tell.
[[nodiscard]] std::size_t resident_bytes(const std::byte* address, std::size_t size_bytes) noexcept;

/// Moves pages to `target`, which must be mapped and is replaced; `source` stays mapped and reads
/// as zero, and loses its name (mremap with MREMAP_DONTUNMAP, Linux 5.7). False when refused:
/// nothing has moved. Always
/// refused under a limit of address space or data, and under strict overcommit; and before Linux
/// 6.17, when the source lies in several mappings.
[[nodiscard]] bool move_pages(std::byte* source, std::byte* target,
                              std::size_t size_bytes) noexcept;

/// How many mappings the process has; SIZE_MAX when that cannot be known. Reads /proc/self/maps.
[[nodiscard]] std::size_t mapping_count() noexcept;

/// Asks for transparent huge pages; only advice.
void advise_huge(std::byte* address, std::size_t size_bytes) noexcept;

/// Gives anonymous memory a name that /proc/PID/maps shows as "[anon:NAME]", where the kernel keeps
/// such names (Linux 5.17 with CONFIG_ANON_VMA_NAME); elsewhere nothing happens, and the answer is
/// false. Mappings of different names are not joined.
bool name(std::byte* address, std::size_t size_bytes, const char* text) noexcept;

/// Soft limit on address space or data in bytes, whichever is lower; SIZE_MAX for none.
[[nodiscard]] std::size_t address_space_limit() noexcept;

/// Physical memory of the machine in bytes.
[[nodiscard]] std::size_t physical_memory() noexcept;

/// Monotonic milliseconds, coarse.
[[nodiscard]] long now_ms() noexcept;

}  // namespace acre::os
