#include <acre/bytes/find.hpp>

#include "bytes/dispatch.hpp"

#include <algorithm>
#include <vector>

namespace acre::bytes {
namespace {

/// All that a finder holds; the plan and its linear part point into it.
struct prepared_needle {
  std::vector<detail::byte_type> bytes;
  detail::linear_plan linear;
  detail::needle_plan plan;

  explicit prepared_needle(view needle)
      : bytes(detail::raw(needle), detail::raw(needle) + needle.size()) {
    detail::make_plan(plan, bytes.data(), bytes.size(), detail::nowhere, true);
    if (bytes.empty()) return;
    if (bytes.size() <= detail::short_needle_max) {
      plan.period_bytes = detail::kernels().period_of(bytes.data(), bytes.size());
    } else {
      detail::kernels().make_linear(linear, bytes.data(), bytes.size());
      plan.linear = &linear;
    }
  }
};

}  // namespace

finder::finder(view needle) {
  auto prepared = std::make_shared<const prepared_needle>(needle);
  plan_ = std::shared_ptr<const detail::needle_plan>(prepared, &prepared->plan);
}

view finder::needle() const noexcept {
  return {std::span<const detail::byte_type>(plan_->data, plan_->size_bytes)};
}

}  // namespace acre::bytes
