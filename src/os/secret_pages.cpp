#include "os/secret_pages.hpp"

#include <acre/os/page.hpp>

#include "os/kernel.hpp"
#include "os/refusal.hpp"
#include "os/unique_descriptor.hpp"

#include <cstring>
#include <limits>

#include <fcntl.h>
#include <sys/resource.h>

namespace acre::os {

namespace {

/// Names the limit on locked memory, where there is one, beside the refusal.
failure with_lock_limit(failure refused) noexcept {
  rlimit limit{};
  const auto asked = tell(calls::prlimit, 0, RLIMIT_MEMLOCK, nullptr, &limit);
  if (!asked || limit.rlim_cur == RLIM_INFINITY) return refused;
  refused.why = "RLIMIT_MEMLOCK is % bytes; raise it with ulimit -l";
  refused.value = limit.rlim_cur;
  return refused;
}

/// Puts memory that the kernel itself does not map onto the pages.
result<void> hide(const secret_pages& pages) noexcept {
  const auto made = ask(calls::memfd_secret, O_CLOEXEC);
  if (!made) return std::unexpected(made.error());
  const unique_descriptor file(static_cast<int>(*made));
  if (auto sized = tell(calls::ftruncate, file.get(), pages.size); !sized) return sized;
  const auto mapped = tell(calls::mmap, pages.data, pages.size, PROT_READ | PROT_WRITE,
                           MAP_SHARED | MAP_FIXED, file.get(), 0);
  if (!mapped) return std::unexpected(with_lock_limit(mapped.error()));
  // Shared memory cannot be wiped in a child, so the child does not get it; nor the guard pages,
  // which would be left over there.
  return tell(calls::madvise, pages.data - page_size(), pages.size + 2 * page_size(),
              MADV_DONTFORK);
}

result<void> guard(const secret_pages& pages) noexcept {
  auto done = tell(calls::mprotect, pages.data, pages.size, PROT_READ | PROT_WRITE);
  if (done) done = tell(calls::madvise, pages.data, pages.size, MADV_DONTDUMP);
  if (done) done = tell(calls::madvise, pages.data, pages.size, MADV_WIPEONFORK);
  return done;
}

/// Locks what is touched, when it is touched: a chunk of slots need not be in memory as a whole.
result<void> lock(const secret_pages& pages) noexcept {
  auto locked = tell(calls::mlock2, pages.data, pages.size, MLOCK_ONFAULT);
  if (!locked) return std::unexpected(with_lock_limit(locked.error()));
  return locked;
}

result<void> raise(const secret_pages& pages) noexcept {
  if (pages.level == secret_level::hidden) return hide(pages);
  auto done = guard(pages);
  if (done && pages.level == secret_level::locked) done = lock(pages);
  return done;
}

/// Back to pages without access, for the next attempt.
result<void> clear(const secret_pages& pages) noexcept {
  return tell(calls::mmap, pages.data - page_size(), pages.size + 2 * page_size(), PROT_NONE,
              MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
}

result<void> raise_to_one_of(secret_pages& pages, secret_request request) noexcept {
  for (auto level = static_cast<unsigned>(request.wanted);; --level) {
    pages.level = static_cast<secret_level>(level);
    auto done = raise(pages);
    if (done || pages.level == request.required) return done;
    if (auto cleared = clear(pages); !cleared) return cleared;
  }
}

std::byte fence_byte(const std::byte* at, std::uint64_t key) noexcept {
  constexpr std::uint64_t spread = 0x9e3779b97f4a7c15U;  // 2^64 / the golden ratio, made odd
  const auto address = reinterpret_cast<std::uintptr_t>(at);
  return static_cast<std::byte>((key ^ address / 8 * spread) >> address % 8 * 8);
}

}  // namespace

result<secret_pages> map_secret_pages(std::size_t size_bytes, secret_request request) noexcept {
  if (size_bytes == 0 || request.required > request.wanted) {
    return refusal(EINVAL, "secret_memory",
                   size_bytes == 0 ? "a secret has at least one byte"
                                   : "the required level is above the wanted one");
  }
  const std::size_t page = page_size();
  if (size_bytes > std::numeric_limits<std::size_t>::max() / 2) {
    return refusal(ENOMEM, "secret_memory", "there is no room for % bytes", size_bytes);
  }
  secret_pages pages{.size = (size_bytes + page - 1) / page * page};
  const std::size_t reserved = pages.size + 2 * page;
  const auto start = ask(calls::mmap, nullptr, reserved, PROT_NONE,
                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (!start) return std::unexpected(start.error());
  pages.data = reinterpret_cast<std::byte*>(*start) + page;
  auto done = raise_to_one_of(pages, request);
  if (done) return pages;
  if (auto unmapped = unmap_secret_pages(pages); !unmapped)
    return std::unexpected(unmapped.error());
  return std::unexpected(done.error());
}

result<void> unmap_secret_pages(const secret_pages& pages) noexcept {
  return tell(calls::munmap, pages.data - page_size(), pages.size + 2 * page_size());
}

void wipe(std::span<std::byte> bytes) noexcept {
  if (!bytes.empty()) explicit_bzero(bytes.data(), bytes.size());
}

void build_fence(std::span<std::byte> bytes, std::uint64_t key) noexcept {
  for (std::byte& one : bytes)
    one = fence_byte(&one, key);
}

bool is_fence_whole(std::span<const std::byte> bytes, std::uint64_t key) noexcept {
  // Every byte is looked at whatever the first ones are, so that time tells nothing of the key.
  std::byte different{0};
  for (const std::byte& one : bytes)
    different |= one ^ fence_byte(&one, key);
  return different == std::byte{0};
}

}  // namespace acre::os
