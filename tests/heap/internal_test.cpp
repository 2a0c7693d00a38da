/// Parts of the heap that cannot be seen from outside.
#include <acre/malloc.h>

#include "heap/config.hpp"
#include "heap/page_heap.hpp"
#include "os/background_thread.hpp"
#include "os/memory.hpp"
#include "support/child.hpp"
#include "support/sanitizer.hpp"

#include <atomic>
#include <cstring>
#include <thread>
#include <vector>

#include <gtest/gtest.h>
#include <sys/mman.h>

namespace {

using acre::heaps::process_pages;

/// 64 MiB of free pages, resident.
void make_dirty_pages() {
  std::vector<void*> blocks(256);
  for (void*& block : blocks) {
    block = acre_malloc(256 * 1024);
    std::memset(block, 1, 256 * 1024);
  }
  for (void* block : blocks)
    acre_free(block);
}

TEST(page_heap, a_child_of_fork_gets_back_what_its_parent_was_purging) {
  make_dirty_pages();
  acre_malloc_trim(0);
  std::atomic<bool> stop{false};
  std::atomic<bool> started{false};
  std::thread trimmer([&] {
    acre_free(acre_malloc(1));
    started = true;
    while (!stop)
      acre_malloc_trim(0);
  });
  while (!started)
    std::this_thread::yield();
  const std::size_t live = process_pages.counts().live;
  for (int count = 0; count < (acre_test::is_sanitized ? 3 : 6); ++count) {
    make_dirty_pages();
    // Purging is under way.
    while (process_pages.dirty_hint() > 12'000)
      std::this_thread::yield();
    const auto end = acre_test::run_in_child([live] {
      acre_malloc_trim(0);
      if (acre_check_invariants() != 1) return 2;
      return process_pages.counts().live <= live ? 0 : 3;
    });
    EXPECT_TRUE(end.is_clean()) << end.text();
  }
  stop = true;
  trimmer.join();
}

TEST(page_heap, does_not_count_what_a_limit_refused_as_free_memory) {
  make_dirty_pages();
  std::atomic<std::size_t>& limit = acre::heaps::config.memory_limit_bytes;
  limit = std::size_t{512} << 20U;
  EXPECT_EQ(acre_malloc(std::size_t{1} << 30U), nullptr);
  const acre::heaps::page_counts counts = process_pages.counts();
  limit = 0;
  EXPECT_LE((counts.live + counts.dirty) * 4096, std::size_t{512} << 20U);
}

/// Writes below its frame for ever.
[[gnu::noinline]] int recurse(int depth) noexcept {
  volatile char room[512];
  room[0] = static_cast<char>(depth);
  if (depth < 0) return room[0];
  return recurse(depth + 1) + room[0];
}

/// A kernel that refuses to move several mappings at once leaves a hole where they were to go.
TEST(move_pages, of_several_mappings_moves_all_or_nothing) {
  constexpr std::size_t page = 4096;
  constexpr std::size_t size = 4 * page;
  std::byte* const source = acre::os::map_on_demand(2 * size);
  ASSERT_NE(source, nullptr);
  std::byte* const target = source + size;
  ASSERT_EQ(madvise(source + page, page, MADV_DONTDUMP), 0);
  std::memset(source, 7, size);
  const bool moved = acre::os::move_pages(source, target, size);
  for (std::size_t at = 0; at < size; at += page) {
    EXPECT_EQ(source[at], moved ? std::byte{0} : std::byte{7}) << at;
    EXPECT_EQ(target[at], moved ? std::byte{7} : std::byte{0}) << at;
  }
  acre::os::unmap(source, 2 * size);
}

TEST(background_thread, that_needs_too_much_stack_ends_the_program) {
  if (acre_test::is_sanitized) GTEST_SKIP() << "no background thread under sanitizers";
  const auto end = acre_test::run_in_child([] {
    static constinit acre::os::background_thread thread;
    if (!thread.start([]() noexcept { (void)recurse(0); })) return 2;
    acre::os::background_thread::sleep_ms(2000);
    return 3;
  });
  EXPECT_TRUE(WIFSIGNALED(end.status) && WTERMSIG(end.status) == SIGSEGV) << end.text();
}

}  // namespace
