#include <acre/region/keep.hpp>

#include <algorithm>
#include <limits>

namespace acre::region {

void usage_history::record(std::size_t used_bytes) noexcept {
  const std::size_t kib = used_bytes / 1024 + (used_bytes % 1024 != 0 ? 1 : 0);
  const std::size_t most = std::numeric_limits<std::uint32_t>::max();
  used_kib_[count_ % capacity] = static_cast<std::uint32_t>(std::min(kib, most));
  ++count_;
}

std::size_t usage_history::percentile_bytes(unsigned percent, unsigned uses) const noexcept {
  const std::size_t known = std::min({count_, capacity, std::size_t{uses}});
  if (known == 0) return 0;
  std::array<std::uint32_t, capacity> recent{};
  for (std::size_t age = 0; age < known; ++age) {
    recent[age] = used_kib_[(count_ - 1 - age) % capacity];
  }
  const std::size_t rank = (known * percent + 99) / 100 - 1;
  const auto begin = recent.begin();
  const auto nth = begin + static_cast<std::ptrdiff_t>(rank);
  std::nth_element(begin, nth, begin + static_cast<std::ptrdiff_t>(known));
  return std::size_t{*nth} * 1024;
}

}  // namespace acre::region
