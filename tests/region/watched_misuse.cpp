/// Misuse of regions that only AddressSanitizer or Valgrind can see: watched_misuse CASE
///
/// The library is told by nobody that it is watched. Ends with 77 where nothing watches.
#include <acre/region/arena.hpp>
#include <acre/region/pool.hpp>
#include <acre/region/shared_pool.hpp>
#include <acre/region/stack.hpp>

#include <cstdio>
#include <string_view>

#if __has_include(<valgrind/memcheck.h>)
#include <valgrind/memcheck.h>
#define ACRE_ON_VALGRIND (RUNNING_ON_VALGRIND != 0)
#else
#define ACRE_ON_VALGRIND false
#endif

#include "support/sanitizer.hpp"

namespace {

using namespace acre::region;

void write_to(void* data, std::size_t offset) {
  static_cast<volatile char*>(data)[offset] = 1;
}

int run(std::string_view name) {
  if (name == "arena_overflow") {
    arena tested;
    void* const data = tested.allocate(24);
    (void)tested.allocate(24);
    write_to(data, 24);
  } else if (name == "arena_after_reset") {
    arena tested;
    void* const data = tested.allocate(24);
    tested.reset();
    write_to(data, 0);
  } else if (name == "arena_after_rollback") {
    arena tested;
    const arena::marker before = tested.mark();
    void* const data = tested.allocate(24);
    tested.rollback(before);
    write_to(data, 0);
  } else if (name == "arena_after_free") {
    arena tested;
    void* const data = tested.allocate(24);
    tested.deallocate(data, 24);
    write_to(data, 0);
  } else if (name == "arena_large_overflow") {
    arena tested;
    write_to(tested.allocate(200'000), 200'000);
  } else if (name == "arena_large_after_free") {
    arena tested;
    void* const data = tested.allocate(200'000);
    tested.deallocate(data, 200'000);
    write_to(data, 1000);
  } else if (name == "shared_pool_after_free") {
    shared_pool tested({.block_bytes = 64});
    void* const data = tested.allocate();
    tested.deallocate(data);
    write_to(data, 32);
  } else if (name == "pool_after_free") {
    pool tested({.block_bytes = 64});
    void* const data = tested.allocate();
    tested.deallocate(data);
    write_to(data, 32);
  } else if (name == "stack_after_free") {
    stack_resource tested;
    void* const data = tested.allocate(64);
    tested.deallocate(data);
    write_to(data, 32);
  } else if (name == "good") {
    arena tested;
    for (int round = 0; round < 3; ++round) {
      for (std::size_t size = 0; size < 5000; ++size) {
        void* const data = tested.allocate(size);
        if (size > 0) write_to(data, size - 1);
      }
      for (int count = 0; count < 3; ++count) {
        void* const large = tested.allocate(2'000'000);
        write_to(large, 1'999'999);
        tested.deallocate(large, 2'000'000);
      }
      write_to(tested.allocate(500'000), 499'999);
      tested.reset();
    }
    pool blocks({.block_bytes = 64});
    void* const data = blocks.allocate();
    write_to(data, 63);
    blocks.deallocate(data);
    write_to(blocks.allocate(), 63);
    blocks.release();
  } else {
    return 2;
  }
  return 0;
}

}  // namespace

int main(int argument_count, char** arguments) {
  if (argument_count != 2) return 2;
  if (!ACRE_ON_VALGRIND && !acre_test::is_sanitized) {
    std::puts("SKIP: neither Valgrind nor AddressSanitizer watches");
    return 77;
  }
  return run(arguments[1]);
}
