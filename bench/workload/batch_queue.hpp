// Batches of blocks that travel between threads, kept outside the heap so that a thread which only
// frees never calls the allocator for anything else.
#pragma once

#include "support.hpp"

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <mutex>

namespace acre::bench {

struct block_batch {
  std::uint8_t** data;
  std::size_t count;
};

/// First in, first out; waits while empty. Never full: there are only as many batches as places.
class batch_queue {
 public:
  explicit batch_queue(std::size_t places) : places_{places} {}

  void put(block_batch* batch) {
    bool first_time_full = false;
    {
      const std::scoped_lock hold{lock_};
      places_[(first_ + count_++) % places_.size()] = batch;
      first_time_full = !was_full_ && count_ == places_.size();
      was_full_ = was_full_ || first_time_full;
    }
    if (first_time_full)
      ready_.notify_all();
    else
      ready_.notify_one();
  }

  /// Waits until all places have been in use at once.
  void wait_until_full() {
    std::unique_lock hold{lock_};
    ready_.wait(hold, [this] { return was_full_; });
  }

  block_batch* take() {
    std::unique_lock hold{lock_};
    ready_.wait(hold, [this] { return count_ != 0; });
    --count_;
    block_batch* batch = places_[first_];
    first_ = (first_ + 1) % places_.size();
    return batch;
  }

 private:
  std::mutex lock_;
  std::condition_variable ready_;
  off_heap_table<block_batch*> places_;
  std::size_t first_ = 0;
  std::size_t count_ = 0;
  bool was_full_ = false;
};

/// A fixed number of batches, each either empty or full.
struct batch_queues {
  batch_queues(std::size_t batches, std::size_t blocks)
      : empty{batches}, full{batches}, pointers_{batches * blocks}, batches_{batches} {
    for (std::size_t index = 0; index < batches; ++index) {
      batches_[index] = {&pointers_[index * blocks], blocks};
      empty.put(&batches_[index]);
    }
  }

  batch_queue empty;
  batch_queue full;

 private:
  off_heap_table<std::uint8_t*> pointers_;
  off_heap_table<block_batch> batches_;
};

}  // namespace acre::bench
