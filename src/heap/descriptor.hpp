#pragma once

#include <cstddef>
#include <cstdint>

/// How another process reads this heap's tables.
///
/// The library holds one constant of this type, `acre_heap_descriptor`. A reader finds it by its
/// magic and its own address among the relocated constants of the process, so neither symbols nor
/// files are needed, and then follows it through /proc/PID/mem. It costs nothing until someone
/// looks.
///
/// Compatibility: a reader accepts its own `version` only. Whatever merely moves is described by
/// the offsets; the version changes when a field here or the meaning of a table does.
namespace acre::heaps {

struct heap_descriptor {
  static constexpr std::uint64_t magic_number = 0x7061656865726361;  // "acreheap"
  static constexpr std::uint32_t version_number = 1;

  std::uint64_t magic;
  const heap_descriptor* self;
  std::uint32_t version;
  std::uint32_t page_shift;

  // The address space: words at these offsets.
  const void* space;
  std::uint16_t space_bytes;
  std::uint16_t space_base;         ///< address of page 0
  std::uint16_t space_pages;        ///< how many are usable
  std::uint16_t space_run_of_page;  ///< to an array of 32-bit run numbers, by page; 0: none
  std::uint16_t space_runs;         ///< to the array of runs, by number
  std::uint16_t space_owner;        ///< to an array of pointers, by page

  // A run of pages: where its facts lie. The first page of a run leads to it.
  std::uint16_t run_bytes;
  std::uint16_t run_page;         ///< 32 bits: first page
  std::uint16_t run_pages;        ///< 32 bits: length
  std::uint16_t run_free_count;   ///< 16 bits: blocks of a slab that are free and in no cache
  std::uint16_t run_block_count;  ///< 16 bits: blocks of a slab
  std::uint16_t run_size_class;   ///< 8 bits
  std::uint16_t run_state;        ///< 8 bits: one of those below
  std::uint8_t state_slab;
  std::uint8_t state_large;
  std::uint8_t state_dirty;
  std::uint8_t state_clean;
  std::uint8_t state_held;

  // Size classes: an array of shapes that begin with the block's size in 32 bits.
  std::uint16_t class_count;
  std::uint16_t shape_bytes;
  const void* shapes;
};

}  // namespace acre::heaps
