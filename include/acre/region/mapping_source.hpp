#pragma once

#include <acre/os/mapping.hpp>
#include <acre/os/numa_policy.hpp>
#include <acre/region/source.hpp>

#include <atomic>
#include <optional>

namespace acre::region {

/// What memory a `mapping_source` maps.
struct mapping_source_options {
  /// Kinds of pages in the order in which they are tried for each block. A fallback that is not
  /// named is not taken: `{huge_2_mib, transparent_huge}` never gives ordinary pages only.
  os::page_order pages = os::page_kind::ordinary;
  /// Where the pages go, such as `os::numa_policy::bind({1})`; without, as the thread's policy
  /// says.
  std::optional<os::numa_policy> placement = {};
};

/// A source of fresh anonymous mappings: ordinary, transparent huge or reserved huge pages, on any
/// NUMA node.
///
///     mapping_source huge({.pages = os::page_kind::transparent_huge});
///     arena a(huge);
///
/// Each block is a mapping of its own: dear to take (system calls, and a fault per touched page),
/// and gone at once when given back. Contents read as zero. Blocks on huge pages are whole ones and
/// aligned to them, so one fault brings 2 MiB: for memory that is filled, hundreds of times fewer
/// faults; memory that is only partly touched costs more. Whether the kernel found a transparent
/// huge page is decided at the first touch; `os::mapping::backing` can tell.
///
/// Thread-safety:  any thread.
/// Fails:          with what the kernel said to the last kind of pages: ENOMEM when address space,
///                 the pool of reserved huge pages or the count of mappings runs out.
class ACRE_API mapping_source final : public source {
 public:
  explicit mapping_source(const mapping_source_options& options = {}) noexcept;

  [[nodiscard]] std::size_t granularity() const noexcept override { return granularity_; }

  /// `page_size_bytes` is that of the block taken last.
  [[nodiscard]] source_report report() const noexcept override;

 private:
  [[nodiscard]] result<block> do_take(std::size_t size_bytes,
                                      std::size_t alignment) noexcept override;
  void do_give_back(block taken) noexcept override;
  [[nodiscard]] result<os::mapping> map(os::page_kind kind, std::size_t size_bytes,
                                        std::size_t alignment) const noexcept;

  mapping_source_options options_;
  std::size_t granularity_;
  // Written by takers, read by report(); independent of each other, so no ordering is needed.
  std::atomic<os::page_kind> last_kind_;
  std::atomic<int> fallback_number_{0};
  std::atomic<const char*> fallback_call_{""};
};

}  // namespace acre::region
