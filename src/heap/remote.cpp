#include "heap/remote.hpp"

#include "heap/foreign.hpp"
#include "heap/fork.hpp"
#include "heap/purger.hpp"
#include "heap/slabs.hpp"

#include <utility>

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

/// Empties the batch; returns how many blocks it held.
std::size_t take_all(remote_batch& batch) noexcept {
  batch.filled = 0;
  return std::exchange(batch.count, 0);
}

}  // namespace

void send_batch(remote_batch& batch) noexcept {
  // Emptied first: a report from inside may run the program's abort handler.
  const std::size_t count = take_all(batch);
  give_blocks(*batch.target, batch.blocks, count);
  purge_later();
}

namespace {

bool try_send_batch(remote_batch& batch) noexcept {
  if (!batch.target->lock.try_acquire()) return false;
  const std::size_t count = take_all(batch);
  give_to_slabs(*batch.target, batch.blocks, count);
  batch.target->lock.release();
  return true;
}

}  // namespace

void send_home(heap_body& from, bin& owner, void* block) noexcept {
  heap_body& target = *body_of(&owner);
  remote_batch& batch = batch_for(from, owner);
  if (batch.target != &target) {
    if (batch.count > 0) send_batch(batch);
    batch.target = &target;
  }
  add_to_batch(batch, owner, block);
  if (is_full(batch)) send_batch(batch);
}

bool try_send_home(heap_body& from, bin& owner, void* block) noexcept {
  heap_body* const target = body_of(&owner);
  remote_batch& batch = batch_for(from, owner);
  const bool fits =
      batch.target == target && batch.filled + part_of_batch(owner) < remote_batch_full;
  if (!fits && batch.count > 0 && !try_send_batch(batch)) return false;
  batch.target = target;
  add_to_batch(batch, owner, block);
  return true;
}

void free_remote(heap_body& from, bin& owner, void* block) noexcept {
  // Nothing of the other heap's memory is read here but what never changes: its owner writes there
  // all the time.
  heap_body* const target = body_of(&owner);
  remote_batch& batch = batch_for(from, owner);
  // A heap object can be destroyed, so nothing of it may wait.
  if (target->kind == body_kind::object) return free_direct(owner, block);
  if (batch.count > 0) send_batch(batch);
  batch.target = target;
  from.keeps_foreign = true;
  if (bin* const keeper = willing_keeper_of(from, owner); keeper != nullptr)
    return keep_foreign(from, *keeper, owner, block);
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
