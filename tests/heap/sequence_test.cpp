/// Random sequences of calls against a model that knows every live block.
///
/// The model checks contents, overlap, alignment and usable sizes; the heap's own invariants are
/// checked in between. A run prints its seed and repeats with ACRE_TEST_SEED.
#include "support/heap_model.hpp"
#include "support/invariants.hpp"
#include "support/random.hpp"
#include "support/sanitizer.hpp"

#include <mutex>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

namespace {

using acre_test::heap_model;
using acre_test::invariants_hold;
using acre_test::random_source;

constexpr int step_count = acre_test::is_sanitized ? 20'000 : 120'000;

/// What a sequence looks like; each shape exercises other parts of the heap.
struct shape {
  unsigned size_bits;     ///< sizes are below 2 to this power, small ones as likely as large ones
  std::size_t bytes_max;  ///< above this much held, calls only free
  unsigned alignment_bits;
  std::size_t grow_percent;
};

void allocate_one(heap_model& model, random_source& random, const shape& how) {
  const auto way =
      static_cast<heap_model::way>(random.below(static_cast<std::size_t>(heap_model::way::count)));
  const std::size_t alignment = std::size_t{1} << random.below(how.alignment_bits + 1);
  model.allocate(way, random.size_up_to(how.size_bits), alignment);
}

void step(heap_model& model, random_source& random, const shape& how) {
  const std::size_t choice = random.below(100);
  const bool is_full = model.held_bytes() > how.bytes_max;
  if (model.count() == 0 || (!is_full && choice < how.grow_percent)) {
    allocate_one(model, random, how);
  } else if (!is_full && choice < how.grow_percent + 12) {
    model.resize(random.below(model.count()), random.size_up_to(how.size_bits));
  } else if (choice < 97) {
    model.free(random.below(model.count()));
  } else {
    model.look(random.below(model.count()));
  }
}

void run_sequence(heap_model& model, random_source& random, const shape& how, int steps) {
  for (int index = 0; index < steps; ++index) {
    step(model, random, how);
    if (index % 20'000 == 19'999) {
      ASSERT_TRUE(invariants_hold());
      model.look_at_all();
    }
  }
}

TEST(sequence, of_small_blocks) {
  random_source random(1);
  heap_model model;
  run_sequence(model, random, {10, 8U << 20U, 7, 50}, step_count);
  EXPECT_TRUE(invariants_hold());
}

TEST(sequence, of_all_sizes_and_alignments) {
  random_source random(2);
  heap_model model;
  run_sequence(model, random, {21, 48U << 20U, 16, 48}, step_count / 16);
  EXPECT_TRUE(invariants_hold());
}

TEST(sequence, of_large_blocks) {
  random_source random(3);
  heap_model model;
  run_sequence(model, random, {24, 128U << 20U, 22, 46}, step_count / 150);
  EXPECT_TRUE(invariants_hold());
}

TEST(sequence, of_one_size_at_a_time_in_and_out_of_order) {
  random_source random(4);
  for (int round = 0; round < 60; ++round) {
    heap_model model;
    const std::size_t size = random.size_up_to(17);
    const std::size_t count = std::min<std::size_t>(3000, (4U << 20U) / (size + 16));
    for (std::size_t index = 0; index < count; ++index) {
      model.allocate(heap_model::way::malloc, size, 1);
    }
    while (model.count() > count / 4)
      model.free(random.below(model.count()));
    for (std::size_t index = 0; index < count / 2; ++index) {
      model.allocate(heap_model::way::calloc, size, 1);
    }
    model.look_at_all();
  }
  EXPECT_TRUE(invariants_hold());
}

TEST(sequence, of_growing_and_shrinking_sets) {
  random_source random(5);
  heap_model model;
  for (int phase = 0; phase < 6; ++phase) {
    const shape grow{12U + static_cast<unsigned>(phase), 24U << 20U, 8, 80};
    const shape shrink{12U + static_cast<unsigned>(phase), 1U << 20U, 8, 20};
    run_sequence(model, random, grow, step_count / 20);
    run_sequence(model, random, shrink, step_count / 20);
    family::malloc_trim(0);
    model.look_at_all();
  }
  EXPECT_TRUE(invariants_hold());
}

/// Blocks on their way from one thread's model to another's.
class exchange {
 public:
  void put(const heap_model::block& given) {
    const std::lock_guard lock(mutex_);
    waiting_.push_back(given);
  }
  bool take(heap_model::block& out) {
    const std::lock_guard lock(mutex_);
    if (waiting_.empty()) return false;
    out = waiting_.back();
    waiting_.pop_back();
    return true;
  }

 private:
  std::mutex mutex_;
  std::vector<heap_model::block> waiting_;
};

TEST(sequence, on_threads_that_hand_blocks_to_each_other) {
  constexpr std::size_t thread_count = 4;
  exchange shared;
  std::vector<std::thread> threads;
  for (std::size_t thread = 0; thread < thread_count; ++thread) {
    threads.emplace_back([&shared, thread] {
      random_source random(100 + thread);
      heap_model model;
      const shape how{14, 4U << 20U, 8, 50};
      for (int index = 0; index < step_count / 4; ++index) {
        step(model, random, how);
        heap_model::block received;
        if (index % 3 == 0 && model.count() != 0) {
          shared.put(model.give(random.below(model.count())));
        }
        if (index % 3 == 1 && shared.take(received)) model.receive(received);
      }
    });
  }
  for (std::thread& thread : threads)
    thread.join();
  heap_model rest;
  heap_model::block left;
  while (shared.take(left))
    rest.receive(left);
  EXPECT_TRUE(invariants_hold());
}

}  // namespace
