#include <acre/os/secret_pool.hpp>

#include "base/assert.hpp"
#include "os/process_mark.hpp"
#include "os/refusal.hpp"
#include "os/secret_chunk.hpp"

#include <algorithm>
#include <mutex>
#include <new>

namespace acre::os {

namespace detail {

/// What a pool and its secrets share; it goes with the last of them.
struct secret_pool_body {
  secret_level level = secret_level::guarded;
  process_mark mark;
  mutable std::mutex mutex;
  std::array<chunk_list, slot_sizes.size()> chunks;  // guarded by mutex, as what follows
  std::size_t secrets = 0;
  bool is_closed = false;  // the pool is gone

  [[nodiscard]] result<secret_chunk*> add_chunk(std::size_t class_index) noexcept;
  [[nodiscard]] result<secret_chunk*> chunk_with_room(std::size_t class_index) noexcept;
  [[nodiscard]] result<std::byte*> take(secret_chunk& chunk, std::size_t size_bytes) noexcept;
  [[nodiscard]] result<void> give_back(secret_chunk& chunk, std::byte* data,
                                       std::size_t size_bytes) noexcept;
  void rearrange(secret_chunk& chunk, bool was_full) noexcept;
  /// Whether the pool and all its secrets are gone, so that the caller has to delete the body.
  [[nodiscard]] bool is_done() const noexcept { return is_closed && secrets == 0; }
  void unmap_all() noexcept;
};

result<secret_chunk*> secret_pool_body::add_chunk(std::size_t class_index) noexcept {
  auto* const chunk = new (std::nothrow) secret_chunk;
  if (chunk == nullptr) return refusal(ENOMEM, "secret_pool");
  const auto pages = map_secret_pages(chunk_bytes, {.wanted = level, .required = level});
  if (!pages) {
    delete chunk;
    return std::unexpected(pages.error());
  }
  chunk->pool = this;
  chunk->pages = *pages;
  chunk->class_index = class_index;
  chunk->count = chunk->pages.size / chunk->stride();
  chunks[class_index].push_front(chunk);
  return chunk;
}

result<secret_chunk*> secret_pool_body::chunk_with_room(std::size_t class_index) noexcept {
  secret_chunk* const first = chunks[class_index].first;
  if (first != nullptr && !first->is_full()) return first;
  return add_chunk(class_index);
}

result<std::byte*> secret_pool_body::take(secret_chunk& chunk, std::size_t size_bytes) noexcept {
  const std::size_t index = chunk.take();
  std::byte* const data = chunk.slot(index);
  if (chunk.is_full()) {
    chunks[chunk.class_index].remove(&chunk);
    chunks[chunk.class_index].push_back(&chunk);
  }
  const std::span slot(data, chunk.stride());
  const bool is_zero = std::ranges::all_of(slot, [](std::byte one) { return one == std::byte{0}; });
  if (!is_zero) {
    wipe(slot);
    const bool was_full = chunk.is_full();
    chunk.give_back(index);
    rearrange(chunk, was_full);
    return refusal(EOVERFLOW, "secret slot", "a secret was written to after it was closed");
  }
  build_fence(slot.subspan(size_bytes), mark.key);
  ++secrets;
  return data;
}

void secret_pool_body::rearrange(secret_chunk& chunk, bool was_full) noexcept {
  chunk_list& list = chunks[chunk.class_index];
  if (was_full) {
    list.remove(&chunk);
    list.push_front(&chunk);
  }
  if (chunk.taken != 0) return;
  list.remove(&chunk);
  // One chunk with room is kept, so that a secret that comes and goes does not map and unmap.
  const bool is_needed = list.first == nullptr || list.first->is_full();
  // Empty pages that the kernel will not take back are kept and used again.
  if (is_needed || !unmap_secret_pages(chunk.pages)) {
    list.push_front(&chunk);
  } else {
    delete &chunk;
  }
}

result<void> secret_pool_body::give_back(secret_chunk& chunk, std::byte* data,
                                         std::size_t size_bytes) noexcept {
  const std::size_t index = chunk.index_of(data);
  const bool was_full = chunk.is_full();
  const std::span slot(data, chunk.stride());
  bool is_whole = is_fence_whole(slot.subspan(size_bytes), mark.key);
  if (index > 0 && chunk.is_taken(index - 1)) {
    is_whole = is_fence_whole(chunk.fence(index - 1), mark.key) && is_whole;
  }
  wipe(slot);
  chunk.give_back(index);
  --secrets;
  rearrange(chunk, was_full);
  if (is_whole) return {};
  return refusal(EOVERFLOW, "secret fence", "bytes beside a secret of % bytes were overwritten",
                 size_bytes);
}

void secret_pool_body::unmap_all() noexcept {
  for (chunk_list& list : chunks) {
    while (list.first != nullptr) {
      secret_chunk* const chunk = list.first;
      list.remove(chunk);
      // All slots are wiped by now: pages that the kernel will not take back tell nothing.
      (void)unmap_secret_pages(chunk->pages);
      delete chunk;
    }
  }
}

}  // namespace detail

result<secret_pool> secret_pool::create(secret_request request) noexcept {
  const auto mark = current_process_mark();
  if (!mark) return std::unexpected(mark.error());
  // The first pages are mapped to find the level, and given back.
  const auto pages = map_secret_pages(detail::chunk_bytes, request);
  if (!pages) return std::unexpected(pages.error());
  if (auto done = unmap_secret_pages(*pages); !done) return std::unexpected(done.error());
  auto* const body = new (std::nothrow) detail::secret_pool_body;
  if (body == nullptr) return refusal(ENOMEM, "secret_pool");
  body->level = pages->level;
  body->mark = *mark;
  return secret_pool(body);
}

secret_pool::secret_pool(secret_pool&& other) noexcept = default;
secret_pool& secret_pool::operator=(secret_pool&& other) noexcept = default;
secret_pool::~secret_pool() = default;

void secret_pool::body_deleter::operator()(detail::secret_pool_body* body) const noexcept {
  // In a child, a thread that is gone may have held the lock and left the chunks half changed; its
  // copy of them stays until it ends.
  if (!is_generation(body->mark.generation)) return;
  const bool is_done = [&] {
    const std::lock_guard lock(body->mutex);
    body->is_closed = true;
    return body->is_done();
  }();
  if (!is_done) return;
  body->unmap_all();
  delete body;
}

result<secret> secret_pool::make(std::size_t size_bytes) noexcept {
  if (size_bytes == 0 || size_bytes > size_bytes_max) {
    return refusal(EINVAL, "secret_pool",
                   "a pool's secrets have from 1 to % bytes; use secret_memory for more",
                   size_bytes_max);
  }
  if (!is_generation(body_->mark.generation)) {
    return refusal(EPERM, "secret_pool", "the pool belongs to the process that made it");
  }
  const std::lock_guard lock(body_->mutex);
  const auto chunk = body_->chunk_with_room(detail::slot_class(size_bytes));
  if (!chunk) return std::unexpected(chunk.error());
  const auto data = body_->take(**chunk, size_bytes);
  if (!data) return std::unexpected(data.error());
  return secret(*chunk, *data, size_bytes);
}

secret_level secret_pool::level() const noexcept {
  return body_->level;
}

std::size_t secret_pool::secrets() const noexcept {
  const std::lock_guard lock(body_->mutex);
  return body_->secrets;
}

secret::~secret() {
  if (!close()) base::fatal("acre: a secret was overrun");
}

result<void> secret::close() noexcept {
  if (data_ == nullptr) return {};
  std::byte* const data = std::exchange(data_, nullptr);
  const std::size_t size = std::exchange(size_, 0);
  detail::secret_chunk& chunk = *std::exchange(chunk_, nullptr);
  detail::secret_pool_body& body = *chunk.pool;
  // A child has no part in the parent's secrets.
  if (!is_generation(body.mark.generation)) return {};
  bool is_last = false;
  auto given = [&] {
    const std::lock_guard lock(body.mutex);
    auto done = body.give_back(chunk, data, size);
    is_last = body.is_done();
    return done;
  }();
  if (is_last) {
    body.unmap_all();
    delete &body;
  }
  return given;
}

}  // namespace acre::os
