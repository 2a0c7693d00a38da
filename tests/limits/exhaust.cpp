/// Fills memory to the limit it is run under, and goes on: exhaust LEAST_BYTES [as|data
/// LIMIT_BYTES]
///
/// At least LEAST_BYTES must fit. With LIMIT_BYTES the limit is set here, after the heap has
/// started. At the limit every function answers null with ENOMEM; after frees it serves again;
/// contents survive.
#include "support/family.hpp"
#include "support/pattern.hpp"

#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>

#include <sys/resource.h>
#include <unistd.h>

namespace {

/// Blocks form a list in themselves, so that the test needs no memory of its own.
struct link {
  link* next;
  std::size_t size_bytes;
};

[[noreturn]] void fail(const char* what, std::size_t size_bytes) {
  std::fprintf(stderr, "%s (blocks of %zu bytes, errno %d)\n", what, size_bytes, errno);
  std::exit(1);
}

link* made(std::size_t size_bytes, link* next) {
  errno = 0;
  void* block = family::malloc(size_bytes);
  if (block == nullptr) {
    if (errno != ENOMEM) fail("null without ENOMEM", size_bytes);
    return nullptr;
  }
  acre_test::fill_pattern(static_cast<link*>(block) + 1, size_bytes - sizeof(link), size_bytes);
  return new (block) link{next, size_bytes};
}

std::size_t free_list(link* list, std::size_t keep_every) {
  std::size_t freed = 0;
  std::size_t index = 0;
  link* kept = nullptr;
  while (list != nullptr) {
    link* const next = list->next;
    if (!acre_test::holds_pattern(list + 1, list->size_bytes - sizeof(link), list->size_bytes)) {
      fail("contents were lost", list->size_bytes);
    }
    if (keep_every != 0 && ++index % keep_every == 0) {
      list->next = kept;
      kept = list;
    } else {
      family::free(list);
      ++freed;
    }
    list = next;
  }
  return kept == nullptr ? freed : freed + free_list(kept, 0);
}

void expect_enomem_everywhere(std::size_t size_bytes) {
  const std::size_t size = size_bytes + (64U << 20U);  // what cannot fit in any remains
  void* untouched = nullptr;
  if (family::calloc(1, size) != nullptr) fail("calloc past the limit", size);
  if (family::realloc(nullptr, size) != nullptr) fail("realloc past the limit", size);
  if (family::memalign(64, size) != nullptr) fail("memalign past the limit", size);
  if (family::posix_memalign(&untouched, 4096, size) != ENOMEM) fail("posix_memalign", size);
  if (errno != ENOMEM) fail("errno at the limit", size);
}

void fill_to_the_limit(std::size_t size_bytes, std::size_t bytes_at_least) {
  std::size_t count = 0;
  link* list = nullptr;
  while (link* one = made(size_bytes, list)) {
    list = one;
    if (++count * size_bytes > std::size_t{2} << 30U)
      fail("there seems to be no limit", size_bytes);
  }
  if (count * size_bytes < bytes_at_least) {
    std::fprintf(stderr, "only %zu bytes of %zu fitted\n", count * size_bytes, bytes_at_least);
    fail("the limit came too early", size_bytes);
  }
  expect_enomem_everywhere(size_bytes);
  free_list(list, 3);
  link* again = made(size_bytes, nullptr);
  if (again == nullptr) fail("no memory after everything was freed", size_bytes);
  free_list(again, 0);
}

void set_limit(const char* which, std::size_t bytes) {
  const auto resource = std::strcmp(which, "as") == 0 ? RLIMIT_AS : RLIMIT_DATA;
  const rlimit limit{.rlim_cur = bytes, .rlim_max = bytes};
  if (setrlimit(resource, &limit) != 0) fail("setrlimit", bytes);
}

}  // namespace

int main(int argc, char** argv) {
  family::free(family::malloc(100));
  const std::size_t least =
      argc > 1 ? std::strtoull(argv[1], nullptr, 0) : 0;  // bytes that must fit
  if (argc > 3) set_limit(argv[2], std::strtoull(argv[3], nullptr, 0));
  for (const std::size_t size : {std::size_t{64}, std::size_t{1000}, std::size_t{20'000},
                                 std::size_t{200'000}, std::size_t{5} << 20U, std::size_t{48}}) {
    fill_to_the_limit(size, least);
  }
  std::puts("ok");
  return 0;
}
