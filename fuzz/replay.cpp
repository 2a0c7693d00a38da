/// Runs a fuzz target without a fuzzer: replay SECONDS [FILE...]
///
/// First every file, then random bytes until the time is up; for compilers that have no libFuzzer.
#include "support/random.hpp"

#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

int main(int argc, char** argv) {
  if (argc < 2) return 2;
  for (int index = 2; index < argc; ++index) {
    std::ifstream file(argv[index], std::ios::binary);
    const std::vector<char> bytes(std::istreambuf_iterator<char>(file), {});
    LLVMFuzzerTestOneInput(reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size());
  }
  acre_test::random_source random(0);
  const std::chrono::duration<double> time(std::atof(argv[1]));
  const auto end = std::chrono::steady_clock::now() + time;
  std::size_t runs = 0;
  for (; std::chrono::steady_clock::now() < end; ++runs) {
    std::vector<std::uint8_t> bytes(random.below(2000));
    for (std::uint8_t& byte : bytes)
      byte = static_cast<std::uint8_t>(random.next());
    LLVMFuzzerTestOneInput(bytes.data(), bytes.size());
  }
  std::printf("%zu random inputs\n", runs);
}
