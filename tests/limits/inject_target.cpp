/// What a program does while its system calls fail: every way to allocate, threads, and trimming.
///
/// Ends with 0 when each call gave a sound block or null with ENOMEM, and no contents were lost.
#include "limits/injector.hpp"
#include "support/family.hpp"
#include "support/pattern.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>

#include <pthread.h>
#include <unistd.h>

namespace {

[[noreturn]] void fail(const char* what) {
  (void)!write(STDERR_FILENO, what, __builtin_strlen(what));
  (void)!write(STDERR_FILENO, "\n", 1);
  _exit(1);
}

struct holding {
  void* block = nullptr;
  std::size_t size_bytes = 0;
};

constexpr std::array<std::size_t, 14> sizes = {1,      40,        600,        2000,      9000,
                                               30'000, 70'000,    200'000,    1U << 20U, 3U << 20U,
                                               100,    5U << 20U, 17U << 20U, 64};

/// Bytes at either end of a block that are filled and checked; all of it would take too long.
constexpr std::size_t edge = 4096;

void fill(const holding& held) {
  const std::size_t filled = std::min(held.size_bytes, edge);
  acre_test::fill_pattern(held.block, filled, held.size_bytes);
  acre_test::fill_pattern(static_cast<char*>(held.block) + held.size_bytes - filled, filled,
                          held.size_bytes);
}

/// Requires: `fill` was the last to write, and the block was not made smaller since.
bool is_whole(const holding& held) {
  const std::size_t filled = std::min(held.size_bytes, edge);
  return acre_test::holds_pattern(static_cast<char*>(held.block) + held.size_bytes - filled, filled,
                                  held.size_bytes);
}

void expect_sound(const holding& held) {
  if (held.block == nullptr) {
    if (errno != ENOMEM) fail("null without ENOMEM");
    return;
  }
  fill(held);
}

void check_and_free(const holding& held) {
  if (held.block == nullptr) return;
  if (!is_whole(held)) fail("contents were lost");
  errno = EXDEV;
  family::free(held.block);
  if (errno != EXDEV) fail("free changed errno");
}

void resize(holding& held, std::size_t size_bytes) {
  errno = 0;
  void* moved = family::realloc(held.block, size_bytes);
  if (moved == nullptr) {
    if (errno != ENOMEM) fail("realloc gave null without ENOMEM");
    return;
  }
  if (held.block != nullptr && size_bytes >= held.size_bytes &&
      !is_whole({moved, held.size_bytes})) {
    fail("realloc lost contents");
  }
  held = {moved, size_bytes};
  fill(held);
}

void use_family() {
  std::array<holding, sizes.size() * 3> live;
  std::size_t count = 0;
  for (const std::size_t size : sizes) {
    errno = 0;
    live[count] = {family::malloc(size), size};
    expect_sound(live[count++]);
    errno = 0;
    live[count] = {family::calloc(1, size), size};
    if (live[count].block != nullptr &&
        !acre_test::holds_only(live[count].block, std::min(size, 16 * edge), 0)) {
      fail("calloc gave dirty memory");
    }
    expect_sound(live[count++]);
    errno = 0;
    live[count] = {family::memalign(8192, size), size};
    expect_sound(live[count++]);
  }
  for (std::size_t index = 0; index < count; index += 2)
    resize(live[index], sizes[index % 14] * 2);
  for (std::size_t index = 0; index < count; index += 3) {
    check_and_free(live[index]);
    live[index] = {};
  }
  family::malloc_trim(0);
  for (std::size_t index = 0; index < count; index += 3)
    resize(live[index], 50'000);
  for (std::size_t index = 0; index < count; ++index)
    check_and_free(live[index]);
  family::malloc_trim(0);
}

void* thread_main(void* /*unused*/) {
  use_family();
  return nullptr;
}

}  // namespace

int main() {
  acre_test::start_injection();
  use_family();
  std::array<pthread_t, 2> threads{};
  std::array<bool, 2> started{};
  for (std::size_t index = 0; index < threads.size(); ++index) {
    started[index] = pthread_create(&threads[index], nullptr, &thread_main, nullptr) == 0;
  }
  for (std::size_t index = 0; index < threads.size(); ++index) {
    if (started[index]) pthread_join(threads[index], nullptr);
  }
  use_family();
  _exit(0);
}
