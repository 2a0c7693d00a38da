#include "tool/machine_buffer.hpp"

#include <acre/os/numa_policy.hpp>
#include <acre/os/process.hpp>

#include "tool/error.hpp"
#include "tool/units.hpp"

#include <algorithm>
#include <cstring>

#include <fmt/format.h>

namespace acre::tool {
namespace {

[[noreturn]] void refuse(const failure& problem, std::size_t size_bytes) {
  throw error(exit_code::misuse,
              fmt::format("no {} to measure on: {}: {}; --quick needs less",
                          format_bytes(size_bytes), problem.call, problem.code().message()));
}

os::mapping map(std::size_t size_bytes, page_wish wish) {
  const auto kind =
      wish == page_wish::huge ? os::page_kind::transparent_huge : os::page_kind::ordinary;
  auto made = os::mapping::anonymous(size_bytes, {.pages = kind, .charged = false});
  // A kernel without transparent huge pages refuses the kind; then it gives small ones.
  if (!made && wish == page_wish::huge)
    made = os::mapping::anonymous(size_bytes, {.charged = false});
  if (!made) refuse(made.error(), size_bytes);
  return std::move(*made);
}

}  // namespace

test_buffer::test_buffer(std::size_t size_bytes, page_wish wish, std::optional<unsigned> node)
    : mapping_(map(size_bytes, wish)) {
  // Needed where the mode is "always"; refused where there are no huge pages to keep away.
  if (wish == page_wish::small) (void)mapping_.advise(os::advice::no_huge_page);
  if (node) {
    const auto bound = os::set_range_policy(bytes(), {os::numa_policy::bind({*node})});
    if (!bound) refuse(bound.error(), size_bytes);
  }
  std::memset(mapping_.data(), 1, mapping_.size());
}

std::uint64_t test_buffer::huge_bytes() const {
  if (const auto backing = mapping_.backing()) return backing->huge_bytes;
  // Kernels before 6.7 tell it by smaps alone.
  const auto self = os::process::self();
  const auto usage = self ? self->smaps() : std::unexpected(self.error());
  if (!usage) return 0;
  const auto address = reinterpret_cast<std::uintptr_t>(mapping_.data());
  const auto found = std::ranges::find_if(usage->mappings, [&](const os::mapping_usage& each) {
    return each.mapping.contains(address);
  });
  return found == usage->mappings.end() ? 0 : found->memory.huge_bytes();
}

}  // namespace acre::tool
