#pragma once

#if ACRE_TEST_OWN_NAMES
#include <acre/malloc.h>
#endif

namespace acre_test {

/// Whether the heap's own structures are sound; known only through the acre_malloc names.
/// Requires: no other thread allocates.
inline bool invariants_hold() noexcept {
#if ACRE_TEST_OWN_NAMES
  return acre_check_invariants() == 1;
#else
  return true;
#endif
}

}  // namespace acre_test
