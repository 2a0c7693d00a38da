#pragma once

#include "heap/body.hpp"

/// Frees of blocks that belong to another heap.
///
/// The pointer is put into a small batch for its owner; a full batch is put into the owner's slabs
/// under the owner's lock, by the freeing thread itself. So an owner that is idle, or gone, or
/// never allocates again holds nothing back, and the freed block itself is not touched.
namespace acre::heaps {

[[nodiscard]] inline remote_batch& batch_for(heap_body& from, const bin& owner) noexcept {
  const auto hash = reinterpret_cast<std::uintptr_t>(body_of(&owner)) / body_bytes;
  return from.batches[hash % remote_batch_count];
}

void send_batch(remote_batch& batch) noexcept;

/// Of `remote_batch_full`: what a block of the bin fills.
[[nodiscard]] inline std::uint32_t part_of_batch(const bin& owner) noexcept {
  return class_shapes[bin_offset(&owner) / sizeof(bin)].batch_part;
}

/// A full batch must be sent before anything else is put into it.
[[nodiscard]] inline bool is_full(const remote_batch& batch) noexcept {
  return batch.filled >= remote_batch_full;
}

/// Requires: the batch's target is the owner's heap.
inline void add_to_batch(remote_batch& batch, const bin& owner, void* block) noexcept {
  batch.blocks[batch.count++] = block;
  batch.filled += part_of_batch(owner);
}

/// Puts a block into the batch for its owner, which is no heap object.
void send_home(heap_body& from, bin& owner, void* block) noexcept;

/// The same without waiting for another heap's lock; false when it would have to.
[[nodiscard]] bool try_send_home(heap_body& from, bin& owner, void* block) noexcept;

/// Frees a block of a heap that no batch is for. `from` is the calling thread's own heap.
void free_remote(heap_body& from, bin& owner, void* block) noexcept;

/// Frees a block at once, under its owner's lock; for callers without a heap.
void free_direct(bin& owner, void* block) noexcept;

void send_all_batches(heap_body& heap) noexcept;

/// Sends what waits for heaps whose locks are free.
void try_send_all_batches(heap_body& heap) noexcept;

}  // namespace acre::heaps
