#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>

#include <time.h>

namespace acre_test {

/// The seed of this run: ACRE_TEST_SEED when set, else the clock. Printed, so that a failing run
/// can be repeated; chosen before main, so that forked children have the same.
inline const std::uint64_t seed = [] {
  const char* given = std::getenv("ACRE_TEST_SEED");
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  const auto value = given != nullptr
                         ? std::strtoull(given, nullptr, 0)
                         : static_cast<unsigned long long>(now.tv_sec) * 1'000'000'007ULL +
                               static_cast<unsigned long long>(now.tv_nsec);
  std::fprintf(stderr, "repeat with ACRE_TEST_SEED=%llu\n", value);
  return value;
}();

/// splitmix64: small, seedable with anything, and good enough to choose sizes and actions.
class random_source {
 public:
  /// Streams of one seed differ by `stream`, for instance the index of a thread.
  explicit random_source(std::uint64_t stream) noexcept
      : state_(seed + stream * 0x9e37'79b9'7f4a'7c15ULL) {}

  std::uint64_t next() noexcept {
    std::uint64_t mixed = (state_ += 0x9e37'79b9'7f4a'7c15ULL);
    mixed = (mixed ^ (mixed >> 30U)) * 0xbf58'476d'1ce4'e5b9ULL;
    mixed = (mixed ^ (mixed >> 27U)) * 0x94d0'49bb'1331'11ebULL;
    return mixed ^ (mixed >> 31U);
  }

  /// Requires: `limit` > 0. Returns: a value in [0, limit).
  std::size_t below(std::size_t limit) noexcept { return next() % limit; }

  /// Returns: a size whose magnitude is uniform: as many below 100 bytes as from 1 to 100 KiB.
  std::size_t size_up_to(unsigned bits) noexcept {
    return below((std::size_t{1} << (1 + below(bits))));
  }

 private:
  std::uint64_t state_;
};

}  // namespace acre_test
