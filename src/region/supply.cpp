#include <acre/region/supply.hpp>

#include <algorithm>
#include <cerrno>

namespace acre::region {

block_supply::block_supply(source* from, std::size_t budget_bytes,
                           exhaustion when_exhausted) noexcept
    : source_(from != nullptr ? from : &default_source()),
      when_exhausted_(when_exhausted),
      budget_bytes_(budget_bytes) {}

result<supplied_block> block_supply::take(std::size_t needed_bytes, std::size_t wanted_bytes,
                                          std::size_t alignment) noexcept {
  if (constructed_ && !when_exhausted_.grows()) {
    return std::unexpected(failure{ENOMEM, "exhaustion::fail"});
  }
  for (;;) {
    const result<block> own = take_most(needed_bytes, wanted_bytes, alignment);
    if (own) return counted(*own, false);
    if (when_exhausted_.upstream_resource() != nullptr) {
      const result<block> theirs = take_from_upstream(needed_bytes, alignment);
      if (theirs) return counted(*theirs, true);
      return std::unexpected(theirs.error());
    }
    if (!when_exhausted_.ask({needed_bytes, alignment, own.error()})) {
      return std::unexpected(own.error());
    }
  }
}

result<block> block_supply::take_most(std::size_t needed_bytes, std::size_t wanted_bytes,
                                      std::size_t alignment) noexcept {
  for (std::size_t size = wanted_bytes; size > needed_bytes; size /= 2) {
    const result<block> taken = take_from_source(size, alignment);
    if (taken) return taken;
  }
  return take_from_source(needed_bytes, alignment);
}

result<block> block_supply::take_from_source(std::size_t size_bytes,
                                             std::size_t alignment) noexcept {
  const failure over_budget{ENOMEM, "budget"};
  const bool is_limited = budget_bytes_ != 0;
  if (is_limited && (held_bytes_ > budget_bytes_ || size_bytes > budget_bytes_ - held_bytes_)) {
    return std::unexpected(over_budget);
  }
  result<block> taken = source_->take(size_bytes, alignment);
  // The source may have rounded up beyond the budget.
  if (taken && is_limited && taken->size_bytes > budget_bytes_ - held_bytes_) {
    source_->give_back(*taken);
    return std::unexpected(over_budget);
  }
  return taken;
}

result<block> block_supply::take_from_upstream(std::size_t size_bytes,
                                               std::size_t alignment) noexcept {
  try {
    void* const data = when_exhausted_.upstream_resource()->allocate(size_bytes, alignment);
    return block{static_cast<std::byte*>(data), size_bytes, alignment};
  } catch (...) {
    return std::unexpected(failure{ENOMEM, "exhaustion::upstream"});
  }
}

supplied_block block_supply::counted(block taken, bool from_upstream) noexcept {
  (from_upstream ? upstream_bytes_ : held_bytes_) += taken.size_bytes;
  held_bytes_peak_ = std::max(held_bytes_peak_, held_bytes());
  return {taken, from_upstream};
}

void block_supply::give_back(const supplied_block& taken) noexcept {
  const block& memory = taken.memory;
  if (!taken.from_upstream) {
    held_bytes_ -= memory.size_bytes;
    source_->give_back(memory);
    return;
  }
  upstream_bytes_ -= memory.size_bytes;
  when_exhausted_.upstream_resource()->deallocate(memory.data, memory.size_bytes, memory.alignment);
}

}  // namespace acre::region
