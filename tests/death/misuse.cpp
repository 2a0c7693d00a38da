/// One misuse of the heap, named by the argument: misuse CASE
///
/// Prints the address of the bad free first, for the driver to look for in the report. A double or
/// interior free of a small block may only be found when its slab is next looked at, so afterwards
/// the program goes on until that must have happened. Exit code 3: nothing was found.
#include "support/family.hpp"

#include <array>
#include <cstdint>
#include <cstring>
#include <vector>

#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>

namespace {

void bad_free(void* address) {
  std::printf("%p\n", address);
  family::free(address);
}

/// Takes and frees enough blocks of this size that no slab or cache stays as it was.
void churn(std::size_t size_bytes) {
  std::vector<void*> blocks((2U << 20U) / size_bytes + 10);
  for (int round = 0; round < 3; ++round) {
    for (void*& block : blocks)
      block = family::malloc(size_bytes);
    for (void* block : blocks)
      family::free(block);
  }
  family::malloc_trim(0);
}

void* at(void* block, std::ptrdiff_t offset) {
  return static_cast<char*>(block) + offset;
}

void double_free(std::size_t size_bytes) {
  void* block = family::malloc(size_bytes);
  family::free(block);
  bad_free(block);
  churn(size_bytes);
}

void double_free_small() {
  double_free(48);
}
void double_free_middle() {
  double_free(3000);
}
/// Such blocks are cached one by one.
void double_free_alone() {
  double_free(20'000);
}
void double_free_large() {
  double_free(300'000);
}
void double_free_huge() {
  double_free(64U << 20U);
}

/// As in a program where two owners each free once, with other work in between.
void double_free_later() {
  std::array<void*, 200> blocks{};
  for (void*& block : blocks)
    block = family::malloc(64);
  void* const twice = blocks[100];
  for (void* block : blocks)
    family::free(block);
  family::malloc_trim(0);
  bad_free(twice);
  churn(64);
}

void double_free_by_two_threads() {
  void* block = family::malloc(96);
  const auto free_in_thread = [](void* given) -> void* {
    family::free(given);
    return nullptr;
  };
  std::printf("%p\n", block);
  for (int count = 0; count < 2; ++count) {
    pthread_t thread{};
    pthread_create(&thread, nullptr, free_in_thread, block);
    pthread_join(thread, nullptr);
  }
  churn(96);
}

/// The second free meets a batch of blocks of several classes on their way to another thread's
/// heap.
void double_free_past_mixed_batch() {
  pthread_t thread{};
  std::array<void*, 2> blocks{};
  pthread_create(
      &thread, nullptr,
      [](void* given) -> void* {
        auto& made = *static_cast<std::array<void*, 2>*>(given);
        made = {family::malloc(80), family::malloc(400)};
        return nullptr;
      },
      &blocks);
  pthread_join(thread, nullptr);
  for (void* block : blocks)
    family::free(block);
  double_free(300'000);
}

/// The blocks lie in the cache of a thread that waits, until the purging thread empties it.
void double_free_in_waiting_thread() {
  pthread_t thread{};
  pthread_create(
      &thread, nullptr,
      [](void*) -> void* {
        void* block = family::malloc(200);
        family::free(block);
        bad_free(block);
        for (;;)
          pause();
      },
      nullptr);
  std::vector<void*> blocks(20'000);
  for (void*& block : blocks)
    block = family::malloc(600);
  for (void* block : blocks)
    family::free(block);
  usleep(1'500'000);
}

/// The block lies twice in what a thread that ended has left, and nobody takes blocks of its size.
void double_free_seen_at_exit() {
  void* block = family::malloc(32);
  family::free(block);
  bad_free(block);
}

void free_interior_small() {
  void* block = family::malloc(256);
  bad_free(at(block, 64));
  churn(256);
}
void free_interior_alone() {
  void* block = family::malloc(20'000);
  bad_free(at(block, 4096));
  churn(20'000);
}
void free_interior_large() {
  bad_free(at(family::malloc(1U << 20U), 4096));
}
void free_misaligned_small() {
  void* block = family::malloc(256);
  bad_free(at(block, 5));
  churn(256);
}
void free_interior_seen_at_exit() {
  bad_free(at(family::malloc(256), 64));
}
void free_misaligned_seen_at_exit() {
  bad_free(at(family::malloc(256), 5));
}
void free_misaligned_large() {
  bad_free(at(family::malloc(1U << 20U), 7));
}

/// The smallest block: half of it is no block.
void free_interior_smallest() {
  void* block = family::malloc(16);
  bad_free(at(block, 8));
  churn(16);
}

void free_stack() {
  std::array<char, 128> on_the_stack{};
  bad_free(on_the_stack.data() + 32);
}
std::array<char, 128> a_global{};
void free_global() {
  bad_free(a_global.data());
}
void free_code() {
  bad_free(reinterpret_cast<void*>(&free_global));
}
void free_null_page() {
  bad_free(reinterpret_cast<void*>(family::opaque(16)));
}
void free_unmapped() {
  bad_free(reinterpret_cast<void*>(family::opaque(0x1234'5678'9000)));
}
void free_kernel() {
  bad_free(reinterpret_cast<void*>(family::opaque(0xffff'8000'0000'1000)));
}
void free_minus_one() {
  bad_free(reinterpret_cast<void*>(family::opaque(SIZE_MAX)));
}
void free_mapping() {
  bad_free(mmap(nullptr, 1U << 16U, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
}
void realloc_stack() {
  std::array<char, 128> on_the_stack{};
  std::printf("%p\n", static_cast<void*>(on_the_stack.data()));
  (void)!family::realloc(on_the_stack.data(), 100);
}
void realloc_freed_large() {
  void* block = family::malloc(300'000);
  family::free(block);
  std::printf("%p\n", block);
  (void)!family::realloc(block, 400'000);
}

struct fault {
  const char* name;
  void (*commit)();
};
constexpr fault faults[] = {
    {"double_free_small", double_free_small},
    {"double_free_middle", double_free_middle},
    {"double_free_alone", double_free_alone},
    {"double_free_large", double_free_large},
    {"double_free_huge", double_free_huge},
    {"double_free_later", double_free_later},
    {"double_free_by_two_threads", double_free_by_two_threads},
    {"double_free_past_mixed_batch", double_free_past_mixed_batch},
    {"double_free_in_waiting_thread", double_free_in_waiting_thread},
    {"double_free_seen_at_exit", double_free_seen_at_exit},
    {"free_interior_small", free_interior_small},
    {"free_interior_alone", free_interior_alone},
    {"free_interior_large", free_interior_large},
    {"free_misaligned_small", free_misaligned_small},
    {"free_misaligned_large", free_misaligned_large},
    {"free_interior_seen_at_exit", free_interior_seen_at_exit},
    {"free_misaligned_seen_at_exit", free_misaligned_seen_at_exit},
    {"free_interior_smallest", free_interior_smallest},
    {"free_stack", free_stack},
    {"free_global", free_global},
    {"free_code", free_code},
    {"free_null_page", free_null_page},
    {"free_unmapped", free_unmapped},
    {"free_kernel", free_kernel},
    {"free_minus_one", free_minus_one},
    {"free_mapping", free_mapping},
    {"realloc_stack", realloc_stack},
    {"realloc_freed_large", realloc_freed_large},
};

/// In a thread that ends, because a thread's end is one more place where a bad block can be found.
void* commit_in_thread(void* chosen) {
  static_cast<const fault*>(chosen)->commit();
  return nullptr;
}

/// After an ignored fault the heap must still be sound.
bool still_works() {
  for (const std::size_t size :
       {std::size_t{48}, std::size_t{256}, std::size_t{3000}, std::size_t{300'000}}) {
    std::vector<char*> blocks(200);
    for (char*& block : blocks) {
      block = static_cast<char*>(family::malloc(size));
      if (block == nullptr) return false;
      std::memset(block, 1, size);
    }
    for (char* block : blocks) {
      if (block[0] != 1 || block[size - 1] != 1) return false;
      block[0] = 2;  // a block that was given out twice shows here
      family::free(block);
    }
  }
  return true;
}

}  // namespace

int main(int argc, char** argv) {
  // Or stdio would allocate between a block's two frees and may be given that very block.
  static std::array<char, 4096> output{};
  std::setvbuf(stdout, output.data(), _IOLBF, output.size());
  if (argc == 1) {
    for (const fault& one : faults)
      std::puts(one.name);
    return 0;
  }
  for (const fault& one : faults) {
    if (std::strcmp(one.name, argv[1]) != 0) continue;
    pthread_t thread{};
    if (pthread_create(&thread, nullptr, commit_in_thread, const_cast<fault*>(&one)) != 0) return 2;
    pthread_join(thread, nullptr);
    return still_works() ? 3 : 4;
  }
  std::fprintf(stderr, "no case is called %s\n", argv[1]);
  return 2;
}
