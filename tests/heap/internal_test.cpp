/// Parts of the heap that cannot be seen from outside.
#include <acre/malloc.h>

#include "heap/address_space.hpp"
#include "heap/config.hpp"
#include "heap/fork.hpp"
#include "heap/page_heap.hpp"
#include "heap/size_class.hpp"
#include "os/background_thread.hpp"
#include "os/memory.hpp"
#include "support/child.hpp"
#include "support/sanitizer.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

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

TEST(size_class, of_an_aligned_request_has_aligned_blocks) {
  using namespace acre::heaps;
  for (std::size_t alignment = 16; alignment <= page_bytes; alignment *= 2) {
    for (std::size_t size = 0; size <= class_bytes_max; ++size) {
      const std::size_t bytes = aligned_bytes(size, alignment);
      ASSERT_GE(bytes, size);
      ASSERT_LT(bytes, size + alignment + (size == 0 ? 1 : 0));
      ASSERT_EQ(class_bytes(class_of(bytes)) % alignment, 0U) << size << " at " << alignment;
    }
    EXPECT_EQ(aligned_bytes(class_bytes_max + 1, alignment), 0U);
  }
  EXPECT_EQ(aligned_bytes(1, page_bytes * 2), 0U);
}

/// Else a program would take a slab, and a trip to the page heap, for each block or two.
TEST(size_class, fits_into_runs_of_several_blocks_only) {
  using namespace acre::heaps;
  for (const class_shape& shape : class_shapes) {
    for (std::size_t pages = 1; pages < 16; ++pages) {
      if ((shape.fitting_pages >> pages & 1U) == 0) continue;
      EXPECT_GE(pages, shape.first_slab.pages) << shape.bytes;
      const std::size_t used = pages * page_bytes / shape.bytes * shape.bytes;
      EXPECT_LE((pages * page_bytes - used) * 8, pages * page_bytes) << shape.bytes;
    }
  }
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

/// As many written pages as are purged at once.
acre::heaps::run_index new_written_run() {
  constexpr std::size_t pages = 1024;
  const acre::heaps::run_index run =
      process_pages.allocate({.pages = pages, .state = acre::heaps::run_state::held}).run;
  std::memset(acre::heaps::space.address_of(acre::heaps::space.runs[run].page), 1, pages * 4096);
  return run;
}

/// Purges a run while another thread frees the next one; returns how many pages were purged.
std::size_t purge_while_another_frees() {
  const acre::heaps::run_index first = new_written_run();
  const acre::heaps::run_index second = new_written_run();
  process_pages.release(first);
  std::atomic<bool> started{false};
  std::atomic<bool> done{false};
  std::thread other([&] {
    started = true;
    // Until the first is on its way.
    while (process_pages.dirty_hint() != 0 && !done)
      std::this_thread::yield();
    process_pages.release(second);
  });
  while (!started)
    std::this_thread::yield();
  const std::size_t purged = process_pages.purge_down_to(0);
  done = true;
  other.join();
  return purged;
}

/// In a child, where no other pages are dirty and nobody else purges.
TEST(page_heap, does_not_wait_for_what_other_threads_free_while_it_purges) {
  const auto end = acre_test::run_in_child([] {
    acre_free(acre_malloc(1));
    for (int round = 0; round < 20; ++round) {
      process_pages.purge_down_to(0);
      if (purge_while_another_frees() != 1024) return 2;
    }
    return 0;
  });
  EXPECT_TRUE(end.is_clean()) << end.text();
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

/// The pages that a home gets next, freed again at once; null when they are not dirty.
std::byte* next_pages(std::size_t pages, std::uint8_t home) {
  const acre::heaps::page_grant grant =
      process_pages.allocate({.pages = pages, .state = acre::heaps::run_state::held, .home = home});
  std::byte* const start = acre::heaps::space.address_of(acre::heaps::space.runs[grant.run].page);
  process_pages.release(grant.run);
  return grant.reads_zero ? nullptr : start;
}

/// Takes twice as many clean pages and frees the second half, which no free page lies before.
std::byte* free_pages(std::size_t pages, std::uint8_t home) {
  const acre::heaps::run_index run = process_pages
                                         .allocate({.pages = 2 * pages,
                                                    .state = acre::heaps::run_state::held,
                                                    .source = acre::heaps::page_source::clean_only,
                                                    .home = home})
                                         .run;
  process_pages.shorten(run, pages);
  return acre::heaps::space.address_of(acre::heaps::space.runs[run].page + pages);
}

/// In a child, where no other pages are dirty.
TEST(page_heap, gives_freed_pages_to_the_home_that_they_are_of) {
  const auto end = acre_test::run_in_child([] {
    acre_free(acre_malloc(1));
    process_pages.purge_down_to(0);
    std::byte* const of_first = free_pages(4, 1);
    std::byte* const of_second = free_pages(2, 2);
    // Best fit alone would cut the shorter run for both.
    if (next_pages(1, 2) != of_second) return 2;
    if (next_pages(1, 1) != of_first) return 3;
    // Rather another home's than clean ones.
    if (next_pages(4, 2) != of_first) return 4;
    if (next_pages(2, 3) != of_second) return 5;
    // What a home took from another it keeps.
    if (next_pages(1, 3) != of_second) return 6;
    if (process_pages.counts().dirty != 6) return 7;
    if (process_pages.purge_down_to(0) != 6) return 8;
    return acre_check_invariants() == 1 ? 0 : 9;
  });
  EXPECT_TRUE(end.is_clean()) << end.text();
}

/// What a thread parks that saw a fork which has ended meanwhile; in a child, where nobody else
/// releases it.
TEST(page_heap, a_trim_takes_back_what_was_parked_after_a_fork) {
  const auto end = acre_test::run_in_child([] {
    void* const block = acre_malloc(64);
    const std::size_t live = acre_statistics().live_bytes;
    if (!acre::heaps::park_blocks(&block, 1)) return 2;
    acre_malloc_trim(0);
    return acre_statistics().live_bytes == live - 64 ? 0 : 3;
  });
  EXPECT_TRUE(end.is_clean()) << end.text();
}

/// A request of 32 KiB and more takes dirty pages with the clean ones beside them rather than clean
/// ones alone.
TEST(page_heap, joins_dirty_pages_with_clean_neighbours) {
  using acre::heaps::page_request;
  using acre::heaps::run_state;
  const auto end = acre_test::run_in_child([] {
    acre_free(acre_malloc(1));
    process_pages.purge_down_to(0);
    const page_request twice{.pages = 24, .state = run_state::large};
    const auto run = process_pages.allocate(twice).run;
    const std::size_t first = acre::heaps::space.runs[run].page;
    process_pages.shorten_clean(run, 12);
    process_pages.release(run);
    if (process_pages.counts().dirty != 12) return 2;
    const page_request longer{.pages = 16, .state = run_state::large};
    const auto joined = process_pages.allocate(longer).run;
    if (acre::heaps::space.runs[joined].page != first) return 3;
    if (process_pages.counts().dirty != 0) return 4;
    return acre_check_invariants() == 1 ? 0 : 5;
  });
  EXPECT_TRUE(end.is_clean()) << end.text();
}

/// A slab takes a shorter dirty run rather than more pages than there ever were.
TEST(page_heap, fills_short_dirty_runs_before_the_peak_rises) {
  using acre::heaps::page_request;
  using acre::heaps::run_state;
  using acre::heaps::space;
  const auto end = acre_test::run_in_child([] {
    acre_free(acre_malloc(1));
    process_pages.purge_down_to(0);
    std::byte* const idle = free_pages(3, 1);
    // At the peak, whatever the tests before needed.
    const acre::heaps::page_counts now = process_pages.counts();
    if (const std::size_t below = now.peak - now.live - now.dirty; below > 0)
      (void)process_pages.allocate({.pages = below,
                                    .state = run_state::held,
                                    .source = acre::heaps::page_source::clean_only});
    const auto pages_of = [](const page_request& request) {
      return space.runs[process_pages.allocate(request).run].pages;
    };
    const page_request too_short{
        .pages = 5, .state = run_state::held, .shorter = 1U << 2 | 1U << 4};
    if (pages_of(too_short) != 5) return 2;
    const page_request fitting{.pages = 5, .state = run_state::held, .shorter = 1U << 3 | 1U << 5};
    const auto run = process_pages.allocate(fitting).run;
    if (space.runs[run].pages != 3) return 3;
    if (space.address_of(space.runs[run].page) != idle) return 4;
    if (pages_of(fitting) != 5) return 5;
    process_pages.release(run);
    // Below the peak clean pages cost nothing.
    const auto passing = process_pages.allocate({.pages = 32, .state = run_state::held}).run;
    process_pages.release_clean(passing);
    if (pages_of(fitting) != 5) return 6;
    return acre_check_invariants() == 1 ? 0 : 7;
  });
  EXPECT_TRUE(end.is_clean()) << end.text();
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

/// Grows a block whose pages must move, since another one lies behind it, `rounds` times; returns
/// whether its bytes are as they were and fresh memory reads as zero.
bool grow_by_moving(int rounds) {
  constexpr std::size_t size = std::size_t{1} << 21U;
  bool is_right = true;
  for (int round = 0; round < rounds; ++round) {
    auto* block = static_cast<unsigned char*>(acre_malloc(size));
    std::memset(block, round + 1, size);
    void* const behind = acre_malloc(size);
    block = static_cast<unsigned char*>(acre_realloc(block, 2 * size));
    for (std::size_t at = 0; at < size; at += 511)
      is_right = is_right && block[at] == static_cast<unsigned char>(round + 1);
    auto* const cleared = static_cast<unsigned char*>(acre_calloc(1, 2 * size));
    for (std::size_t at = 0; at < 2 * size; at += 511)
      is_right = is_right && cleared[at] == 0;
    acre_free(cleared);
    acre_free(behind);
    acre_free(block);
    acre_malloc_trim(0);
  }
  return is_right;
}

/// Whether a block of 16 MiB that grows by `more` ends in the free resident pages that would hold
/// it.
bool grows_into_free_pages(std::size_t more) {
  constexpr std::size_t size = std::size_t{16} << 20U;
  void* const hole = acre_malloc(size + more);
  std::memset(hole, 1, size + more);
  void* const between = acre_malloc(std::size_t{1} << 20U);
  auto* block = static_cast<std::byte*>(acre_malloc(size));
  // So that it cannot be extended where it is.
  std::vector<void*> behind;
  while (behind.empty() || behind.back() != block + size)
    behind.push_back(acre_malloc(std::size_t{1} << 20U));
  acre_free(hole);
  block = static_cast<std::byte*>(acre_realloc(block, size + more));
  const bool is_there = block == hole;
  for (void* const each : behind)
    acre_free(each);
  acre_free(between);
  acre_free(block);
  acre_malloc_trim(0);
  return is_there;
}

bool moves_pages() {
  constexpr std::size_t page = 4096;
  std::byte* const pages = acre::os::map_on_demand(2 * page);
  const bool moved = acre::os::move_pages(pages, pages + page, page);
  acre::os::unmap(pages, 2 * page);
  return moved;
}

TEST(page_heap, copies_a_block_where_that_saves_more_faults_than_it_costs) {
  acre_malloc_trim(0);
  EXPECT_TRUE(grows_into_free_pages(std::size_t{8} << 20U));
  if (!moves_pages()) GTEST_SKIP() << "the kernel moves no pages";
  EXPECT_FALSE(grows_into_free_pages(std::size_t{1} << 20U));
}

bool keeps_names() {
  const auto page = std::size_t{4096};
  std::byte* const memory = acre::os::map_on_demand(page);
  const bool is_named = acre::os::name(memory, page, "acre-test");
  acre::os::unmap(memory, page);
  return is_named;
}

/// A mapping among the heap's usable pages that is not named so; empty when there is none.
std::string unnamed_mapping() {
  const auto& space = acre::heaps::space;
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);) {
    const std::uintptr_t start = std::stoull(line, nullptr, 16);
    const bool is_ours = start >= space.base && start < space.base + space.page_count() * 4096;
    if (is_ours && line.find("[anon:acre-heap]") == std::string::npos) return line;
  }
  return {};
}

TEST(page_heap, names_the_pages_again_that_were_moved_away_from) {
  if (acre_test::is_sanitized) GTEST_SKIP() << "no background thread under sanitizers";
  if (!keeps_names()) GTEST_SKIP() << "the kernel keeps no names (CONFIG_ANON_VMA_NAME)";
  if (!moves_pages()) GTEST_SKIP() << "the kernel moves no pages";
  EXPECT_TRUE(grow_by_moving(4));
  // The purging thread does it, which runs while there is something to purge.
  make_dirty_pages();
  for (int waited_ms = 0; waited_ms < 3000 && !unnamed_mapping().empty(); waited_ms += 10)
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  EXPECT_EQ(unnamed_mapping(), "");
}

/// What is mapped in the place of moved pages is locked too, and resident at once; locked ones
/// stay.
TEST(page_heap, moves_pages_of_a_program_that_locks_all_its_memory) {
  if (acre_test::is_sanitized) GTEST_SKIP() << "a sanitizer's shadow cannot be locked";
  constexpr int not_permitted = 77;
  for (const int what : {MCL_FUTURE, MCL_CURRENT | MCL_FUTURE}) {
    const auto end = acre_test::run_in_child([what] {
      acre_malloc_trim(0);
      if (mlockall(what) != 0) return not_permitted;
      const int moves_before = acre::heaps::moves_left;
      if (!grow_by_moving(8)) return 2;
      if ((what & MCL_CURRENT) != 0 && acre::heaps::moves_left != moves_before) return 4;
      return acre_check_invariants() == 1 ? 0 : 3;
    });
    if (end.in_time && WIFEXITED(end.status) && WEXITSTATUS(end.status) == not_permitted)
      GTEST_SKIP() << "this process may not lock all its memory";
    EXPECT_TRUE(end.is_clean()) << end.text();
  }
}

/// Takes blocks of 1 MiB until one is refused, and gives them back. Returns how many it had.
std::size_t fill_and_empty() {
  std::vector<void*> blocks;
  constexpr std::size_t more_than_there_is = 65536;
  for (void* block = acre_malloc(std::size_t{1} << 20U);
       block != nullptr && blocks.size() < more_than_there_is;
       block = acre_malloc(std::size_t{1} << 20U)) {
    *static_cast<char*>(block) = 1;
    blocks.push_back(block);
  }
  for (void* const block : blocks)
    acre_free(block);
  return blocks.size();
}

/// Where the kernel charges mappings in full, what is reserved must cost nothing, and what it
/// refuses must be an allocation that fails, more than once.
TEST(page_heap, obeys_strict_overcommit) {
  if (std::getenv("ACRE_TEST_GUEST") == nullptr)
    GTEST_SKIP() << "it changes a setting of the machine; the guest runs it";
  ASSERT_EQ(acre::heaps::reserved_pages(), 0U) << "the setting counts when the heap is first used";
  std::ofstream("/proc/sys/vm/overcommit_memory") << 2;
  const auto end = acre_test::run_in_child([] {
    const std::size_t blocks = fill_and_empty();
    if (blocks < 64 || blocks > 8192) return 2;
    if (fill_and_empty() < blocks) return 3;
    if (!grow_by_moving(4)) return 4;
    return acre_check_invariants() == 1 ? 0 : 5;
  });
  std::ofstream("/proc/sys/vm/overcommit_memory") << 0;
  EXPECT_TRUE(end.is_clean()) << end.text();
}

/// What `acre_free` says of the address, which it reports instead of ending the program.
std::string report_of_free(void* address) {
  int ends[2];
  if (pipe(ends) != 0) return "no pipe";
  const int standard_error = dup(STDERR_FILENO);
  dup2(ends[1], STDERR_FILENO);
  auto& aborts = acre::heaps::config.abort_on_misuse;
  const bool aborted = aborts.exchange(false);
  acre_free(address);
  aborts = aborted;
  dup2(standard_error, STDERR_FILENO);
  close(standard_error);
  close(ends[1]);
  std::string text(1000, '\0');
  text.resize(
      static_cast<std::size_t>(std::max<ssize_t>(read(ends[0], text.data(), text.size()), 0)));
  close(ends[0]);
  return text;
}

TEST(page_heap, knows_the_inside_of_a_large_block_that_was_taken_during_a_fork) {
  constexpr std::size_t size = std::size_t{8} << 20U;
  constexpr std::size_t inside = 5'000'000;
  std::thread([] {}).join();  // else the heap forks as a program with one thread
  acre_free(acre_malloc(1));  // a thread gets its heap under the locks that are taken next
  acre::heaps::before_fork();
  auto* const block = static_cast<std::byte*>(acre_malloc(size));
  acre::heaps::after_fork_in_parent();
  ASSERT_NE(block, nullptr);
  const acre_owner facts = acre_owner_of(block + inside);
  EXPECT_EQ(facts.kind, ACRE_LARGE);
  EXPECT_EQ(facts.block, block);
  EXPECT_NE(report_of_free(block + inside).find("5000000 bytes inside a block of 8388608 bytes"),
            std::string::npos);
  acre_free(block);
  const std::string report = report_of_free(block);
  EXPECT_NE(report.find("in pages that hold no block"), std::string::npos) << report;
  EXPECT_EQ(acre_check_invariants(), 1);
}

/// What a child of a fork does with two blocks that were taken while it was forked: that they can
/// be grown and freed, and nothing else is given up with them. 0 when all is well.
int use_blocks_of_the_fork(std::array<char*, 2> blocks, std::size_t size) {
  for (char*& block : blocks) {
    if (acre_malloc_usable_size(block) < size) return 1;
    block = static_cast<char*>(acre_realloc(block, size * 2));
    if (block == nullptr || block[0] != 'x' || block[size - 1] != 'x') return 2;
  }
  std::vector<char*> others(100);
  for (char*& other : others) {
    other = static_cast<char*>(acre_malloc(size));
    std::memset(other, 'o', size);
  }
  for (const char* block : blocks)
    if (block[0] != 'x' || block[size - 1] != 'x') return 3;
  for (char* block : blocks)
    acre_free(block);
  for (char* other : others)
    acre_free(other);
  return acre_check_invariants() == 1 ? 0 : 4;
}

TEST(page_heap, a_child_of_fork_leaves_alone_what_others_took_meanwhile) {
  if (acre_test::is_sanitized) GTEST_SKIP() << "sanitizers need handlers of their own at a fork";
  constexpr std::size_t size = 300'000;
  std::thread([] {}).join();  // else the heap forks as a program with one thread
  acre_free(acre_malloc(1));
  acre::heaps::before_fork();
  std::array<char*, 2> blocks{};
  for (char*& block : blocks) {
    block = static_cast<char*>(acre_malloc(size));
    std::memset(block, 'x', size);
  }
  const pid_t child = _Fork();
  if (child == 0) {
    acre::heaps::after_fork_in_child();
    _exit(use_blocks_of_the_fork(blocks, size));
  }
  acre::heaps::after_fork_in_parent();
  const auto end = acre_test::wait_for(child, 10'000);
  EXPECT_TRUE(end.is_clean()) << end.text();
  for (char* block : blocks)
    acre_free(block);
  EXPECT_EQ(acre_check_invariants(), 1);
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
