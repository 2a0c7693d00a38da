#include "os/memory.hpp"

#include "os/syscall.hpp"

#include <algorithm>
#include <cstdint>

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

bool move_pages(std::byte* source, std::byte* target, std::size_t size_bytes) noexcept {
  const auto size = static_cast<long>(size_bytes);
  return !failed(raw_syscall(SYS_mremap, as_long(source), size, size,
                             MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP, as_long(target)));
}

void advise_huge(std::byte* address, std::size_t size_bytes) noexcept {
  raw_syscall(SYS_madvise, as_long(address), static_cast<long>(size_bytes), MADV_HUGEPAGE);
}

void name(std::byte* address, std::size_t size_bytes, const char* text) noexcept {
  raw_syscall(SYS_prctl, PR_SET_VMA, PR_SET_VMA_ANON_NAME, as_long(address),
              static_cast<long>(size_bytes), as_long(text));
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
