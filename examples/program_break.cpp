// Takes memory at the program break, beside the C library's malloc.
#include <acre/os/program_break.hpp>

#include <cstdio>
#include <cstdlib>
#include <cstring>

int main() {
  using acre::os::program_break;
  auto claimed = program_break::claim(1U << 20U);
  if (!claimed) {
    std::printf("no claim here: %s\n", claimed.error().message().c_str());
    return 77;
  }
  const auto table = acre::or_throw(claimed->extend(100'000, 64));
  std::memset(table.data(), 1, table.size());
  void* const block = std::malloc(500);  // from below the claim, or by mmap
  std::printf("%zu of %zu bytes handed out; malloc still %s\n", claimed->used_bytes(),
              claimed->size_bytes(), block != nullptr ? "works" : "fails");
  std::free(block);
  const auto outcome = acre::or_throw(claimed->release());
  std::printf("%s\n", outcome == program_break::outcome::given_back ? "the break is back"
                                                                    : "the break was moved");
}
