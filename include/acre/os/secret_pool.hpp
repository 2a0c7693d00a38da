#pragma once

#include <acre/export.h>
#include <acre/os/secret_memory.hpp>
#include <acre/result.hpp>

#include <cstddef>
#include <memory>
#include <span>
#include <utility>

/// Many small secrets on shared pages: a hundred 32-byte keys cost two pages, not four hundred.
namespace acre::os {

namespace detail {
struct secret_chunk;
struct secret_pool_body;
}  // namespace detail

/// A small secret from a `secret_pool`.
///
/// Units:          bytes; the secret starts on a multiple of 16 and is all zeros at first.
/// Ownership:      sole owner of its slot; a moved-from one is empty. It may outlive its pool.
/// Thread-safety:  distinct secrets are independent; one needs outside locking.
/// Fork:           as `secret_memory`.
class secret {
 public:
  secret() noexcept = default;
  secret(secret&& other) noexcept
      : chunk_(std::exchange(other.chunk_, nullptr)),
        data_(std::exchange(other.data_, nullptr)),
        size_(std::exchange(other.size_, 0)) {}
  secret& operator=(secret&& other) noexcept {
    secret taken(std::move(other));
    std::swap(chunk_, taken.chunk_);
    std::swap(data_, taken.data_);
    std::swap(size_, taken.size_);
    return *this;
  }
  secret(const secret&) = delete;
  secret& operator=(const secret&) = delete;
  /// As `close`; ends the program when the fence is damaged, since no memory is to be trusted then.
  ACRE_API ~secret();

  [[nodiscard]] std::span<std::byte> bytes() noexcept { return {data_, size_}; }
  [[nodiscard]] std::span<const std::byte> bytes() const noexcept { return {data_, size_}; }

  /// Wipes the secret and gives its slot back; nothing happens a second time.
  /// Fails: EOVERFLOW when bytes beside the secret were written to; it is wiped all the same.
  ACRE_API result<void> close() noexcept;

 private:
  friend class secret_pool;
  secret(detail::secret_chunk* chunk, std::byte* data, std::size_t size) noexcept
      : chunk_(chunk), data_(data), size_(size) {}

  detail::secret_chunk* chunk_ = nullptr;
  std::byte* data_ = nullptr;
  std::size_t size_ = 0;
};

/// Gives out small secrets, slot by slot, from chunks of 64 KiB between guard pages.
///
///     |guard|secret|fence|secret|fence| ... |guard|
///
/// A fence is 16 bytes and what the secret leaves of its slot; it depends on a random key and on
/// its address, and is checked when the secret before it or after it is closed. A slot is wiped
/// when its secret is closed, and checked to be still zero when it is given out again.
///
/// Thread-safety:  any thread may call.
/// Fork:           a pool belongs to the process that made it; `create` in a child fails.
class secret_pool {
 public:
  /// The largest secret of a pool; a larger one is a `secret_memory`.
  static constexpr std::size_t size_bytes_max = 1024;

  /// Fails: as `secret_memory::create`. The level reached now is that of all its secrets.
  [[nodiscard]] ACRE_API static result<secret_pool> create(secret_request request = {}) noexcept;

  ACRE_API secret_pool(secret_pool&& other) noexcept;
  ACRE_API secret_pool& operator=(secret_pool&& other) noexcept;
  secret_pool(const secret_pool&) = delete;
  secret_pool& operator=(const secret_pool&) = delete;
  /// Gives the pages back, or leaves that to the last of the secrets that are still open.
  ACRE_API ~secret_pool();

  /// A secret of zeros.
  /// Fails: EINVAL for no bytes or more than `size_bytes_max`; ENOMEM, or as the pool's level
  ///        refuses another chunk; EPERM in a process other than the pool's; EOVERFLOW when a
  ///        closed secret was written to, which is wiped again.
  [[nodiscard]] ACRE_API result<secret> make(std::size_t size_bytes) noexcept;

  /// The level of every secret of this pool.
  [[nodiscard]] ACRE_API secret_level level() const noexcept;
  /// Secrets that are open.
  [[nodiscard]] ACRE_API std::size_t secrets() const noexcept;

 private:
  struct body_deleter {
    ACRE_API void operator()(detail::secret_pool_body* body) const noexcept;
  };
  explicit secret_pool(detail::secret_pool_body* body) noexcept : body_(body) {}

  std::unique_ptr<detail::secret_pool_body, body_deleter> body_;
};

}  // namespace acre::os
