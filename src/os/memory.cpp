#include "os/memory.hpp"

#include "os/syscall.hpp"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdint>

#include <fcntl.h>
#include <linux/mman.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/sysinfo.h>
#include <time.h>

#ifndef MAP_FIXED_NOREPLACE
#define MAP_FIXED_NOREPLACE 0x100000
#endif
#ifndef PR_SET_VMA
#define PR_SET_VMA 0x53564d41
#define PR_SET_VMA_ANON_NAME 0
#endif
#ifndef MREMAP_DONTUNMAP
#define MREMAP_DONTUNMAP 4
#endif

namespace acre::os {

namespace {

constexpr std::size_t page = 4096;
constexpr long anonymous = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;

std::size_t limit_of(int resource) noexcept {
  struct rlimit limit{};
  if (failed(raw_syscall(SYS_prlimit64, 0, resource, 0, as_long(&limit)))) return SIZE_MAX;
  return limit.rlim_cur == RLIM_INFINITY ? SIZE_MAX : static_cast<std::size_t>(limit.rlim_cur);
}

}  // namespace

std::byte* map_on_demand(std::size_t size_bytes) noexcept {
  const long start = raw_syscall(SYS_mmap, 0, static_cast<long>(size_bytes), PROT_READ | PROT_WRITE,
                                 anonymous, -1, 0);
  return failed(start) ? nullptr : reinterpret_cast<std::byte*>(start);
}

std::byte* reserve(std::size_t size_bytes) noexcept {
  const long start =
      raw_syscall(SYS_mmap, 0, static_cast<long>(size_bytes), PROT_NONE, anonymous, -1, 0);
  return failed(start) ? nullptr : reinterpret_cast<std::byte*>(start);
}

bool make_usable(std::byte* address, std::size_t size_bytes) noexcept {
  return !failed(raw_syscall(SYS_mprotect, as_long(address), static_cast<long>(size_bytes),
                             PROT_READ | PROT_WRITE));
}

bool make_inaccessible(std::byte* address, std::size_t size_bytes) noexcept {
  return !failed(
      raw_syscall(SYS_mprotect, as_long(address), static_cast<long>(size_bytes), PROT_NONE));
}

bool map_at(std::byte* address, std::size_t size_bytes) noexcept {
  const long start = raw_syscall(SYS_mmap, as_long(address), static_cast<long>(size_bytes),
                                 PROT_READ | PROT_WRITE, anonymous | MAP_FIXED_NOREPLACE, -1, 0);
  if (failed(start)) return false;
  if (start == as_long(address)) return true;
  // A kernel before 4.17 takes the address as a hint.
  unmap(reinterpret_cast<std::byte*>(start), size_bytes);
  return false;
}

void unmap(std::byte* address, std::size_t size_bytes) noexcept {
  raw_syscall(SYS_munmap, as_long(address), static_cast<long>(size_bytes));
}

bool purge(std::byte* address, std::size_t size_bytes) noexcept {
  return !failed(
      raw_syscall(SYS_madvise, as_long(address), static_cast<long>(size_bytes), MADV_DONTNEED));
}

std::size_t resident_bytes(const std::byte* address, std::size_t size_bytes) noexcept {
  constexpr std::size_t pages_at_once = 1024;
  unsigned char seen[pages_at_once];
  std::size_t resident = 0;
  for (std::size_t done = 0; done < size_bytes; done += pages_at_once * page) {
    const std::size_t bytes = std::min(size_bytes - done, pages_at_once * page);
    if (failed(raw_syscall(SYS_mincore, as_long(address + done), static_cast<long>(bytes),
                           as_long(seen))))
      return size_bytes;
    for (std::size_t index = 0; index < bytes / page; ++index)
      resident += (seen[index] & 1U) * page;
  }
  return resident;
}

namespace {

/// Whether mappings are charged in full (vm.overcommit_memory is 2). Read once.
bool strict_overcommit() noexcept {
  static constinit std::atomic<int> known{0};  // 0: not read yet, 1: no, 2: yes. Relaxed: a cache.
  if (const int answer = known.load(std::memory_order_relaxed); answer != 0) return answer == 2;
  const long file = raw_syscall(SYS_openat, AT_FDCWD, as_long("/proc/sys/vm/overcommit_memory"),
                                O_RDONLY | O_CLOEXEC);
  char mode = '2';
  if (!failed(file)) {
    if (raw_syscall(SYS_read, file, as_long(&mode), 1) != 1) mode = '2';
    raw_syscall(SYS_close, file);
  }
  known.store(mode == '2' ? 2 : 1, std::memory_order_relaxed);
  return mode == '2';
}

}  // namespace

namespace {

long remap(std::byte* source, std::byte* target, std::size_t size_bytes) noexcept {
  const auto size = static_cast<long>(size_bytes);
  return raw_syscall(SYS_mremap, as_long(source), size, size,
                     MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP, as_long(target));
}

/// Whether the kernel moves pages of several mappings at once (Linux 6.17). Tried once: two pages
/// that advice sets apart are moved onto two others.
bool moves_several_mappings() noexcept {
  static constinit std::atomic<int> known{0};  // 0: not tried, 1: no, 2: yes. Relaxed: a cache.
  if (const int answer = known.load(std::memory_order_relaxed); answer != 0) return answer == 2;
  std::byte* const pages = map_on_demand(4 * page);
  if (pages == nullptr) return false;
  const bool apart =
      !failed(raw_syscall(SYS_madvise, as_long(pages), static_cast<long>(page), MADV_DONTFORK));
  const bool moved = apart && !failed(remap(pages, pages + 2 * page, 2 * page));
  // After a refusal the last two are unmapped, and may be another thread's by now.
  unmap(pages, moved ? 4 * page : 2 * page);
  known.store(moved ? 2 : 1, std::memory_order_relaxed);
  return moved;
}

/// Whether the pages lie in several mappings. To lengthen them is refused for that, too, by another
/// error than where there is no room.
bool span_mappings(std::byte* start, std::size_t size_bytes) noexcept {
  const long grown = raw_syscall(SYS_mremap, as_long(start), static_cast<long>(size_bytes),
                                 static_cast<long>(size_bytes + page), 0);
  if (!failed(grown)) unmap(start + size_bytes, page);
  return grown == -EFAULT;
}

}  // namespace

bool move_pages(std::byte* source, std::byte* target, std::size_t size_bytes) noexcept {
  // The kernel unmaps the target before it looks at the source and whether the limits allow the
  // move. Where they may not, a refusal would leave a hole.
  if (address_space_limit() != SIZE_MAX || strict_overcommit()) return false;
  if (!moves_several_mappings() && span_mappings(source, size_bytes)) return false;
  if (failed(remap(source, target, size_bytes))) return false;
  // What is left behind keeps the marks of its past, which stop the kernel from joining it with its
  // neighbours; a fresh mapping has none.
  raw_syscall(SYS_mmap, as_long(source), static_cast<long>(size_bytes), PROT_READ | PROT_WRITE,
              anonymous | MAP_FIXED, -1, 0);
  return true;
}

std::size_t mapping_count() noexcept {
  const long file =
      raw_syscall(SYS_openat, AT_FDCWD, as_long("/proc/self/maps"), O_RDONLY | O_CLOEXEC);
  if (failed(file)) return SIZE_MAX;
  std::size_t lines = 0;
  char text[4096];
  for (;;) {
    const long length = raw_syscall(SYS_read, file, as_long(text), sizeof text);
    if (length == -EINTR) continue;
    if (failed(length)) lines = SIZE_MAX;
    if (length <= 0) break;
    lines += static_cast<std::size_t>(std::count(text, text + length, '\n'));
  }
  raw_syscall(SYS_close, file);
  return lines;
}

void advise_huge(std::byte* address, std::size_t size_bytes) noexcept {
  raw_syscall(SYS_madvise, as_long(address), static_cast<long>(size_bytes), MADV_HUGEPAGE);
}

bool name(std::byte* address, std::size_t size_bytes, const char* text) noexcept {
  return !failed(raw_syscall(SYS_prctl, PR_SET_VMA, PR_SET_VMA_ANON_NAME, as_long(address),
                             static_cast<long>(size_bytes), as_long(text)));
}

std::size_t address_space_limit() noexcept {
  return std::min(limit_of(RLIMIT_AS), limit_of(RLIMIT_DATA));
}

std::size_t physical_memory() noexcept {
  struct sysinfo info{};
  if (failed(raw_syscall(SYS_sysinfo, as_long(&info)))) return std::size_t{1} << 34U;
  return static_cast<std::size_t>(info.totalram) * info.mem_unit;
}

long now_ms() noexcept {
  // The library function: it reads the clock without entering the kernel.
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
  return now.tv_sec * 1000 + now.tv_nsec / 1'000'000;
}

}  // namespace acre::os
