#include "heap/remote.hpp"

#include "heap/foreign.hpp"
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

namespace {

void put_into(remote_batch& batch, const bin& owner, void* block) noexcept {
  if (batch.count == 0) {
    batch.target = body_of(&owner);
    batch.only = &owner;
    batch.limit = remote_most(owner);
  } else if (batch.only != &owner) {
    batch.only = nullptr;
  }
  batch.blocks[batch.count++] = block;
}

bool try_send_batch(remote_batch& batch) noexcept {
  if (!batch.target->lock.try_acquire()) return false;
  const std::size_t count = batch.count;
  batch.count = 0;
  give_to_slabs(*batch.target, batch.blocks, count);
  batch.target->lock.release();
  return true;
}

}  // namespace

void send_home(heap_body& from, bin& owner, void* block) noexcept {
  remote_batch& batch = batch_for(from, owner);
  if (batch.count > 0 && batch.target != body_of(&owner)) send_batch(batch);
  put_into(batch, owner, block);
  if (batch.count >= remote_most(owner)) send_batch(batch);
}

bool try_send_home(heap_body& from, bin& owner, void* block) noexcept {
  remote_batch& batch = batch_for(from, owner);
  const bool is_full =
      batch.count > 0 && (batch.target != body_of(&owner) || batch.count + 1 >= remote_most(owner));
  if (is_full && !try_send_batch(batch)) return false;
  put_into(batch, owner, block);
  return true;
}

void free_remote(heap_body& from, bin& owner, void* block) noexcept {
  // Nothing of the other heap's memory is read here but what never changes: its owner writes there
  // all the time.
  heap_body* const target = body_of(&owner);
  remote_batch& batch = batch_for(from, owner);
  if (batch.target != target) {
    // A heap object can be destroyed, so nothing of it may wait.
    if (target->kind == body_kind::object) return free_direct(owner, block);
    if (batch.count > 0) send_batch(batch);
    batch.target = target;
    batch.only = nullptr;
    from.keeps_foreign = true;
    if (bin* const keeper = willing_keeper_of(from, owner); keeper != nullptr)
      return keep_foreign(from, *keeper, owner, block);
  }
  send_home(from, owner, block);
}

void free_direct(bin& owner, void* block) noexcept {
  give_blocks(*body_of(&owner), &block, 1);
}

void send_all_batches(heap_body& heap) noexcept {
  for (remote_batch& batch : heap.batches)
    if (batch.count > 0) send_batch(batch);
}

void try_send_all_batches(heap_body& heap) noexcept {
  for (remote_batch& batch : heap.batches)
    if (batch.count > 0) (void)try_send_batch(batch);
}

}  // namespace acre::heaps
