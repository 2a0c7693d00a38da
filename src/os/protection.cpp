#include <acre/os/aligned.hpp>
#include <acre/os/page.hpp>
#include <acre/os/protection.hpp>

#include "os/kernel.hpp"
#include "os/mapping_range.hpp"
#include "os/protection_keys.hpp"
#include "os/refusal.hpp"

#include <array>
#include <mutex>
#include <new>
#include <optional>

#include <sys/mman.h>

namespace acre::os {

namespace {

constexpr int read_write = PROT_READ | PROT_WRITE;

/// Takes a key that closes the pages, and gives it to them.
result<int> close_with_key(std::span<std::byte> range) noexcept {
  if (!processor_has_protection_keys()) {
    return refusal(EOPNOTSUPP, "pkey_alloc", "this processor has no protection keys");
  }
  const auto key = ask(calls::pkey_alloc, 0, PKEY_DISABLE_ACCESS);
  if (!key && key.error().number == ENOSPC) {
    return because(key.error(), "all 15 keys of the process are taken");
  }
  if (!key) return refusal(EOPNOTSUPP, "pkey_alloc", "this kernel has no protection keys");
  const auto given =
      tell(calls::pkey_mprotect, range.data(), range.size(), read_write, static_cast<int>(*key));
  if (given) return static_cast<int>(*key);
  static_cast<void>(tell(calls::pkey_free, static_cast<int>(*key)));
  return std::unexpected(given.error());
}

/// How many scopes of the thread hold each key open.
thread_local std::array<unsigned, protection_key_count> open_scopes{};

}  // namespace

/// Thread-safety: `key`, `range` and `resting` are constant; `open_count` is guarded by `opening`.
struct protection::state {
  std::span<std::byte> range;
  page_access resting = page_access::none;
  int key = -1;
  std::mutex opening;
  std::size_t open_count = 0;

  result<void> open() noexcept {
    if (key >= 0) {
      if (open_scopes[static_cast<std::size_t>(key)]++ == 0) set_key_access(key, true);
      return {};
    }
    const std::scoped_lock held(opening);
    if (open_count == 0) {
      const auto opened = tell(calls::mprotect, range.data(), range.size(), read_write);
      if (!opened) return opened;
    }
    ++open_count;
    return {};
  }

  result<void> close() noexcept {
    if (key >= 0) {
      if (--open_scopes[static_cast<std::size_t>(key)] == 0) set_key_access(key, false);
      return {};
    }
    const std::scoped_lock held(opening);
    if (open_count == 1) {
      const auto closed =
          tell(calls::mprotect, range.data(), range.size(), protection_bits(resting));
      if (!closed) return closed;
    }
    --open_count;
    return {};
  }

  /// Gives access back to everyone, and then the key.
  result<void> end() noexcept {
    if (key < 0) return tell(calls::mprotect, range.data(), range.size(), read_write);
    const auto given = tell(calls::pkey_mprotect, range.data(), range.size(), read_write, 0);
    return given ? tell(calls::pkey_free, key) : given;
  }
};

bool protection_keys_work() noexcept {
  if (!processor_has_protection_keys()) return false;
  const auto key = ask(calls::pkey_alloc, 0, PKEY_DISABLE_ACCESS);
  return key && tell(calls::pkey_free, static_cast<int>(*key));
}

protection::protection() noexcept = default;
protection::protection(protection&&) noexcept = default;

protection& protection::operator=(protection&& other) noexcept {
  protection taken(std::move(other));
  std::swap(state_, taken.state_);
  return *this;
}

protection::~protection() {
  static_cast<void>(release());
}

result<protection> protection::over(std::span<std::byte> range, page_access resting,
                                    protection_choice choice) noexcept {
  if (range.empty() || !is_aligned(range.data(), page_size()) ||
      !is_aligned(range.size(), page_size())) {
    return refusal(EINVAL, "protection", "the range must be whole pages of % bytes", page_size());
  }
  if (resting != page_access::none && resting != page_access::read) {
    return refusal(EINVAL, "protection", "pages can rest with read access or none");
  }
  if (choice == protection_choice::key_only && resting != page_access::none) {
    return refusal(EOPNOTSUPP, "pkey_alloc", "a key can close pages to no access only");
  }
  protection made;
  made.state_.reset(new (std::nothrow) state{});
  if (made.state_ == nullptr) return refusal(ENOMEM, "protection");
  made.state_->range = range;
  made.state_->resting = resting;
  if (choice != protection_choice::pages_only && resting == page_access::none) {
    const auto key = close_with_key(range);
    if (key) {
      made.state_->key = *key;
      return made;
    }
    if (choice == protection_choice::key_only) {
      made.state_.reset();
      return std::unexpected(key.error());
    }
  }
  const auto closed = tell(calls::mprotect, range.data(), range.size(), protection_bits(resting));
  if (closed) return made;
  made.state_.reset();
  return std::unexpected(closed.error());
}

protection_means protection::means() const noexcept {
  return state_->key >= 0 ? protection_means::key : protection_means::pages;
}

result<protection::scope> protection::open() noexcept {
  if (state_ == nullptr) return refusal(EINVAL, "protection", "the value is empty");
  const auto opened = state_->open();
  if (!opened) return std::unexpected(opened.error());
  return scope(state_.get());
}

result<void> protection::release() noexcept {
  if (state_ == nullptr) return {};
  const auto ended = state_->end();
  state_.reset();
  return ended;
}

protection::scope::~scope() {
  static_cast<void>(close());
}

result<void> protection::scope::close() noexcept {
  if (state_ == nullptr) return {};
  const auto closed = state_->close();
  if (closed) state_ = nullptr;
  return closed;
}

}  // namespace acre::os
