#include <acre/os/page.hpp>
#include <acre/os/program_break.hpp>

#include "os/kernel.hpp"
#include "os/number_file.hpp"
#include "os/refusal.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <limits>

#include <sys/resource.h>
#include <unistd.h>

namespace acre::os {

namespace {

/// Whether there is a claim. Written by whoever makes or ends it; the exchange decides between two.
constinit std::atomic<bool> is_claimed{false};

std::byte* library_break() noexcept {
  return static_cast<std::byte*>(::sbrk(0));
}

result<void> check_threads(break_users users) noexcept {
  if (users == break_users::caller_vouches) return {};
  std::array<char, 4096> buffer{};
  const auto text = read_into_buffer("/proc/self/status", buffer);
  if (!text) return std::unexpected(text.error());
  const auto threads = number_after(*text, "Threads");
  if (!threads) return std::unexpected(threads.error());
  if (*threads == 1) return {};
  return refusal(EBUSY, "brk",
                 "the process has % threads, any of which may be in sbrk; claim before starting "
                 "them, or vouch for them",
                 *threads);
}

std::unexpected<failure> no_room() noexcept {
  rlimit limit{};
  const auto asked = tell(calls::prlimit, 0, RLIMIT_DATA, nullptr, &limit);
  if (!asked || limit.rlim_cur == RLIM_INFINITY) {
    return refusal(ENOMEM, "brk", "another mapping is in the way, or memory is short");
  }
  return refusal(ENOMEM, "brk", "RLIMIT_DATA is % bytes; raise it with ulimit -d", limit.rlim_cur);
}

/// Puts the page that keeps others from moving the break; false when something is mapped there
/// already, which does so, too.
result<bool> put_barrier(std::byte* end) noexcept {
  const auto put = tell(calls::mmap, end, page_size(), PROT_NONE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);
  if (put) return true;
  if (put.error().number == EEXIST) return false;
  return std::unexpected(put.error());
}

result<void> set_break(std::byte* to) noexcept {
  if (::brk(to) == 0) return {};
  return refusal(errno, "brk");
}

}  // namespace

std::uintptr_t program_break::position() noexcept {
  // The kernel answers a request that it refuses, such as 0, with where the break is.
  return static_cast<std::uintptr_t>(ask(calls::brk, 0).value_or(0));
}

result<program_break> program_break::claim(std::size_t size_bytes, break_users users) noexcept {
  const auto rounded = round_up_to_pages(size_bytes);
  constexpr std::size_t size_max = std::numeric_limits<std::ptrdiff_t>::max() / 2;
  if (size_bytes == 0) return refusal(EINVAL, "brk", "a claim has at least one byte");
  if (!rounded || *rounded > size_max) return no_room();
  if (auto checked = check_threads(users); !checked) return std::unexpected(checked.error());
  if (is_claimed.exchange(true, std::memory_order_acquire)) {
    return refusal(EBUSY, "brk", "the program break is claimed already");
  }
  auto made = move_up(*rounded);
  if (!made) is_claimed.store(false, std::memory_order_release);
  return made;
}

result<program_break> program_break::move_up(std::size_t size_bytes) noexcept {
  std::byte* const now = library_break();
  if (reinterpret_cast<std::uintptr_t>(now) != position()) {
    return refusal(EBUSY, "brk", "somebody moved the break without the C library");
  }
  const std::size_t page = page_size();
  const std::size_t unaligned = (page - reinterpret_cast<std::uintptr_t>(now) % page) % page;
  auto* const before =
      static_cast<std::byte*>(::sbrk(static_cast<std::intptr_t>(unaligned + size_bytes)));
  if (reinterpret_cast<std::intptr_t>(before) == -1) return no_room();
  std::byte* const start = now + unaligned;
  const auto put = put_barrier(start + size_bytes);
  if (!put) {
    if (auto undone = set_break(now); !undone) return std::unexpected(undone.error());
    return std::unexpected(put.error());
  }
  return program_break(now, start, size_bytes, *put);
}

result<std::span<std::byte>> program_break::extend(std::size_t size_bytes,
                                                   std::size_t alignment) noexcept {
  const auto address = reinterpret_cast<std::uintptr_t>(start_) + used_;
  const std::size_t gap = (alignment - address % alignment) % alignment;
  const std::size_t left = size_ - used_;
  if (gap > left || size_bytes > left - gap) {
    return refusal(ENOMEM, "program_break", "% bytes of the claim are left", left);
  }
  std::byte* const given = start_ + used_ + gap;
  used_ += gap + size_bytes;
  return std::span(given, size_bytes);
}

result<void> program_break::shrink_to(const std::byte* first) noexcept {
  if (first < start_ || first > start_ + used_) {
    return refusal(EINVAL, "program_break", "the address is not of the % bytes handed out", used_);
  }
  const auto keep = static_cast<std::size_t>(first - start_);
  const std::size_t page = page_size();
  const std::size_t whole = (keep + page - 1) / page * page;
  const std::size_t end = (used_ + page - 1) / page * page;
  if (end > whole) {
    if (auto told = tell(calls::madvise, start_ + whole, end - whole, MADV_DONTNEED); !told) {
      return told;
    }
  }
  std::fill(start_ + keep, start_ + std::min(whole, used_), std::byte{0});
  used_ = keep;
  return {};
}

result<program_break::outcome> program_break::release() noexcept {
  if (start_ == nullptr) return outcome::nothing_held;
  std::byte* const start = std::exchange(start_, nullptr);
  std::byte* const end = start + std::exchange(size_, 0);
  used_ = 0;
  const bool is_ours =
      library_break() == end && position() == reinterpret_cast<std::uintptr_t>(end);
  result<void> done;
  if (is_ours) {
    done = set_break(before_);
  } else {
    done = tell(calls::madvise, start, end - start, MADV_DONTNEED);
    // Where somebody moved the break down, part of the claim is gone; the rest was given back.
    if (!done && done.error().number == ENOMEM) done = {};
  }
  result<void> unmapped;
  if (has_barrier_) unmapped = tell(calls::munmap, end, page_size());
  is_claimed.store(false, std::memory_order_release);
  if (!done) return std::unexpected(done.error());
  if (!unmapped) return std::unexpected(unmapped.error());
  return is_ours ? outcome::given_back : outcome::contents_only;
}

}  // namespace acre::os
