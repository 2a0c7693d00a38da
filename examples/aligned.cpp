// A buffer for direct disk access, which wants addresses and sizes that are multiples of 4096.
#include <acre/os/aligned.hpp>

#include <cstdio>

int main() {
  using namespace acre::os;
  constexpr std::size_t sector = 4096;
  const auto size = round_up(10'000, sector);
  if (!size) return 1;  // it would not fit into a std::size_t
  const aligned_block block = acre::or_throw(aligned_block::allocate(*size, sector));
  std::printf("%zu bytes at a multiple of %zu: %s\n", block.size(), sector,
              is_aligned(block.data(), sector) ? "yes" : "no");
  const auto refused = aligned_block::allocate(10'000, 48);
  std::printf("%s\n", refused.error().message().c_str());
}
