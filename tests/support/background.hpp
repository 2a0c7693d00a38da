#pragma once

#include <atomic>
#include <thread>
#include <utility>
#include <vector>

namespace acre_test {

/// Threads that repeat some work until this object dies.
class background_threads {
 public:
  template <class Work>
  background_threads(std::size_t thread_count, Work work) {
    for (std::size_t index = 0; index < thread_count; ++index) {
      threads_.emplace_back([this, index, work]() mutable {
        while (!stop_.load(std::memory_order_relaxed))
          work(index);
      });
    }
  }
  background_threads(const background_threads&) = delete;
  background_threads& operator=(const background_threads&) = delete;
  ~background_threads() {
    stop_.store(true, std::memory_order_relaxed);
    for (std::thread& thread : threads_)
      thread.join();
  }

 private:
  std::atomic<bool> stop_{
      false};  ///< written by the destructor, read by the threads; orders nothing
  std::vector<std::thread> threads_;
};

}  // namespace acre_test
