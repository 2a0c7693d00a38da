#include "heap/remote.hpp"

#include "heap/fork.hpp"
#include "heap/slabs.hpp"

namespace acre::heaps {

namespace {

void give_blocks(heap_body& owner, void* const* blocks, std::size_t count) noexcept {
  // What is parked is looked at later, when a heap object may be gone: its blocks are not parked.
  if (owner.kind == body_kind::object) {
    owner.lock.acquire();
  } else if (!owner.lock.acquire_unless(fork_pending)) {
    (void)park_blocks(blocks, count);
    return;
  }
  give_to_slabs(owner, blocks, count);
  owner.lock.release();
}

[[gnu::noinline]] void send(remote_batch& batch) noexcept {
  // Emptied first: a report from inside may run the program's abort handler.
  const std::size_t count = batch.count;
  batch.count = 0;
  give_blocks(*batch.target, batch.blocks, count);
}

/// The batch is of another target, or of none.
[[gnu::noinline]] void start_batch(remote_batch& batch, bin& owner, void* block) noexcept {
  heap_body* const target = body_of(&owner);
  // A heap object can be destroyed, so nothing of it may wait.
  if (target->kind == body_kind::object) return free_direct(owner, block);
  if (batch.count > 0) send(batch);
  batch.target = target;
  batch.blocks[0] = block;
  batch.count = 1;
  if (class_shapes[class_of_bin(*target, owner)].remote_most == 1) send(batch);
}

}  // namespace

void free_remote(heap_body& from, bin& owner, void* block) noexcept {
  // Nothing of the other heap's memory is read here: its owner writes there all the time.
  heap_body* const target = body_of(&owner);
  const auto hash = reinterpret_cast<std::uintptr_t>(target) / body_bytes;
  remote_batch& batch = from.batches[hash % remote_batch_count];
  if (batch.target != target) [[unlikely]]
    return start_batch(batch, owner, block);
  const std::size_t count = batch.count + 1;
  batch.blocks[count - 1] = block;
  batch.count = count;
  if (count >= class_shapes[class_of_bin(*target, owner)].remote_most) [[unlikely]]
    send(batch);
}

void free_direct(bin& owner, void* block) noexcept {
  give_blocks(*body_of(&owner), &block, 1);
}

void send_all_batches(heap_body& heap) noexcept {
  for (remote_batch& batch : heap.batches)
    if (batch.count > 0) send(batch);
}

}  // namespace acre::heaps
