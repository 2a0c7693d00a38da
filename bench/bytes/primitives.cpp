/// Copies, fills, comparisons and byte searches against the C library's:
///     acre-bytes-primitives [--smoke]
///
/// GB/s; all functions of a row run turn and turn about, and the fastest round of each counts.
/// Sizes are not known to the compiler.
#include <acre/bytes/compare.hpp>
#include <acre/bytes/copy.hpp>
#include <acre/bytes/find.hpp>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <span>
#include <string_view>
#include <vector>

namespace {

using clock_type = std::chrono::steady_clock;

bool all_agree = true;

/// Keeps the compiler from knowing a value, and from removing what made it.
template <class T>
void hide(T& value) {
  __asm__ volatile("" : "+r"(value) : : "memory");
}

double seconds_of(const auto& work, std::size_t repeats) {
  const auto start = clock_type::now();
  for (std::size_t index = 0; index < repeats; ++index)
    work();
  return std::chrono::duration<double>(clock_type::now() - start).count() /
         static_cast<double>(repeats);
}

void row(std::string_view name, std::size_t size, double bytes, bool is_smoke, const auto& ours,
         const auto& theirs) {
  const std::size_t repeats = is_smoke ? 1 : 1 + 4'000'000 / (size + 100);
  std::array<double, 2> best{1e9, 1e9};
  for (int round = 0; round < (is_smoke ? 1 : 15); ++round) {
    best[0] = std::min(best[0], seconds_of(ours, repeats));
    best[1] = std::min(best[1], seconds_of(theirs, repeats));
  }
  std::printf("| %.*s | %zu | %.1f | %.1f |\n", static_cast<int>(name.size()), name.data(), size,
              bytes / best[0] / 1e9, bytes / best[1] / 1e9);
}

void rows_of(std::size_t size, bool is_smoke) {
  std::vector<char> source(size, 'a');
  std::vector<char> target(size, 'a');
  char* from = source.data();
  char* to = target.data();
  const auto range = [&](char*& data) {
    hide(data);
    std::size_t bytes = size;
    hide(bytes);
    return std::span(data, bytes);
  };
  const auto bytes = static_cast<double>(size);
  row(
      "copy / memcpy", size, bytes, is_smoke, [&] { acre::bytes::copy(range(to), range(from)); },
      [&] { std::memcpy(range(to).data(), from, range(from).size()); });
  row(
      "fill / memset", size, bytes, is_smoke, [&] { acre::bytes::fill(range(to), 'a'); },
      [&] { std::memset(range(to).data(), 'a', range(to).size()); });
  row(
      "equal / memcmp", size, bytes, is_smoke,
      [&] {
        bool same = acre::bytes::equal(range(to), range(from));
        hide(same);
      },
      [&] {
        bool same = std::memcmp(range(to).data(), from, range(from).size()) == 0;
        hide(same);
      });
  row(
      "find byte / memchr", size, bytes, is_smoke,
      [&] {
        bool found = acre::bytes::find(range(from), 'z').has_value();
        hide(found);
      },
      [&] {
        bool found = std::memchr(range(from).data(), 'z', range(from).size()) != nullptr;
        hide(found);
      });
  row(
      "rfind byte / memrchr", size, bytes, is_smoke,
      [&] {
        bool found = acre::bytes::rfind(range(from), 'z').has_value();
        hide(found);
      },
      [&] {
        bool found = ::memrchr(range(from).data(), 'z', range(from).size()) != nullptr;
        hide(found);
      });
  row(
      "count / std::count", size, bytes, is_smoke,
      [&] {
        std::size_t found = acre::bytes::count(range(from), 'a');
        hide(found);
      },
      [&] {
        const auto all = range(from);
        auto found = std::count(all.begin(), all.end(), 'a');
        hide(found);
      });
  acre::bytes::fill(target, 'b');
  acre::bytes::copy(target, source);
  all_agree = all_agree && target == source && acre::bytes::equal(target, source) &&
              !acre::bytes::find(source, 'z') && !acre::bytes::rfind(source, 'z') &&
              acre::bytes::count(source, 'a') == size;
}

void streaming_row(std::size_t size, bool is_smoke) {
  std::vector<char> source(size, 'a');
  std::vector<char> target(size, 'b');
  row(
      "copy_streaming / memcpy", size, static_cast<double>(size), is_smoke,
      [&] { acre::bytes::copy_streaming(target, source); },
      [&] { std::memcpy(target.data(), source.data(), size); });
  all_agree = all_agree && target == source;
}

}  // namespace

int main(int argc, char** argv) {
  const bool is_smoke = argc > 1 && std::string_view(argv[1]) == "--smoke";
  std::printf(
      "last-level cache: %zu KiB\n\n| operation | bytes | ours | theirs |\n"
      "|---|---|---|---|\n",
      acre::bytes::last_level_cache_bytes() / 1024);
  for (const std::size_t size : {4U, 8U, 16U, 32U, 64U, 65U, 256U, 1024U, 65536U, 1048576U})
    rows_of(size, is_smoke);
  const std::size_t cache_bytes = acre::bytes::last_level_cache_bytes();
  streaming_row(is_smoke ? 65536 : cache_bytes / 2, is_smoke);
  streaming_row(is_smoke ? 65536 : cache_bytes * 2, is_smoke);
  streaming_row(is_smoke ? 65536 : cache_bytes * 4, is_smoke);
  std::printf("\n%s\n", all_agree ? "all results agree" : "RESULTS DIFFER");
  return all_agree ? 0 : 1;
}
