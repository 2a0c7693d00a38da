// What a workload is: a name, the idea it stands for, its parameters, and a function that runs it.
//
// A workload does a fixed amount of work, so its CPU time can be compared between allocators, and
// returns a checksum of what it read back from its blocks. The checksum depends on the parameters
// alone: an allocator under which it differs has handed out one byte twice.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace acre::bench {

/// A number that a workload can be given as `name=value`.
struct parameter {
  std::string_view name;
  long value;  ///< without `--smoke`
  long smoke;  ///< with `--smoke`: small enough for well under a second
};

/// The parameters of one run.
class arguments {
 public:
  explicit arguments(std::span<const parameter> values) : values_{values} {}

  /// Requires: `name` is a parameter of the workload.
  [[nodiscard]] std::size_t operator[](std::string_view name) const;

 private:
  std::span<const parameter> values_;
};

struct workload {
  std::string_view name;
  std::string_view idea;
  std::span<const parameter> parameters;
  std::uint64_t (*run)(const arguments&);
};

/// Prints one measured value as a line `name value`.
void report(const char* name, double value);

extern const workload aligned, batch, bignum, binary_trees, cache_scratch, cache_thrash, cross_free,
    exchange, exhaustion, fragmentation, idle_return, idle_threads, large, larson, mixed,
    realloc_growth, realloc_one, requests, ring_free, sh6_like, sh8_like, shrink, string_map,
    thread_churn, zeroed;

}  // namespace acre::bench
