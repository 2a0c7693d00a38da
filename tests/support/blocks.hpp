#pragma once

#include <acre/malloc.h>

#include <functional>
#include <thread>
#include <vector>

namespace acre_test {

inline void free_blocks(const std::vector<void*>& blocks) {
  for (void* block : blocks)
    acre_free(block);
}

/// Runs `body` in a thread that has a heap of its own, and ends the thread.
inline void in_thread(const std::function<void()>& body) {
  std::thread([&body] {
    acre_free(acre_malloc(16));
    body();
  }).join();
}

}  // namespace acre_test
