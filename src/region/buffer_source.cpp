#include <acre/region/buffer_source.hpp>

#include "base/bits.hpp"
#include "region/misuse.hpp"

#include <cerrno>
#include <cstdint>
#include <functional>
#include <new>

namespace acre::region {

namespace {

std::byte* align_up(std::byte* address, std::size_t alignment) noexcept {
  const auto number = reinterpret_cast<std::uintptr_t>(address);
  return address + (base::align_up(number, alignment) - number);
}

}  // namespace

buffer_source::buffer_source(std::span<std::byte> buffer) noexcept {
  const auto number = reinterpret_cast<std::uintptr_t>(buffer.data());
  const std::size_t lost = base::align_up(number, unit_bytes) - number;
  if (buffer.size() < lost + unit_bytes) return;
  const std::size_t usable = base::align_down(buffer.size() - lost, unit_bytes);
  begin_ = buffer.data() + lost;
  end_ = begin_ + usable;
  first_ = new (begin_) free_range{nullptr, usable};
}

result<block> buffer_source::do_take(std::size_t size_bytes, std::size_t alignment) noexcept {
  const auto buffer_bytes = static_cast<std::size_t>(end_ - begin_);
  if (size_bytes > buffer_bytes) return std::unexpected(failure{ENOMEM, "buffer_source::take"});
  const std::size_t needed = base::align_up(size_bytes, unit_bytes);
  for (free_range** link = &first_; *link != nullptr; link = &(*link)->next) {
    free_range* const range = *link;
    std::byte* const start = reinterpret_cast<std::byte*>(range);
    const auto before = static_cast<std::size_t>(align_up(start, alignment) - start);
    if (range->size_bytes < before || range->size_bytes - before < needed) continue;
    const std::size_t after = range->size_bytes - before - needed;
    std::byte* const data = start + before;
    free_range* rest = range->next;
    if (after > 0) rest = new (data + needed) free_range{rest, after};
    if (before > 0) {
      *range = {rest, before};
    } else {
      *link = rest;
    }
    return block{data, needed, alignment};
  }
  return std::unexpected(failure{ENOMEM, "buffer_source::take"});
}

void buffer_source::do_give_back(block taken) noexcept {
  const std::less<const std::byte*> before;
  if (before(taken.data, begin_) || !before(taken.data, end_)) {
    misuse("buffer", "a block was given back that is not from this buffer");
  }
  free_range* previous = nullptr;
  free_range* next = first_;
  while (next != nullptr && before(reinterpret_cast<std::byte*>(next), taken.data)) {
    previous = next;
    next = next->next;
  }
  auto* const range = new (taken.data) free_range{next, taken.size_bytes};
  if (next != nullptr && taken.data + taken.size_bytes == reinterpret_cast<std::byte*>(next)) {
    *range = {next->next, taken.size_bytes + next->size_bytes};
  }
  if (previous == nullptr) {
    first_ = range;
  } else if (reinterpret_cast<std::byte*>(previous) + previous->size_bytes == taken.data) {
    *previous = {range->next, previous->size_bytes + range->size_bytes};
  } else {
    previous->next = range;
  }
}

std::size_t buffer_source::largest_free_bytes() const noexcept {
  std::size_t largest = 0;
  for (const free_range* range = first_; range != nullptr; range = range->next) {
    if (range->size_bytes > largest) largest = range->size_bytes;
  }
  return largest;
}

bool buffer_source::check_invariants() const noexcept {
  std::size_t free_bytes = 0;
  const std::byte* last_end = nullptr;
  for (const free_range* range = first_; range != nullptr; range = range->next) {
    const auto* const start = reinterpret_cast<const std::byte*>(range);
    if (start < begin_ || start >= end_) return false;
    if (range->size_bytes == 0 || range->size_bytes > static_cast<std::size_t>(end_ - start)) {
      return false;
    }
    // Neighbours that touch would have been joined.
    if (last_end != nullptr && start <= last_end) return false;
    last_end = start + range->size_bytes;
    free_bytes += range->size_bytes;
  }
  return free_bytes + statistics().held_bytes == static_cast<std::size_t>(end_ - begin_);
}

}  // namespace acre::region
