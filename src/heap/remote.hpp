#pragma once

#include "heap/body.hpp"

/// Frees of blocks that belong to another heap.
///
/// The pointer is put into a small batch for its owner; a full batch is put into the owner's slabs
/// under the owner's lock, by the freeing thread itself. So an owner that is idle, or gone, or
/// never allocates again holds nothing back, and the freed block itself is not touched.
namespace acre::heaps {

/// Frees a block of another heap. `from` is the calling thread's own heap.
void free_remote(heap_body& from, bin& owner, void* block) noexcept;

/// Frees a block at once, under its owner's lock; for callers without a heap.
void free_direct(bin& owner, void* block) noexcept;

void send_all_batches(heap_body& heap) noexcept;

}  // namespace acre::heaps
