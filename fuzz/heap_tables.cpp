/// Fuzz target: any bytes are the memory of a process that claims to hold Acre's heap.
///
/// The bytes lie at one address and begin with the descriptor, whose magic and own address are put
/// right, so that mutations reach what lies behind. Whatever the tables say, reading them must end,
/// stay within bounds, and give runs that lie in the heap, in order and without overlap.
#include "tool/heap_tables.hpp"

#include "heap/descriptor.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <span>
#include <vector>

namespace {

using acre::heaps::heap_descriptor;

constexpr std::uint64_t memory_start = 0x10000;

void require(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "broken: %s\n", what);
  std::abort();
}

template <class T>
void put(std::vector<std::byte>& memory, std::size_t offset, const T& value) {
  std::memcpy(memory.data() + offset, &value, sizeof value);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::vector<std::byte> memory(std::max(size, sizeof(heap_descriptor)));
  if (size > 0) std::memcpy(memory.data(), data, size);
  put(memory, offsetof(heap_descriptor, magic), heap_descriptor::magic_number);
  put(memory, offsetof(heap_descriptor, self), memory_start);
  put(memory, offsetof(heap_descriptor, version), heap_descriptor::version_number);
  // A heap of a few pages, or every input takes as long as its largest number.
  std::size_t calls = 0;
  const acre::tool::memory_reader read = [&](std::uint64_t address, std::span<std::byte> into) {
    if (++calls > 100'000) return false;
    if (address < memory_start || address - memory_start > memory.size() ||
        into.size() > memory.size() - (address - memory_start))
      return false;
    std::memcpy(into.data(), memory.data() + (address - memory_start), into.size());
    return true;
  };
  const std::array ranges{std::pair(memory_start, memory_start + memory.size())};
  require(acre::tool::find_heap_descriptor(read, ranges) == memory_start,
          "the descriptor is found");
  const auto heap = acre::tool::read_heap_tables(read, memory_start);
  if (!heap) return 0;
  std::uint64_t at = heap->start;
  std::uint64_t bytes = 0;
  for (const auto& run : heap->runs) {
    require(run.start >= at && run.size_bytes > 0, "runs are in order");
    require(run.free_blocks <= run.blocks, "no more blocks are free than there are");
    at = run.start + run.size_bytes;
    bytes += run.size_bytes;
    require(at <= heap->end, "runs end within the heap");
  }
  const std::array spans{acre::os::page_span{heap->start, heap->end, 8}};
  std::uint64_t resident = 0;
  for (const auto& part : acre::tool::sum_heap_parts(*heap, spans))
    resident += part.resident_bytes;
  require(resident == bytes, "every page of a run is in one part");
  return 0;
}
