// What a mapping can be told, and asked, about its pages.

#include <acre/os/mapping.hpp>
#include <acre/os/page.hpp>

#include "os/advice_table.hpp"
#include "os/kernel.hpp"
#include "os/mapping_range.hpp"
#include "os/pagemap_scan.hpp"
#include "os/refusal.hpp"
#include "os/unique_descriptor.hpp"

#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <sys/ioctl.h>

namespace acre::os {

namespace {

/// madvise, with what is behind a refusal.
result<void> advised(std::span<std::byte> part, const advice_facts& facts) noexcept {
  const auto outcome = tell(calls::madvise, part.data(), part.size(), facts.number);
  if (outcome || outcome.error().number != EINVAL) return outcome;
  if (kernel_knows_number(facts.number)) return because(outcome.error(), facts.unsuited);
  return refusal(EOPNOTSUPP, "madvise", facts.lacking);
}

result<unique_descriptor> open_pagemap() noexcept {
  const auto opened = ask(calls::openat, AT_FDCWD, "/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
  if (!opened) return because(opened.error(), "/proc/self/pagemap is not to be had");
  return unique_descriptor(static_cast<int>(*opened));
}

failure explain_scan(failure failed) noexcept {
  // A kernel without the request, or whose page tables are not built for it, says ENOTTY or EINVAL.
  if (failed.number == ENOTTY || failed.number == EINVAL) {
    return {.number = EOPNOTSUPP,
            .call = "ioctl(PAGEMAP_SCAN)",
            .why = "PAGEMAP_SCAN came with Linux 6.7"};
  }
  failed.call = "ioctl(PAGEMAP_SCAN)";
  return failed;
}

result<void> register_for_writes(int tracker, std::span<std::byte> pages) noexcept {
  uffdio_api api{.api = UFFD_API,
                 .features = UFFD_FEATURE_WP_ASYNC | UFFD_FEATURE_WP_UNPOPULATED |
                             UFFD_FEATURE_WP_HUGETLBFS_SHMEM,
                 .ioctls = 0};
  if (const auto agreed = tell(calls::ioctl, tracker, UFFDIO_API, &api); !agreed) {
    return refusal(EOPNOTSUPP, "ioctl(UFFDIO_API)",
                   "tracking writes without a fault handler came with Linux 6.7");
  }
  const uffdio_range range{.start = reinterpret_cast<std::uintptr_t>(pages.data()),
                           .len = pages.size()};
  uffdio_register registration{.range = range, .mode = UFFDIO_REGISTER_MODE_WP, .ioctls = 0};
  auto outcome = tell(calls::ioctl, tracker, UFFDIO_REGISTER, &registration);
  if (outcome) {
    uffdio_writeprotect protection{.range = range, .mode = UFFDIO_WRITEPROTECT_MODE_WP};
    outcome = tell(calls::ioctl, tracker, UFFDIO_WRITEPROTECT, &protection);
  }
  return outcome;
}

}  // namespace

result<void> mapping::advise(advice what, byte_range where) noexcept {
  const auto part = part_of(*this, where, "madvise");
  if (!part) return std::unexpected(part.error());
  return advised(*part, facts_of(what));
}

result<void> mapping::populate(populate_for use, byte_range where) noexcept {
  const auto part = part_of(*this, where, "madvise");
  if (!part) return std::unexpected(part.error());
  const int number = use == populate_for::reading ? MADV_POPULATE_READ : MADV_POPULATE_WRITE;
  const auto outcome =
      advised(*part, {.what = advice::normal,
                      .number = number,
                      .lacking = "MADV_POPULATE_READ and WRITE came with Linux 5.14",
                      .unsuited = "the pages' protection forbids that access"});
  if (!outcome && outcome.error().number == EFAULT) {
    return because(outcome.error(),
                   "a page cannot be had: it is beyond the end of the file, or no memory or space "
                   "is left for it");
  }
  return outcome;
}

result<std::vector<std::uint8_t>> mapping::residency(byte_range where) const {
  const auto part = part_of(*this, where, "mincore");
  if (!part) return std::unexpected(part.error());
  std::vector<std::uint8_t> pages(pages_for(part->size()));
  const auto outcome = tell(calls::mincore, part->data(), part->size(), pages.data());
  if (!outcome) return std::unexpected(outcome.error());
  // The other bits are reserved.
  for (std::uint8_t& page : pages)
    page &= 1U;
  return pages;
}

result<page_backing> mapping::backing(byte_range where) const noexcept {
  const auto part = part_of(*this, where, "ioctl(PAGEMAP_SCAN)");
  if (!part) return std::unexpected(part.error());
  const auto pagemap = open_pagemap();
  if (!pagemap) return std::unexpected(pagemap.error());
  using namespace abi;
  const scan_question question{
      .any_of = page_is_present | page_is_swapped,
      .report = page_is_present | page_is_swapped | page_is_huge | page_is_file | page_is_zero};
  page_backing sum;
  const auto scanned =
      scan_pages(pagemap->get(), *part, question, [&sum](const page_region& run) noexcept {
        const std::size_t bytes = run.end - run.start;
        if ((run.categories & page_is_swapped) != 0) {
          sum.swapped_bytes += bytes;
          return;
        }
        sum.present_bytes += bytes;
        if ((run.categories & page_is_huge) != 0) sum.huge_bytes += bytes;
        if ((run.categories & page_is_file) != 0) sum.file_bytes += bytes;
        if ((run.categories & page_is_zero) != 0) sum.zero_bytes += bytes;
      });
  if (!scanned) return std::unexpected(explain_scan(scanned.error()));
  return sum;
}

result<void> mapping::track_writes() noexcept {
  const auto part = part_of(*this, {}, "userfaultfd");
  if (!part) return std::unexpected(part.error());
  if (write_tracker_ >= 0) return refusal(EBUSY, "userfaultfd", "writes are tracked already");
  // Faults of the kernel itself, as in read(2), are resolved without us, so no privilege is needed.
  const auto opened = ask(calls::userfaultfd, O_CLOEXEC | O_NONBLOCK | UFFD_USER_MODE_ONLY);
  if (!opened) return std::unexpected(opened.error());
  unique_descriptor tracker(static_cast<int>(*opened));
  const auto registered = register_for_writes(tracker.get(), *part);
  if (!registered) return registered;
  write_tracker_ = tracker.detach();
  return {};
}

result<std::vector<byte_range>> mapping::dirty_since() {
  if (write_tracker_ < 0) {
    return refusal(EINVAL, "ioctl(PAGEMAP_SCAN)", "writes are not tracked; see track_writes()");
  }
  const auto pagemap = open_pagemap();
  if (!pagemap) return std::unexpected(pagemap.error());
  const scan_question question{.flags = abi::scan_write_protect | abi::scan_check_async,
                               .all_of = abi::page_is_written,
                               .report = abi::page_is_written};
  std::vector<byte_range> runs;
  const auto base = reinterpret_cast<std::uintptr_t>(data_);
  const auto scanned =
      scan_pages(pagemap->get(), bytes(), question, [&runs, base](const abi::page_region& run) {
        const byte_range found{.offset_bytes = run.start - base, .size_bytes = run.end - run.start};
        if (!runs.empty() &&
            runs.back().offset_bytes + runs.back().size_bytes == found.offset_bytes) {
          runs.back().size_bytes += found.size_bytes;
        } else {
          runs.push_back(found);
        }
      });
  if (!scanned) return std::unexpected(explain_scan(scanned.error()));
  return runs;
}

void mapping::end_write_tracking() noexcept {
  if (write_tracker_ < 0) return;
  const unique_descriptor ended(std::exchange(write_tracker_, -1));
}

result<void> mapping::seal(byte_range where) noexcept {
  const auto part = part_of(*this, where, "mseal");
  if (!part) return std::unexpected(part.error());
  const auto sealed = tell(calls::mseal, part->data(), part->size(), 0);
  if (!sealed && sealed.error().number == ENOSYS) {
    return refusal(EOPNOTSUPP, "mseal", "mseal came with Linux 6.10, for 64-bit machines");
  }
  return sealed;
}

}  // namespace acre::os
