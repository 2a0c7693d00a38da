#include "heap/remote.hpp"

#include "heap/fork.hpp"
#include "heap/slabs.hpp"

namespace acre::heaps {

namespace {

void give_blocks(heap_body& owner, void* const* blocks, std::size_t count) noexcept {
  if (!owner.lock.acquire_unless(fork_pending)) {
    (void)park_blocks(blocks, count);
    return;
  }
  give_to_slabs(owner, blocks, count);
  owner.lock.release();
}

void send(remote_batch& batch) noexcept {
  // Emptied first: a report from inside may run the program's abort handler.
  const std::uint32_t count = batch.count;
  batch.count = 0;
  batch.bytes = 0;
  give_blocks(*batch.target, batch.blocks, count);
}

}  // namespace

void free_remote(heap_body& from, bin& owner, void* block) noexcept {
  // Nothing of the other heap's memory is read here: its owner writes there all the time.
  heap_body* const target = body_of(&owner);
  const std::uint32_t bytes = class_shapes[class_of_bin(*target, owner)].bytes;
  const auto hash = reinterpret_cast<std::uintptr_t>(target) / body_bytes;
  remote_batch& batch = from.batches[hash % remote_batch_count];
  if (batch.target != target) [[unlikely]] {
    // A heap object can be destroyed, so nothing of it may wait.
    if (target->kind == body_kind::object) return free_direct(owner, block);
    if (batch.count > 0) send(batch);
    batch.target = target;
  }
  batch.blocks[batch.count++] = block;
  batch.bytes += bytes;
  if (batch.count == std::size(batch.blocks) || batch.bytes > remote_batch_bytes) [[unlikely]]
    send(batch);
}

void free_direct(bin& owner, void* block) noexcept { give_blocks(*body_of(&owner), &block, 1); }

void send_all_batches(heap_body& heap) noexcept {
  for (remote_batch& batch : heap.batches)
    if (batch.count > 0) send(batch);
}

}  // namespace acre::heaps
