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

unsigned remote_most(const bin& owner) noexcept {
  return class_shapes[class_of_bin(*body_of(&owner), owner)].remote_most;
}

}  // namespace

void send_batch(remote_batch& batch) noexcept {
  // Emptied first: a report from inside may run the program's abort handler.
  const std::size_t count = batch.count;
  batch.count = 0;
  give_blocks(*batch.target, batch.blocks, count);
}

void free_remote(heap_body& from, bin& owner, void* block) noexcept {
  // Nothing of the other heap's memory is read here: its owner writes there all the time.
  heap_body* const target = body_of(&owner);
  remote_batch& batch = batch_for(from, owner);
  if (batch.target == target && batch.count > 0) {
    batch.only = nullptr;
  } else {
    // A heap object can be destroyed, so nothing of it may wait.
    if (target->kind == body_kind::object) return free_direct(owner, block);
    if (batch.count > 0) send_batch(batch);
    batch.target = target;
    batch.only = &owner;
    batch.limit = remote_most(owner);
  }
  batch.blocks[batch.count++] = block;
  if (batch.count >= remote_most(owner)) send_batch(batch);
}

void free_direct(bin& owner, void* block) noexcept {
  give_blocks(*body_of(&owner), &block, 1);
}

void send_all_batches(heap_body& heap) noexcept {
  for (remote_batch& batch : heap.batches)
    if (batch.count > 0) send_batch(batch);
}

}  // namespace acre::heaps
