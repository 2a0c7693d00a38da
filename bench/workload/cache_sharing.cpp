// False sharing. `cache-thrash`: do two threads that allocate at the same time get small blocks on
// one cache line? `cache-scratch`: when one thread made neighbouring blocks and gave them to
// others, do those who free them get the shared line again? After Berger et al., "Hoard" (ASPLOS
// 2000).

#include "support.hpp"
#include "workload.hpp"

#include <array>
#include <vector>

namespace acre::bench {
namespace {

constexpr std::array parameters{parameter{"threads", 2, 2}, parameter{"rounds", 1000000, 5000},
                                parameter{"writes", 200, 50}, parameter{"size", 8, 8}};

std::uint64_t write_rounds(const arguments& given) {
  const std::size_t size_bytes = given["size"];
  const std::size_t writes = given["writes"];
  std::uint64_t sum = 0;
  for (std::size_t round = given["rounds"]; round != 0; --round) {
    block mine = make_block(size_bytes, 0);
    volatile std::uint8_t* first = mine.data;
    for (std::size_t count = writes; count != 0; --count)
      *first = static_cast<std::uint8_t>(*first + 1U);
    sum += drop_block(mine);
  }
  return sum;
}

std::uint64_t run_thrash(const arguments& given) {
  return on_threads(given["threads"], [&](std::size_t) { return write_rounds(given); });
}

std::uint64_t run_scratch(const arguments& given) {
  std::vector<block> seeds;
  seeds.reserve(given["threads"]);
  for (std::size_t index = 0; index < given["threads"]; ++index)
    seeds.push_back(make_block(given["size"], index));
  return on_threads(given["threads"], [&](std::size_t index) {
    const std::uint64_t seed = drop_block(seeds[index]);
    return seed + write_rounds(given);
  });
}

}  // namespace

const workload cache_thrash{"cache-thrash", "blocks made at once by several threads", parameters,
                            run_thrash};
const workload cache_scratch{"cache-scratch", "neighbouring blocks given to several threads",
                             parameters, run_scratch};

}  // namespace acre::bench
