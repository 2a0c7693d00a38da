// acre-workloads: runs one workload by name.
//
//   acre-workloads                         lists the workloads
//   acre-workloads NAME [--smoke] [parameter=value …]

#include "support.hpp"
#include "workload.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cinttypes>
#include <cstdio>
#include <string_view>
#include <vector>

namespace acre::bench {
namespace {

constexpr std::array all{&aligned,        &batch,        &bignum,     &binary_trees, &cache_scratch,
                         &cache_thrash,   &cross_free,   &exchange,   &exhaustion,   &fragmentation,
                         &idle_return,    &idle_threads, &large,      &larson,       &mixed,
                         &realloc_growth, &realloc_one,  &requests,   &ring_free,    &sh6_like,
                         &sh8_like,       &shrink,       &string_map, &thread_churn, &zeroed};

constexpr int width(std::string_view text) {
  return static_cast<int>(text.size());
}

int list() {
  for (const workload* each : all) {
    std::printf("%-15.*s %.*s\n", width(each->name), each->name.data(), width(each->idea),
                each->idea.data());
    std::printf("%-15s", "");
    for (const parameter& one : each->parameters)
      std::printf(" %.*s=%ld", width(one.name), one.name.data(), one.value);
    std::printf("\n");
  }
  return 0;
}

/// Sets the parameter that `text` ("name=value") names; false when there is none or no number.
bool set_parameter(std::vector<parameter>& values, std::string_view text) {
  const std::size_t equals = text.find('=');
  if (equals == std::string_view::npos) return false;
  const auto found = std::ranges::find(values, text.substr(0, equals), &parameter::name);
  if (found == values.end()) return false;
  const char* end = text.data() + text.size();
  const auto parsed = std::from_chars(text.data() + equals + 1, end, found->value);
  return parsed.ec == std::errc{} && parsed.ptr == end && found->value >= 0;
}

int run(const workload& chosen, std::vector<std::string_view> words) {
  std::vector<parameter> values(chosen.parameters.begin(), chosen.parameters.end());
  if (std::erase(words, "--smoke") != 0)
    for (parameter& one : values)
      one.value = one.smoke;
  for (std::string_view word : words) {
    if (set_parameter(values, word)) continue;
    std::fprintf(stderr, "acre-workloads: %.*s has no parameter '%.*s'\n", width(chosen.name),
                 chosen.name.data(), width(word), word.data());
    return 2;
  }
  const std::uint64_t checksum = chosen.run(arguments{values});
  std::printf("checksum %" PRIu64 "\n", checksum);
  return 0;
}

}  // namespace
}  // namespace acre::bench

int main(int count, char** words) {
  using namespace acre::bench;
  if (count < 2) return list();
  const std::string_view name = words[1];
  const auto found = std::ranges::find(all, name, &workload::name);
  if (found == all.end()) {
    std::fprintf(stderr, "acre-workloads: no workload '%s'; without arguments it lists them\n",
                 words[1]);
    return 2;
  }
  return run(**found, {words + 2, words + count});
}
