#include <acre/region/resource_source.hpp>
#include <acre/region/source.hpp>

#include "base/assert.hpp"
#include "region/watch.hpp"

#include <bit>
#include <cerrno>
#include <cstdint>
#include <new>

namespace acre::region {

namespace {

constexpr std::size_t most_bytes = static_cast<std::size_t>(PTRDIFF_MAX) / 2;

void raise_to(std::atomic<std::size_t>& peak, std::size_t value) noexcept {
  std::size_t seen = peak.load(std::memory_order_relaxed);
  while (seen < value && !peak.compare_exchange_weak(seen, value, std::memory_order_relaxed)) {
  }
}

}  // namespace

source::~source() {
  ACRE_ASSERT(held_blocks_.load() == 0 && "a source must outlive the regions on it");
}

result<block> source::take(std::size_t size_bytes, std::size_t alignment) noexcept {
  if (size_bytes == 0 || !std::has_single_bit(alignment)) {
    refusals_.fetch_add(1, std::memory_order_relaxed);
    return std::unexpected(failure{EINVAL, "source::take"});
  }
  // No source has half of the address space; sums of a size and an alignment stay in range.
  const bool is_possible = size_bytes < most_bytes && alignment < most_bytes;
  const failure impossible{ENOMEM, "source::take"};
  result<block> taken = is_possible ? do_take(size_bytes, alignment) : std::unexpected(impossible);
  if (!taken) {
    refusals_.fetch_add(1, std::memory_order_relaxed);
    return taken;
  }
  watch_opened(taken->data, taken->size_bytes);
  takes_.fetch_add(1, std::memory_order_relaxed);
  held_blocks_.fetch_add(1, std::memory_order_relaxed);
  raise_to(held_bytes_peak_,
           held_bytes_.fetch_add(taken->size_bytes, std::memory_order_relaxed) + taken->size_bytes);
  return taken;
}

void source::give_back(block taken) noexcept {
  watch_opened(taken.data, taken.size_bytes);
  held_blocks_.fetch_sub(1, std::memory_order_relaxed);
  held_bytes_.fetch_sub(taken.size_bytes, std::memory_order_relaxed);
  do_give_back(taken);
}

source_statistics source::statistics() const noexcept {
  return {.held_bytes = held_bytes_.load(std::memory_order_relaxed),
          .held_bytes_peak = held_bytes_peak_.load(std::memory_order_relaxed),
          .held_blocks = held_blocks_.load(std::memory_order_relaxed),
          .takes = takes_.load(std::memory_order_relaxed),
          .refusals = refusals_.load(std::memory_order_relaxed)};
}

source& default_source() noexcept {
  // Never destroyed: regions of static duration may outlive any object of this file.
  alignas(resource_source) static std::byte storage[sizeof(resource_source)];
  static source* const made = new (storage) resource_source(*std::pmr::new_delete_resource());
  return *made;
}

}  // namespace acre::region
