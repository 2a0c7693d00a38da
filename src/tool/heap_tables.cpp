#include "tool/heap_tables.hpp"

#include "heap/descriptor.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <map>
#include <string_view>
#include <tuple>

#include <fmt/format.h>

namespace acre::tool {
namespace {

using heaps::heap_descriptor;

constexpr std::size_t chunk_bytes = 65536;
/// No heap has more: its page numbers have 32 bits.
constexpr std::uint64_t pages_max = std::uint64_t{1} << 32U;
/// Records of runs that are kept while reading, so that a damaged table cannot fill our memory.
constexpr std::size_t windows_max = 512;

template <class T>
T load(std::span<const std::byte> bytes, std::size_t offset) noexcept {
  T value{};
  if (offset + sizeof(T) <= bytes.size()) std::memcpy(&value, bytes.data() + offset, sizeof(T));
  return value;
}

/// The descriptor with pointers as numbers: they are of another process.
bool is_descriptor(const heap_descriptor& found, std::uint64_t address) noexcept {
  return found.magic == heap_descriptor::magic_number &&
         std::bit_cast<std::uint64_t>(found.self) == address &&
         found.version == heap_descriptor::version_number;
}

/// Whether every field lies within its structure, so that reading by the offsets stays inside.
bool is_sound(const heap_descriptor& d) noexcept {
  const auto fits = [](std::size_t offset, std::size_t size, std::size_t whole) {
    return offset + size <= whole;
  };
  const std::size_t space = d.space_bytes;
  const std::size_t run = d.run_bytes;
  return d.page_shift >= 10 && d.page_shift <= 20 && fits(d.space_base, 8, space) &&
         fits(d.space_pages, 8, space) && fits(d.space_run_of_page, 8, space) &&
         fits(d.space_runs, 8, space) && fits(d.space_owner, 8, space) && run >= 16 &&
         run <= 4096 && fits(d.run_page, 4, run) && fits(d.run_pages, 4, run) &&
         fits(d.run_free_count, 2, run) && fits(d.run_block_count, 2, run) &&
         fits(d.run_size_class, 1, run) && fits(d.run_state, 1, run) && d.shape_bytes >= 4 &&
         d.shape_bytes <= 1024 && d.class_count > 0 && d.class_count <= 4096;
}

/// An array in the process, read in pieces that are kept.
class remote_array {
 public:
  remote_array(const memory_reader& read, std::uint64_t address, std::size_t element_bytes)
      : read_(read), address_(address), element_bytes_(element_bytes) {}

  /// Returns:  the element's bytes, valid until the next call; empty when it cannot be read.
  std::span<const std::byte> at(std::uint64_t index) {
    const std::uint64_t per_window = chunk_bytes / element_bytes_;
    if (windows_.size() > windows_max) windows_.clear();
    const auto [found, is_new] = windows_.try_emplace(index / per_window);
    auto& bytes = found->second;
    if (is_new) bytes = fetch(found->first * per_window, per_window);
    const auto offset = index % per_window * element_bytes_;
    if (offset + element_bytes_ > bytes.size()) return {};
    return std::span<const std::byte>(bytes).subspan(offset, element_bytes_);
  }

 private:
  /// The tables are usable only as far as the heap has grown, so less than a window may be
  /// readable; pages are the unit of that.
  std::vector<std::byte> fetch(std::uint64_t first, std::uint64_t count) const {
    constexpr std::uint64_t page = 4096;
    std::vector<std::byte> bytes(count * element_bytes_);
    const std::uint64_t start = address_ + first * element_bytes_;
    if (read_(start, bytes)) return bytes;
    std::uint64_t done = 0;
    while (done < bytes.size()) {
      const auto size = std::min(page - (start + done) % page, bytes.size() - done);
      if (!read_(start + done, std::span(bytes).subspan(done, size))) break;
      done += size;
    }
    bytes.resize(done);
    return bytes;
  }

  const memory_reader& read_;
  std::uint64_t address_;
  std::size_t element_bytes_;
  std::map<std::uint64_t, std::vector<std::byte>> windows_;
};

std::optional<heap_run_kind> kind_of(const heap_descriptor& d, std::uint8_t state) noexcept {
  if (state == d.state_slab) return heap_run_kind::slab;
  if (state == d.state_large) return heap_run_kind::large;
  if (state == d.state_dirty) return heap_run_kind::retained;
  if (state == d.state_clean) return heap_run_kind::released;
  if (state == d.state_held) return heap_run_kind::held;
  return {};
}

/// Reads run after run.
class table_walk {
 public:
  table_walk(const memory_reader& read, const heap_descriptor& d, std::uint64_t run_of_page,
             std::uint64_t runs)
      : descriptor_(d),
        run_of_page_(read, run_of_page, sizeof(std::uint32_t)),
        runs_(read, runs, d.run_bytes),
        shapes_(read, std::bit_cast<std::uint64_t>(d.shapes), d.shape_bytes) {}

  void fill(heap_tables& heap) {
    const std::uint64_t pages = (heap.end - heap.start) / heap.page_bytes;
    for (std::uint64_t page = 0; page < pages;) {
      const auto entry = run_of_page_.at(page);
      // What follows cannot be read either: the table ends where the heap's growth does.
      if (entry.empty()) break;
      const auto number = load<std::uint32_t>(entry, 0);
      const auto length = number == 0 ? 0 : take(heap, page, pages, number);
      // Without a run the page was never used, or is being changed at this moment.
      if (number != 0 && length == 0) ++heap.unreadable_pages;
      page += std::max<std::uint64_t>(length, 1);
    }
  }

 private:
  /// Returns:  the run's length in pages; 0 when it does not hold together.
  std::uint64_t take(heap_tables& heap, std::uint64_t page, std::uint64_t pages,
                     std::uint32_t number) {
    const auto& d = descriptor_;
    const auto record = runs_.at(number);
    if (record.empty()) return 0;
    const std::uint64_t length = load<std::uint32_t>(record, d.run_pages);
    const auto kind = kind_of(d, load<std::uint8_t>(record, d.run_state));
    if (!kind || load<std::uint32_t>(record, d.run_page) != page || length == 0 ||
        length > pages - page)
      return 0;
    heap_run run{.start = heap.start + page * heap.page_bytes,
                 .size_bytes = length * heap.page_bytes,
                 .kind = *kind,
                 .block_bytes = 0,
                 .blocks = 0,
                 .free_blocks = 0};
    if (*kind == heap_run_kind::slab && !take_slab(record, run)) return 0;
    heap.runs.push_back(run);
    return length;
  }

  bool take_slab(std::span<const std::byte> record, heap_run& run) {
    const auto& d = descriptor_;
    const auto size_class = load<std::uint8_t>(record, d.run_size_class);
    if (size_class >= d.class_count) return false;
    run.block_bytes = load<std::uint32_t>(shapes_.at(size_class), 0);
    run.blocks = load<std::uint16_t>(record, d.run_block_count);
    run.free_blocks = load<std::uint16_t>(record, d.run_free_count);
    return run.block_bytes > 0 && std::uint64_t{run.blocks} * run.block_bytes <= run.size_bytes &&
           run.free_blocks <= run.blocks;
  }

  const heap_descriptor& descriptor_;
  remote_array run_of_page_;
  remote_array runs_;
  remote_array shapes_;
};

void add_table(heap_tables& heap, std::uint64_t address, std::uint64_t size_bytes) {
  if (address != 0) heap.tables.emplace_back(address, address + size_bytes);
}

struct page_amounts {
  std::uint64_t resident = 0;
  std::uint64_t swapped = 0;
};

/// Adds what of [start, end) is in the spans, from `span` on, which moves along.
page_amounts amounts_in(std::span<const os::page_span> spans, std::size_t& span,
                        std::uint64_t start, std::uint64_t end) {
  page_amounts found;
  while (span < spans.size() && spans[span].end <= start)
    ++span;
  for (std::size_t index = span; index < spans.size() && spans[index].start < end; ++index) {
    const auto& each = spans[index];
    const auto bytes = std::min(each.end, end) - std::max(each.start, start);
    const bool is_swapped = each.is(os::page_category::swapped);
    if (is_swapped) found.swapped += bytes;
    if (!is_swapped && each.is(os::page_category::present)) found.resident += bytes;
  }
  return found;
}

std::string describe(const heap_run& run) {
  switch (run.kind) {
    case heap_run_kind::slab:
      return fmt::format("slabs of {} B", run.block_bytes);
    case heap_run_kind::large:
      return "large blocks";
    case heap_run_kind::retained:
      return "free, kept for reuse";
    case heap_run_kind::released:
      return "free, given back";
    case heap_run_kind::held:
      return "held by the heap";
  }
  return {};
}

}  // namespace

std::optional<std::uint64_t> find_heap_descriptor(
    const memory_reader& read, std::span<const std::pair<std::uint64_t, std::uint64_t>> ranges) {
  std::vector<std::byte> chunk(chunk_bytes);
  for (const auto& [start, end] : ranges) {
    for (std::uint64_t at = start; at < end; at += chunk_bytes) {
      const auto size = std::min<std::uint64_t>(chunk_bytes, end - at);
      const auto bytes = std::span(chunk).first(size);
      if (!read(at, bytes)) continue;
      for (std::size_t offset = 0; offset + 8 <= size; offset += 8) {
        if (load<std::uint64_t>(bytes, offset) != heap_descriptor::magic_number) continue;
        heap_descriptor found;
        const auto whole = std::as_writable_bytes(std::span(&found, 1));
        if (read(at + offset, whole) && is_descriptor(found, at + offset)) return at + offset;
      }
    }
  }
  return {};
}

std::optional<heap_tables> read_heap_tables(const memory_reader& read, std::uint64_t descriptor) {
  heap_descriptor d;
  if (!read(descriptor, std::as_writable_bytes(std::span(&d, 1))) ||
      !is_descriptor(d, descriptor) || !is_sound(d))
    return {};
  std::vector<std::byte> space(d.space_bytes);
  if (!read(std::bit_cast<std::uint64_t>(d.space), space)) return {};
  heap_tables heap;
  const auto pages = load<std::uint64_t>(space, d.space_pages);
  heap.start = load<std::uint64_t>(space, d.space_base);
  heap.page_bytes = std::uint64_t{1} << d.page_shift;
  if (pages == 0 || pages > pages_max || heap.start > UINT64_MAX - pages * heap.page_bytes)
    return {};
  heap.end = heap.start + pages * heap.page_bytes;
  const auto run_of_page = load<std::uint64_t>(space, d.space_run_of_page);
  const auto runs = load<std::uint64_t>(space, d.space_runs);
  add_table(heap, load<std::uint64_t>(space, d.space_owner), pages * sizeof(std::uint64_t));
  add_table(heap, run_of_page, pages * sizeof(std::uint32_t));
  add_table(heap, runs, pages * d.run_bytes);
  table_walk(read, d, run_of_page, runs).fill(heap);
  return heap;
}

std::vector<heap_part> sum_heap_parts(const heap_tables& heap,
                                      std::span<const os::page_span> spans) {
  std::map<std::pair<heap_run_kind, std::uint32_t>, heap_part> parts;
  std::size_t span = 0;
  for (const auto& run : heap.runs) {
    auto& part = parts[{run.kind, run.block_bytes}];
    if (part.size_bytes == 0) part.what = describe(run);
    const auto found = amounts_in(spans, span, run.start, run.start + run.size_bytes);
    part.size_bytes += run.size_bytes;
    part.resident_bytes += found.resident;
    part.swapped_bytes += found.swapped;
    const bool is_large = run.kind == heap_run_kind::large;
    part.blocks += is_large ? 1 : run.blocks;
    part.live_blocks += is_large ? 1 : run.blocks - run.free_blocks;
  }
  std::vector<heap_part> result;
  for (auto& [key, part] : parts)
    result.push_back(std::move(part));
  std::ranges::sort(result, std::ranges::greater{}, [](const heap_part& part) {
    return std::tuple(part.resident_bytes, part.size_bytes, std::string_view(part.what));
  });
  return result;
}

}  // namespace acre::tool
