#include <acre/os/guarded_copy.hpp>

#include "os/fault_copy.hpp"
#include "os/refusal.hpp"

#include <algorithm>

namespace acre::os {

result<void> prepare_guarded_copies() noexcept {
  return prepare_fault_copy();
}

result<std::size_t> guarded_copy(std::span<std::byte> to,
                                 std::span<const std::byte> from) noexcept {
  if (const auto ready = prepare_fault_copy(); !ready) return std::unexpected(ready.error());
  const std::size_t size_bytes = std::min(to.size(), from.size());
  const copy_outcome outcome = copy_with_faults(to.data(), from.data(), size_bytes);
  if (outcome.fault == 0) return size_bytes;
  return refusal(outcome.fault, "guarded_copy",
                 "% bytes were copied before a page that is not to be had: the file ends there, or "
                 "there is no space or no working memory for it",
                 outcome.copied_bytes);
}

}  // namespace acre::os
