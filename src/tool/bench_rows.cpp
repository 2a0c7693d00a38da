#include "tool/bench_rows.hpp"

#include "tool/error.hpp"

#include <algorithm>
#include <array>

#include <fmt/format.h>

namespace acre::tool {
namespace {

struct row_text {
  std::string_view name;
  std::string_view words;  ///< the workload and its parameters, with a space between
  bool is_quick;
};

/// Each takes about a second with the C library's allocator.
constexpr std::array workload_rows{
    row_text{"larson-1", "larson threads=1", false},
    row_text{"larson-2", "larson threads=2", true},
    row_text{"larson-4", "larson threads=4", false},
    row_text{"mixed-1", "mixed threads=1 steps=2000000 slots=50000", true},
    row_text{"mixed-2", "mixed threads=2 steps=2000000 slots=50000", false},
    row_text{"mixed-small", "mixed slots=1000 steps=8000000 max=1024", false},
    row_text{"mixed-to-32k", "mixed slots=4000 steps=3000000 max=32768", false},
    row_text{"exchange-2", "exchange threads=2", false},
    row_text{"cross-free-2", "cross-free pairs=1", true},
    row_text{"cross-free-4", "cross-free pairs=2", false},
    row_text{"ring-free-2", "ring-free threads=2", false},
    row_text{"cache-scratch", "cache-scratch threads=2", false},
    row_text{"fragmentation", "fragmentation", true},
    row_text{"shrink", "shrink", false},
    row_text{"realloc-many", "realloc-many", true},
    row_text{"realloc-one", "realloc-one limit_mb=512", false},
    row_text{"large-one", "large live=1 steps=250", false},
    row_text{"large-eight", "large live=8 steps=250", true},
    row_text{"thread-churn", "thread-churn", true},
    row_text{"bignum", "bignum", true},
    row_text{"sh6-like-1", "sh6-like threads=1 passes=60", false},
    row_text{"sh8-like-2", "sh8-like threads=2", false},
    row_text{"binary-trees", "binary-trees threads=1", false},
    row_text{"string-map", "string-map threads=1", true},
    row_text{"requests-1", "requests threads=1", true},
    row_text{"requests-2", "requests threads=2", false},
    row_text{"zeroed", "zeroed threads=1", false},
    row_text{"batch", "batch threads=1", false},
    row_text{"aligned", "aligned threads=1", false},
};

std::vector<std::string> split_words(std::string_view text) {
  std::vector<std::string> words;
  while (!text.empty()) {
    words.emplace_back(text.substr(0, text.find(' ')));
    text.remove_prefix(std::min(words.back().size() + 1, text.size()));
  }
  return words;
}

bool is_called(const bench_row& row, std::string_view name) {
  return row.name == name || row.name.starts_with(fmt::format("{}-", name));
}

}  // namespace

std::vector<bench_row> bench_rows(bench_extent extent) {
  std::vector<bench_row> rows;
  for (const auto& each : workload_rows) {
    if (each.is_quick || extent == bench_extent::full)
      rows.push_back({std::string(each.name), split_words(each.words), true, 1});
  }
  // A single start is shorter than the clock that counts CPU time can tell.
  rows.push_back({"startup", {"/bin/true"}, false, 100});
  return rows;
}

std::vector<bench_row> choose_rows(const std::vector<std::string>& names) {
  const auto all = bench_rows(bench_extent::full);
  const auto is_wanted = [&](const bench_row& row) {
    return std::ranges::any_of(names, [&](const auto& name) { return is_called(row, name); });
  };
  for (const auto& name : names) {
    if (std::ranges::any_of(all, [&](const auto& row) { return is_called(row, name); })) continue;
    std::string list;
    for (const auto& row : all)
      list += (list.empty() ? "" : ", ") + row.name;
    throw error(exit_code::misuse, fmt::format("there is no row '{}'; there are {}", name, list));
  }
  std::vector<bench_row> chosen;
  std::ranges::copy_if(all, std::back_inserter(chosen), is_wanted);
  return chosen;
}

}  // namespace acre::tool
