#include "heap/fork.hpp"

#include <pthread.h>

namespace acre::mallocs {

namespace {

/// Early: handlers that are registered first run last before the fork, so that what others do in
/// theirs finds the heap open.
[[gnu::constructor(101)]] void register_fork_handlers() noexcept {
  pthread_atfork(heaps::before_fork, heaps::after_fork_in_parent, heaps::after_fork_in_child);
}

}  // namespace

/// Referenced by family.cpp, so that a static library keeps this file.
extern const bool fork_is_handled = true;

}  // namespace acre::mallocs
