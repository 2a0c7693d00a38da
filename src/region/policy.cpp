#include <acre/region/policy.hpp>

#include <cerrno>

namespace acre::region {

namespace {

/// The program's tracking resources. Constant-initialized and never destroyed: resources of static
/// duration may be made before and destroyed after anything of this file.
constinit std::mutex tracked_lock;
constinit tracking_resource* newest_tracked = nullptr;

void raise_to(std::atomic<std::size_t>& peak, std::size_t value) noexcept {
  std::size_t seen = peak.load(std::memory_order_relaxed);
  while (seen < value && !peak.compare_exchange_weak(seen, value, std::memory_order_relaxed)) {
  }
}

}  // namespace

void* limited_resource::do_allocate(std::size_t size_bytes, std::size_t alignment) {
  std::size_t seen = live_bytes_.load(std::memory_order_relaxed);
  do {
    if (size_bytes > limit_bytes_ || seen > limit_bytes_ - size_bytes) {
      throw refused({ENOMEM, "limit"});
    }
  } while (!live_bytes_.compare_exchange_weak(seen, seen + size_bytes, std::memory_order_relaxed));
  try {
    return below_->allocate(size_bytes, alignment);
  } catch (...) {
    live_bytes_.fetch_sub(size_bytes, std::memory_order_relaxed);
    throw;
  }
}

void limited_resource::do_deallocate(void* data, std::size_t size_bytes, std::size_t alignment) {
  below_->deallocate(data, size_bytes, alignment);
  live_bytes_.fetch_sub(size_bytes, std::memory_order_relaxed);
}

tracking_resource::tracking_resource(std::string_view name,
                                     std::pmr::memory_resource& below) noexcept
    : below_(&below) {
  name.copy(name_, sizeof name_ - 1);
  const std::lock_guard guard(tracked_lock);
  next_ = newest_tracked;
  if (next_ != nullptr) next_->previous_ = this;
  newest_tracked = this;
}

tracking_resource::~tracking_resource() {
  const std::lock_guard guard(tracked_lock);
  (previous_ != nullptr ? previous_->next_ : newest_tracked) = next_;
  if (next_ != nullptr) next_->previous_ = previous_;
}

void tracking_resource::for_each(void (*visit)(const tracking_resource& tracked, void* context),
                                 void* context) {
  const std::lock_guard guard(tracked_lock);
  for (const tracking_resource* tracked = newest_tracked; tracked != nullptr;
       tracked = tracked->next_)
    visit(*tracked, context);
}

tracking_statistics tracking_resource::statistics() const noexcept {
  return {.live_bytes = live_bytes_.load(std::memory_order_relaxed),
          .live_bytes_peak = live_bytes_peak_.load(std::memory_order_relaxed),
          .live_blocks = live_blocks_.load(std::memory_order_relaxed),
          .allocations = allocations_.load(std::memory_order_relaxed),
          .refusals = refusals_.load(std::memory_order_relaxed)};
}

void* tracking_resource::do_allocate(std::size_t size_bytes, std::size_t alignment) {
  void* data = nullptr;
  try {
    data = below_->allocate(size_bytes, alignment);
  } catch (...) {
    refusals_.fetch_add(1, std::memory_order_relaxed);
    throw;
  }
  allocations_.fetch_add(1, std::memory_order_relaxed);
  live_blocks_.fetch_add(1, std::memory_order_relaxed);
  raise_to(live_bytes_peak_,
           live_bytes_.fetch_add(size_bytes, std::memory_order_relaxed) + size_bytes);
  return data;
}

void tracking_resource::do_deallocate(void* data, std::size_t size_bytes, std::size_t alignment) {
  below_->deallocate(data, size_bytes, alignment);
  live_bytes_.fetch_sub(size_bytes, std::memory_order_relaxed);
  live_blocks_.fetch_sub(1, std::memory_order_relaxed);
}

}  // namespace acre::region
