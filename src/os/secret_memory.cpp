#include <acre/os/secret_memory.hpp>

#include "base/assert.hpp"
#include "os/kernel.hpp"
#include "os/process_mark.hpp"
#include "os/refusal.hpp"
#include "os/secret_pages.hpp"

namespace acre::os {

namespace {

constexpr std::size_t alignment = 16;

constexpr int protection(secret_access access) noexcept {
  switch (access) {
    case secret_access::none:
      return PROT_NONE;
    case secret_access::read:
      return PROT_READ;
    case secret_access::read_write:
      return PROT_READ | PROT_WRITE;
  }
  return PROT_NONE;
}

}  // namespace

result<secret_memory> secret_memory::create(std::size_t size_bytes,
                                            secret_request request) noexcept {
  const auto mark = current_process_mark();
  if (!mark) return std::unexpected(mark.error());
  const auto pages = map_secret_pages(size_bytes, request);
  if (!pages) return std::unexpected(pages.error());
  secret_memory made;
  made.pages_ = pages->data;
  made.pages_bytes_ = pages->size;
  made.level_ = pages->level;
  made.generation_ = mark->generation;
  made.size_ = size_bytes;
  made.data_ = pages->data + (pages->size - (size_bytes + alignment - 1) / alignment * alignment);
  build_fence({made.pages_, made.data_}, mark->key);
  build_fence({made.data_ + size_bytes, made.pages_ + made.pages_bytes_}, mark->key);
  return made;
}

secret_memory::~secret_memory() {
  if (!close()) base::fatal("acre: a secret was overrun, or could not be wiped");
}

result<void> secret_memory::allow(secret_access access) noexcept {
  return tell(calls::mprotect, pages_, pages_bytes_, protection(access));
}

result<void> secret_memory::close() noexcept {
  if (pages_ == nullptr) return {};
  const bool is_mine = is_generation(generation_);
  bool is_whole = true;
  if (is_mine && data_ != nullptr) {
    if (auto allowed = allow(secret_access::read_write); !allowed) return allowed;
    const std::uint64_t key = current_process_mark()->key;
    is_whole = is_fence_whole({pages_, data_}, key) &&
               is_fence_whole({data_ + size_, pages_ + pages_bytes_}, key);
    wipe({pages_, pages_bytes_});
  }
  const std::size_t size = size_;
  data_ = nullptr;
  size_ = 0;
  // In a child hidden pages are not there, and something else may be in their place.
  if (is_mine || level_ != secret_level::hidden) {
    const secret_pages pages{.data = pages_, .size = pages_bytes_, .level = level_};
    if (auto unmapped = unmap_secret_pages(pages); !unmapped) return unmapped;
  }
  pages_ = nullptr;
  pages_bytes_ = 0;
  if (is_whole) return {};
  return refusal(EOVERFLOW, "secret fence", "bytes beside a secret of % bytes were overwritten",
                 size);
}

}  // namespace acre::os
