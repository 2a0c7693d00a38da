/// Containers of a million elements: built, walked, destroyed with their memory; in total, against
/// std::allocator on the program's malloc. Each run is a process of its own, so that its peak of
/// resident memory is its own, too.
#include <acre/region/arena.hpp>
#include <acre/region/containers.hpp>
#include <acre/region/mapping_source.hpp>

#include "timing.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <list>
#include <memory_resource>
#include <string>
#include <string_view>
#include <vector>

#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

namespace {

struct outcome {
  double milliseconds;
  long resident_kib;
  std::size_t checksum;
};

constexpr std::string_view text = "a text long enough that it never fits inside its string";

std::size_t text_length(std::size_t index) {
  return 20 + index * 2'654'435'761U % 32;
}

/// Builds and walks a list, leaving its end to the caller.
template <class List>
std::size_t use_list(List& list, std::size_t count) {
  for (std::size_t index = 0; index < count; ++index)
    list.push_back(static_cast<int>(index));
  std::size_t sum = 0;
  for (const int value : list)
    sum += static_cast<std::size_t>(value);
  return sum;
}

template <class Strings>
std::size_t use_strings(Strings& strings, std::size_t count) {
  for (std::size_t index = 0; index < count; ++index)
    strings.emplace_back(text.substr(0, text_length(index)));
  std::size_t sum = 0;
  for (const auto& made : strings)
    sum += made.size();
  return sum;
}

/// An object whose destructor never runs: its memory goes with the arena.
template <class T, class... Args>
T& without_end(acre::region::arena& arena, Args&&... args) {
  return *::new (arena.allocate(sizeof(T), alignof(T))) T(std::forward<Args>(args)...);
}

std::size_t std_list(std::size_t count) {
  std::list<int> list;
  return use_list(list, count);
}

std::size_t std_strings(std::size_t count) {
  std::vector<std::string> strings;
  return use_strings(strings, count);
}

std::size_t monotonic_list(std::size_t count) {
  std::pmr::monotonic_buffer_resource resource;
  std::pmr::list<int> list(&resource);
  return use_list(list, count);
}

std::size_t monotonic_strings(std::size_t count) {
  std::pmr::monotonic_buffer_resource resource;
  std::pmr::vector<std::pmr::string> strings(&resource);
  return use_strings(strings, count);
}

template <class Use>
std::size_t on_arena(acre::os::page_kind pages, Use use) {
  acre::region::mapping_source from({.pages = pages});
  acre::region::arena arena(from);
  return use(arena);
}

std::size_t list_in(acre::region::arena& arena, std::size_t count) {
  std::pmr::list<int> list(&arena);
  return use_list(list, count);
}

std::size_t list_wink(acre::region::arena& arena, std::size_t count) {
  return use_list(without_end<std::pmr::list<int>>(arena, &arena), count);
}

std::size_t strings_in(acre::region::arena& arena, std::size_t count) {
  std::pmr::vector<std::pmr::string> strings(&arena);
  return use_strings(strings, count);
}

std::size_t strings_wink(acre::region::arena& arena, std::size_t count) {
  return use_strings(without_end<std::pmr::vector<std::pmr::string>>(arena, &arena), count);
}

/// Runs in a child, so that nothing is warm and the peak is of this run alone.
outcome in_child(const std::function<std::size_t(std::size_t)>& run, std::size_t count) {
  int ends[2];
  if (pipe(ends) != 0) std::abort();
  const pid_t child = fork();
  if (child == 0) {
    outcome mine{};
    mine.milliseconds = bench::nanoseconds([&] { mine.checksum = run(count); }) / 1e6;
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    mine.resident_kib = usage.ru_maxrss;
    const bool is_told = write(ends[1], &mine, sizeof mine) == sizeof mine;
    _exit(is_told ? 0 : 1);
  }
  outcome told{};
  const bool is_heard = read(ends[0], &told, sizeof told) == sizeof told;
  int status = 0;
  if (!is_heard || waitpid(child, &status, 0) != child || status != 0) std::abort();
  close(ends[0]);
  close(ends[1]);
  return told;
}

struct row {
  const char* name;
  std::function<std::size_t(std::size_t)> run;
};

void compare(const char* title, const std::vector<row>& rows, std::size_t count, int rounds) {
  std::vector<std::vector<double>> times(rows.size());
  std::vector<long> resident(rows.size());
  for (int round = 0; round < rounds; ++round) {
    for (std::size_t index = 0; index < rows.size(); ++index) {
      const outcome told = in_child(rows[index].run, count);
      times[index].push_back(told.milliseconds);
      resident[index] = told.resident_kib;
      bench::checksum += told.checksum;
    }
  }
  std::printf(
      "\n### %s\n\n| contender | median ms | best ms | times faster (median) | (best) | "
      "peak RSS MiB |\n|---|---|---|---|---|---|\n",
      title);
  for (std::vector<double>& all : times)
    std::ranges::sort(all);
  for (std::size_t index = 0; index < rows.size(); ++index) {
    const double median = times[index][times[index].size() / 2];
    const double best = times[index].front();
    std::printf("| %s | %.1f | %.1f | %.2f | %.2f | %.1f |\n", rows[index].name, median, best,
                times[0][times[0].size() / 2] / median, times[0].front() / best,
                static_cast<double>(resident[index]) / 1024);
  }
}

}  // namespace

int main(int argument_count, char** arguments) {
  using acre::os::page_kind;
  const bool is_smoke = bench::is_smoke(argument_count, arguments);
  const std::size_t count = is_smoke ? 1000 : 1'000'000;
  const int rounds = is_smoke ? 1 : 15;
  const auto row_of = [](const char* name, page_kind pages,
                         std::size_t (*use)(acre::region::arena&, std::size_t)) {
    return row{name, [pages, use](std::size_t size) {
                 return on_arena(pages,
                                 [&](acre::region::arena& arena) { return use(arena, size); });
               }};
  };
  compare("list<int>, 1 M elements",
          {{"std::allocator on malloc", std_list},
           {"std::pmr::monotonic", monotonic_list},
           row_of("acre arena, 4 KiB pages", page_kind::ordinary, list_in),
           row_of("acre arena, huge pages", page_kind::transparent_huge, list_in),
           row_of("acre arena, huge pages, not destroyed", page_kind::transparent_huge, list_wink)},
          count, rounds);
  compare(
      "vector<string>, 1 M strings of 20 to 51 bytes",
      {{"std::allocator on malloc", std_strings},
       {"std::pmr::monotonic", monotonic_strings},
       row_of("acre arena, 4 KiB pages", page_kind::ordinary, strings_in),
       row_of("acre arena, huge pages", page_kind::transparent_huge, strings_in),
       row_of("acre arena, huge pages, not destroyed", page_kind::transparent_huge, strings_wink)},
      count, rounds);
  std::printf("\nchecksum %zu\n", bench::checksum);
  return 0;
}
