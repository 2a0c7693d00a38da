#include <acre/os/memory_lock.hpp>
#include <acre/os/page.hpp>

#include "os/kernel.hpp"
#include "os/number_file.hpp"
#include "os/refusal.hpp"

#include <algorithm>
#include <array>
#include <cerrno>

#include <sys/mman.h>
#include <sys/resource.h>

#ifndef MLOCK_ONFAULT
#define MLOCK_ONFAULT 1
#endif
#ifndef MCL_ONFAULT
#define MCL_ONFAULT 4
#endif

namespace acre::os {

namespace {

constexpr const char* limit_text =
    "the limit RLIMIT_MEMLOCK is % bytes, and more would be locked; raise it with ulimit -l, or "
    "LimitMEMLOCK= of systemd, or give the program CAP_IPC_LOCK";
constexpr const char* on_fault_text = "locking on fault came with Linux 4.4";

/// The number of a line of /proc/self/status.
result<std::uint64_t> status_number(const char* key) noexcept {
  // The lines that are asked for come within the first 2 KiB.
  std::array<char, 4096> buffer{};
  const auto text = read_into_buffer("/proc/self/status", buffer);
  if (!text) return std::unexpected(text.error());
  return number_after(*text, key);
}

/// Whether every page is mapped; mlock says ENOMEM when one is not, too.
bool is_mapped(std::span<const std::byte> pages) noexcept {
  std::array<unsigned char, 1024> residency{};
  const std::size_t step_bytes = residency.size() * page_size();
  for (std::size_t done = 0; done < pages.size(); done += step_bytes) {
    const auto part = pages.subspan(done, std::min(step_bytes, pages.size() - done));
    if (!tell(calls::mincore, part.data(), part.size(), residency.data())) return false;
  }
  return true;
}

/// Whether locking so many bytes more exceeds the limit.
bool exceeds(std::size_t limit_bytes, std::size_t more_bytes) noexcept {
  const std::size_t locked_bytes = locked_memory().value_or(0);
  return more_bytes > limit_bytes || locked_bytes > limit_bytes - more_bytes;
}

std::unexpected<failure> explain(failure failed, std::span<const std::byte> pages) noexcept {
  const auto limit_bytes = memory_lock_limit();
  const bool limited = limit_bytes && *limit_bytes != SIZE_MAX &&
                       exceeds(*limit_bytes, pages.size()) &&
                       (failed.number == EPERM || failed.number == EAGAIN ||
                        (failed.number == ENOMEM && is_mapped(pages)));
  if (limited) return because(failed, limit_text, *limit_bytes);
  if (failed.number == ENOMEM) {
    return because(failed,
                   "part of the range is not mapped, may not be accessed, or there are too many "
                   "mappings");
  }
  return std::unexpected(failed);
}

std::span<const std::byte> whole_pages_of(std::span<const std::byte> range) noexcept {
  const auto first = reinterpret_cast<std::uintptr_t>(range.data());
  const std::size_t lead_bytes = first - round_down_to_pages(first);
  const auto size_bytes = round_up_to_pages(lead_bytes + range.size());
  return {range.data() - lead_bytes, size_bytes.value_or(0)};
}

}  // namespace

result<memory_lock> memory_lock::lock(std::span<const std::byte> range, lock_time when) noexcept {
  if (range.empty()) return refusal(EINVAL, "mlock", "the range is empty");
  const auto pages = whole_pages_of(range);
  const auto locked = when == lock_time::now
                          ? tell(calls::mlock, pages.data(), pages.size())
                          : tell(calls::mlock2, pages.data(), pages.size(), MLOCK_ONFAULT);
  if (!locked && locked.error().number == ENOSYS) {
    return refusal(EOPNOTSUPP, "mlock2", on_fault_text);
  }
  if (!locked) {
    const auto explained = explain(locked.error(), pages);
    // The kernel leaves what came before the failing page locked.
    static_cast<void>(tell(calls::munlock, pages.data(), pages.size()));
    return explained;
  }
  memory_lock made;
  made.range_ = pages;
  return made;
}

memory_lock::~memory_lock() {
  static_cast<void>(release());
}

result<void> memory_lock::release() noexcept {
  if (range_.empty()) return {};
  const auto unlocked = tell(calls::munlock, range_.data(), range_.size());
  if (unlocked) range_ = {};
  return unlocked;
}

result<process_lock> process_lock::lock(const process_lock_options& options) noexcept {
  if (!options.present && !options.future) {
    return refusal(EINVAL, "mlockall", "neither present nor future memory is meant");
  }
  const int flags = (options.present ? MCL_CURRENT : 0) | (options.future ? MCL_FUTURE : 0) |
                    (options.when == lock_time::on_fault ? MCL_ONFAULT : 0);
  const auto locked = tell(calls::mlockall, flags);
  if (!locked && locked.error().number == EINVAL) {
    return refusal(EOPNOTSUPP, "mlockall", on_fault_text);
  }
  if (!locked) {
    const auto limit_bytes = memory_lock_limit();
    const bool limited = locked.error().number == ENOMEM || locked.error().number == EPERM;
    if (limited && limit_bytes && *limit_bytes != SIZE_MAX) {
      return because(locked.error(), limit_text, *limit_bytes);
    }
    return std::unexpected(locked.error());
  }
  process_lock made;
  made.holds_ = true;
  return made;
}

process_lock::~process_lock() {
  static_cast<void>(release());
}

result<void> process_lock::release() noexcept {
  if (!holds_) return {};
  const auto unlocked = tell(calls::munlockall);
  if (unlocked) holds_ = false;
  return unlocked;
}

result<std::size_t> memory_lock_limit() noexcept {
  struct rlimit limit{};
  const auto outcome = tell(calls::prlimit, 0, RLIMIT_MEMLOCK, nullptr, &limit);
  if (!outcome) return std::unexpected(outcome.error());
  return limit.rlim_cur == RLIM_INFINITY ? SIZE_MAX : static_cast<std::size_t>(limit.rlim_cur);
}

result<std::size_t> locked_memory() noexcept {
  const auto kib = status_number("VmLck");
  if (!kib) return std::unexpected(kib.error());
  return static_cast<std::size_t>(*kib) * 1024;
}

}  // namespace acre::os
