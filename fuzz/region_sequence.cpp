/// Fuzz target: any bytes are a sequence of uses of regions, checked against models.
///
/// The first byte chooses the region and its source; then each two bytes are a step: what to do,
/// and how much or to which block.
#include <acre/region/arena.hpp>
#include <acre/region/buffer_source.hpp>
#include <acre/region/child_arena.hpp>
#include <acre/region/pool.hpp>
#include <acre/region/refused.hpp>
#include <acre/region/shared_pool.hpp>
#include <acre/region/stack.hpp>

#include "support/pattern.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <span>
#include <vector>

namespace {

using namespace acre::region;

struct held_block {
  void* data;
  std::size_t size_bytes;
  std::size_t tag;
  bool is_freed = false;  ///< but holds its place, which marks count
};

struct placed_mark {
  arena::marker marker;
  std::size_t blocks;
};

void require(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "broken: %s\n", what);
  std::abort();
}

/// What every region has: blocks that keep their contents.
class blocks_model {
 public:
  void put(void* data, std::size_t size_bytes) {
    acre_test::fill_pattern(data, size_bytes, ++tag_);
    blocks_.push_back({data, size_bytes, tag_});
  }

  void check(const held_block& block) const {
    require(block.is_freed || acre_test::holds_pattern(block.data, block.size_bytes, block.tag),
            "a live block keeps its contents");
  }

  held_block take(std::size_t index) {
    std::swap(blocks_[index], blocks_.back());
    return take_newest();
  }

  held_block take_newest() {
    const held_block taken = blocks_.back();
    check(taken);
    blocks_.pop_back();
    return taken;
  }

  void check_all() const {
    for (const held_block& block : blocks_)
      check(block);
  }

  std::vector<held_block> blocks_;

 private:
  std::size_t tag_ = 0;
};

std::size_t size_of(std::uint8_t amount) {
  return (std::size_t{amount} & 31U) << (amount >> 5U);
}

/// Takes and gives back in an arena inside an arena, small and large.
void use_child(arena& parent, std::uint8_t amount) {
  child_arena child(parent);
  blocks_model model;
  for (unsigned count = amount % 8U; count > 0; --count) {
    const std::size_t size = count % 4 == 3 ? arena::least_own_block_bytes : size_of(amount);
    void* const data = child->try_allocate(size);
    if (data != nullptr) model.put(data, size);
  }
  model.check_all();
  if (amount % 2 != 0 || model.blocks_.empty()) return;
  const held_block freed = model.take_newest();
  child->deallocate(freed.data, freed.size_bytes);
  require(child->check_invariants(), "the child's invariants");
}

void use_arena(source& from, std::span<const std::uint8_t> steps) {
  arena tested({.from = &from, .own_block_bytes = arena::least_own_block_bytes});
  blocks_model model;
  std::vector<placed_mark> marks;
  for (std::size_t at = 0; at + 1 < steps.size(); at += 2) {
    const std::uint8_t amount = steps[at + 1];
    switch (steps[at] % 16) {
      case 8:
        if (!model.blocks_.empty()) {
          held_block& freed = model.blocks_[amount % model.blocks_.size()];
          if (freed.is_freed) break;
          model.check(freed);
          tested.deallocate(freed.data, freed.size_bytes);
          freed.is_freed = true;
        }
        break;
      case 9:
        try {
          use_child(tested, amount);
        } catch (const refused&) {
        }
        break;
      case 10: {
        const std::size_t size = arena::least_own_block_bytes + std::size_t{amount} * 1000;
        void* const data = tested.try_allocate(size, std::size_t{1} << (steps[at] >> 5U));
        if (data != nullptr) model.put(data, size);
        break;
      }
      case 0:
        marks.clear();
        model.blocks_.clear();
        tested.reset(amount % 3 == 0   ? keep::nothing()
                     : amount % 3 == 1 ? keep::up_to(std::size_t{amount} * 16)
                                       : keep::recent(1 + amount % 100U, 8));
        break;
      case 1:
        if (tested.try_allocate(0) != nullptr)
          marks.push_back({tested.mark(), model.blocks_.size()});
        break;
      case 2:
        if (!marks.empty()) {
          const std::size_t index = amount % marks.size();
          tested.rollback(marks[index].marker);
          model.blocks_.resize(marks[index].blocks);
          marks.resize(index + 1);
        }
        break;
      default: {
        const std::size_t size = size_of(amount);
        void* const data = tested.try_allocate(size, std::size_t{1} << (steps[at] >> 5U));
        if (data != nullptr) model.put(data, size);
      }
    }
    require(tested.check_invariants(), "the arena's invariants");
  }
  model.check_all();
}

void use_pool(source& from, std::uint8_t shape, std::span<const std::uint8_t> steps) {
  pool tested({.from = &from,
               .block_bytes = 1 + size_of(shape) % 500,
               .alignment = std::size_t{1} << (shape % 8U),
               .chunk_bytes = 1024});
  blocks_model model;
  for (std::size_t at = 0; at + 1 < steps.size(); at += 2) {
    if (steps[at] % 2 == 0) {
      for (unsigned count = steps[at + 1] % 32U; count > 0; --count) {
        void* const data = tested.try_allocate();
        if (data != nullptr) model.put(data, tested.block_bytes());
      }
    } else {
      for (unsigned count = steps[at + 1] % 32U; count > 0 && !model.blocks_.empty(); --count)
        tested.deallocate(model.take(steps[at] % model.blocks_.size()).data);
    }
    if (steps[at] == 255) tested.trim();
    require(tested.check_invariants(), "the pool's invariants");
    require(tested.statistics().live_blocks == model.blocks_.size(), "the pool's count");
  }
  model.check_all();
}

/// Magazines are used whether or not the build watches.
void use_shared_pool(source& from, std::uint8_t shape, std::span<const std::uint8_t> steps) {
  shared_pool tested({.from = &from,
                      .block_bytes = 1 + size_of(shape) % 500,
                      .chunk_bytes = 4096,
                      .watch = watching::off});
  blocks_model model;
  for (std::size_t at = 0; at + 1 < steps.size(); at += 2) {
    for (unsigned count = steps[at + 1]; count > 0; --count) {
      if (steps[at] % 2 == 0) {
        void* const data = tested.try_allocate();
        if (data != nullptr) model.put(data, tested.block_bytes());
      } else if (!model.blocks_.empty()) {
        tested.deallocate(model.take(steps[at] % model.blocks_.size()).data);
      }
    }
    if (steps[at] == 255) tested.trim();
    if (at % 16 == 0) require(tested.check_invariants(), "the shared pool's invariants");
    require(tested.statistics().live_blocks == model.blocks_.size(), "the shared pool's count");
  }
  while (!model.blocks_.empty())
    tested.deallocate(model.take_newest().data);
}

void use_stack(source& from, std::span<const std::uint8_t> steps) {
  stack_resource tested(
      {.from = &from, .first_block_bytes = 512, .when_out_of_order = out_of_order::defer});
  blocks_model model;
  for (std::size_t at = 0; at + 1 < steps.size(); at += 2) {
    const std::uint8_t amount = steps[at + 1];
    if (steps[at] % 4 < 2) {
      void* const data = tested.try_allocate(size_of(amount), std::size_t{1} << (steps[at] >> 5U));
      if (data != nullptr) model.put(data, size_of(amount));
    } else if (!model.blocks_.empty()) {
      const bool is_newest = steps[at] % 4 == 2;
      tested.deallocate(
          (is_newest ? model.take_newest() : model.take(amount % model.blocks_.size())).data);
    }
    require(tested.check_invariants(), "the stack's invariants");
    require(tested.statistics().live_blocks == model.blocks_.size(), "the stack's count");
  }
  model.check_all();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  alignas(4096) static std::array<std::byte, 1'048'576> buffer;
  buffer_source of_buffer(buffer);
  source& from = data[0] % 2 == 0 ? static_cast<source&>(of_buffer) : default_source();
  const std::span<const std::uint8_t> steps(data + 2, size - 2);
  switch (data[0] / 2 % 4) {
    case 0:
      use_arena(from, steps);
      break;
    case 1:
      use_pool(from, data[1], steps);
      break;
    case 2:
      use_shared_pool(from, data[1], steps);
      break;
    default:
      use_stack(from, steps);
  }
  require(of_buffer.check_invariants(), "the buffer's invariants");
  return 0;
}
