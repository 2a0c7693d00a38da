#include <acre/os/mapping.hpp>
#include <acre/os/page.hpp>
#include <acre/region/policy.hpp>

#include "base/bits.hpp"
#include "region/chunks.hpp"
#include "region/misuse.hpp"

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstdint>
#include <utility>

namespace acre::region {

namespace {

/// Pages of the block, before the guard page.
std::size_t usable_bytes(std::size_t size_bytes) noexcept {
  return std::max(base::align_up(size_bytes, os::page_size()), os::page_size());
}

}  // namespace

/// A freed block's addresses; made on the ordinary heap, since the block itself has no access.
struct guarded_resource::quarantined {
  quarantined* next;
  os::mapping pages;
};

void* guarded_resource::do_allocate(std::size_t size_bytes, std::size_t alignment) {
  if (size_bytes > most_bytes || alignment > most_bytes || !std::has_single_bit(alignment)) {
    throw refused({EINVAL, "guarded_resource: size or alignment"});
  }
  const std::size_t usable = usable_bytes(size_bytes);
  // The start is aligned, and the block's place in its pages is a multiple of the alignment, when
  // that is at most a page; a larger one is served by the pages' own start.
  auto pages = os::mapping::reserve(usable + os::page_size(), alignment);
  if (!pages) throw refused(pages.error());
  const auto committed = pages->commit({.offset_bytes = 0, .size_bytes = usable});
  if (!committed) throw refused(committed.error());
  const std::size_t before = base::align_down(usable - size_bytes, alignment);
  live_blocks_.fetch_add(1, std::memory_order_relaxed);
  return pages->detach().data() + before;
}

void guarded_resource::do_deallocate(void* data, std::size_t size_bytes, std::size_t alignment) {
  const std::size_t usable = usable_bytes(size_bytes);
  std::byte* const start =
      static_cast<std::byte*>(data) - base::align_down(usable - size_bytes, alignment);
  if (reinterpret_cast<std::uintptr_t>(start) % os::page_size() != 0) {
    misuse("guarded",
           "a block was freed with another size or alignment than it was allocated with");
  }
  live_blocks_.fetch_sub(1, std::memory_order_relaxed);
  os::mapping pages = os::mapping::adopt({start, usable + os::page_size()});
  // Without quarantine the mapping's end unmaps, after which a use is a fault, too, for a while.
  if (options_.quarantine_blocks == 0 ||
      !pages.decommit({.offset_bytes = 0, .size_bytes = usable})) {
    return;
  }
  auto* const entered = new quarantined{nullptr, std::move(pages)};
  const std::lock_guard guard(lock_);
  (newest_ != nullptr ? newest_->next : oldest_) = entered;
  newest_ = entered;
  if (++quarantined_blocks_ <= options_.quarantine_blocks) return;
  --quarantined_blocks_;
  delete std::exchange(oldest_, oldest_->next);
}

guarded_resource::~guarded_resource() {
  while (oldest_ != nullptr)
    delete std::exchange(oldest_, oldest_->next);
}

}  // namespace acre::region
