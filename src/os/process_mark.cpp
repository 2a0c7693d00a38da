#include "os/process_mark.hpp"

#include <acre/os/page.hpp>

#include "os/kernel.hpp"

#include <atomic>

namespace acre::os {

namespace {

/// Lies on a page that the kernel zeroes in a child.
struct witness {
  std::atomic<std::uint64_t> key;
  std::atomic<std::uint64_t> generation;  // written after the key; release pairs with acquire
};

/// Written once by whichever thread comes first; release pairs with acquire.
constinit std::atomic<witness*> active{nullptr};

/// The highest generation up to here. A child has a copy, which its own number exceeds.
constinit std::atomic<std::uint64_t> last_generation{0};

result<witness*> make_witness() noexcept {
  const std::size_t size = page_size();
  const auto page =
      ask(calls::mmap, nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (!page) return std::unexpected(page.error());
  auto* const made = reinterpret_cast<witness*>(*page);
  auto advised = tell(calls::madvise, *page, size, MADV_WIPEONFORK);
  witness* other = nullptr;
  const bool is_first =
      advised && active.compare_exchange_strong(other, made, std::memory_order_acq_rel);
  if (is_first) return made;
  auto unmapped = tell(calls::munmap, *page, size);
  if (!advised) return std::unexpected(advised.error());
  if (!unmapped) return std::unexpected(unmapped.error());
  return other;
}

/// Gives the process its key and then its number.
result<void> fill(witness& page) noexcept {
  std::uint64_t random = 0;
  const auto got = ask(calls::getrandom, &random, sizeof random, 0);
  if (!got) return std::unexpected(got.error());
  std::uint64_t none = 0;
  page.key.compare_exchange_strong(none, random | 1U, std::memory_order_relaxed);
  none = 0;
  const std::uint64_t next = last_generation.fetch_add(1, std::memory_order_relaxed) + 1;
  page.generation.compare_exchange_strong(none, next, std::memory_order_release,
                                          std::memory_order_relaxed);
  return {};
}

}  // namespace

result<process_mark> current_process_mark() noexcept {
  witness* page = active.load(std::memory_order_acquire);
  if (page == nullptr) {
    const auto made = make_witness();
    if (!made) return std::unexpected(made.error());
    page = *made;
  }
  if (page->generation.load(std::memory_order_acquire) == 0) {
    if (auto filled = fill(*page); !filled) return std::unexpected(filled.error());
  }
  return process_mark{.generation = page->generation.load(std::memory_order_acquire),
                      .key = page->key.load(std::memory_order_relaxed)};
}

bool is_generation(std::uint64_t generation) noexcept {
  const witness* const page = active.load(std::memory_order_acquire);
  return page != nullptr && page->generation.load(std::memory_order_acquire) == generation;
}

}  // namespace acre::os
