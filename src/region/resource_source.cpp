#include <acre/region/resource_source.hpp>

#include "base/bits.hpp"

#include <cerrno>

namespace acre::region {

result<block> resource_source::do_take(std::size_t size_bytes, std::size_t alignment) noexcept {
  // std::pmr's pools of libstdc++ 12 serve 600 bytes at 512 from blocks of 768, which lie at
  // multiples of 256. A size that is a multiple of the alignment is served right.
  size_bytes = base::align_up(size_bytes, alignment);
  try {
    void* const data = resource_->allocate(size_bytes, alignment);
    return block{static_cast<std::byte*>(data), size_bytes, alignment};
  } catch (...) {
    // Resources say "no memory" in many ways: std::bad_alloc, std::length_error, their own.
    return std::unexpected(failure{ENOMEM, "memory_resource::allocate"});
  }
}

void resource_source::do_give_back(block taken) noexcept {
  resource_->deallocate(taken.data, taken.size_bytes, taken.alignment);
}

result<block> heap_source::do_take(std::size_t size_bytes, std::size_t alignment) noexcept {
  void* const data = heap_->try_allocate(size_bytes, alignment);
  if (data == nullptr) return std::unexpected(failure{ENOMEM, "heap::try_allocate"});
  return block{static_cast<std::byte*>(data), size_bytes, alignment};
}

void heap_source::do_give_back(block taken) noexcept {
  heap_->deallocate(taken.data, taken.size_bytes, taken.alignment);
}

}  // namespace acre::region
