#include <acre/heap/heap.hpp>

#include "heap/address_space.hpp"
#include "heap/heap_object.hpp"

#include <new>

namespace acre {

using heaps::heap_body;

namespace {

heap_body& body(void* state) noexcept {
  return *static_cast<heap_body*>(state);
}

}  // namespace

heap::heap(const heap_options& options)
    : state_(heaps::make_object(options.name, options.limit_bytes)) {
  if (state_ == nullptr) throw std::bad_alloc();
}

heap::~heap() {
  heaps::destroy_object(body(state_));
}

void* heap::try_allocate(std::size_t size_bytes, std::size_t alignment) noexcept {
  return heaps::allocate_from_object(body(state_), size_bytes, alignment);
}

void heap::release() noexcept {
  heaps::release_object(body(state_));
}

bool heap::owns(const void* block) const noexcept {
  return heaps::object_owns(body(state_), block);
}

std::string_view heap::name() const noexcept {
  return body(state_).name;
}

heap_statistics heap::statistics() const noexcept {
  const heaps::object_counts counts = heaps::count_object(body(state_));
  return {.allocations = counts.allocations,
          .live_blocks = counts.live_blocks,
          .live_bytes = counts.live_bytes,
          .committed_bytes = counts.committed_bytes};
}

void* heap::do_allocate(std::size_t size_bytes, std::size_t alignment) {
  void* const block = try_allocate(size_bytes, alignment);
  if (block == nullptr) throw std::bad_alloc();
  return block;
}

void heap::do_deallocate(void* block, std::size_t, std::size_t) {
  heaps::free_to_object(body(state_), block);
}

}  // namespace acre
