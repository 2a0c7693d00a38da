// A hash map of strings under inserts, look-ups and erasures: nodes, keys too long for the string
// object itself, values of varying length, and a table that grows by doubling.

#include "support.hpp"
#include "workload.hpp"

#include <array>
#include <charconv>
#include <string>
#include <unordered_map>

namespace acre::bench {
namespace {

constexpr std::array parameters{parameter{"threads", 1, 2}, parameter{"keys", 150000, 3000},
                                parameter{"steps", 1500000, 20000}, parameter{"max", 200, 200}};

std::string key_of(std::size_t number) {
  std::array<char, 32> text{};
  const auto end = std::to_chars(text.begin(), text.end(), number).ptr;
  return "session:customer:" + std::string(text.begin(), end);
}

std::uint64_t work(const arguments& given, random_source random) {
  std::unordered_map<std::string, std::string> values;
  const std::size_t keys = given["keys"];
  std::uint64_t sum = 0;
  for (std::size_t step = given["steps"]; step != 0; --step) {
    const std::string key = key_of(random.below(keys));
    const std::size_t turn = random.below(8);
    if (turn < 4) {
      values[key] = std::string(random.skewed(8, given["max"]), static_cast<char>('a' + turn));
    } else if (turn < 7) {
      const auto found = values.find(key);
      if (found != values.end()) sum += found->second.size();
    } else {
      sum += values.erase(key);
    }
  }
  return sum + values.size();
}

std::uint64_t run(const arguments& given) {
  return on_threads(given["threads"],
                    [&](std::size_t index) { return work(given, random_source{index + 1}); });
}

}  // namespace

const workload string_map{"string-map", "a hash map of strings", parameters, run};

}  // namespace acre::bench
