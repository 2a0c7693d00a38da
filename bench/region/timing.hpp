#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdio>
#include <cstring>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include <time.h>

/// Interleaved timing: every contender runs once per round, so that a change of the machine's speed
/// meets all of them. Reported is the median over the rounds, or the best for what noise only
/// slows.
namespace bench {

struct contender {
  std::string name;
  std::function<void()> run;  ///< one round of `operations`
  std::size_t operations;
};

struct figure {
  std::string name;
  double median_ns;
  double best_ns;
};

/// What a round's time is: of the calling thread's processor, which other programs hardly change,
/// or, where several threads work, of the wall.
enum class clock : clockid_t { processor = CLOCK_THREAD_CPUTIME_ID, wall = CLOCK_MONOTONIC };

inline double now_ns(clock chosen) {
  timespec now{};
  clock_gettime(static_cast<clockid_t>(chosen), &now);
  return static_cast<double>(now.tv_sec) * 1e9 + static_cast<double>(now.tv_nsec);
}

inline double nanoseconds(const std::function<void()>& run, clock chosen = clock::processor) {
  const double start = now_ns(chosen);
  run();
  return now_ns(chosen) - start;
}

/// Nanoseconds per operation of each contender.
inline std::vector<figure> measure(const std::vector<contender>& contenders, int rounds,
                                   clock of = clock::processor) {
  std::vector<std::vector<double>> times(contenders.size());
  for (int round = 0; round < rounds + 1; ++round) {
    for (std::size_t index = 0; index < contenders.size(); ++index) {
      const contender& chosen = contenders[index];
      const double time = nanoseconds(chosen.run, of) / static_cast<double>(chosen.operations);
      if (round > 0) times[index].push_back(time);  // the first one warms up
    }
  }
  std::vector<figure> figures;
  for (std::size_t index = 0; index < contenders.size(); ++index) {
    std::ranges::sort(times[index]);
    figures.push_back(
        {contenders[index].name, times[index][times[index].size() / 2], times[index].front()});
  }
  return figures;
}

/// A Markdown table; ratios are to the first row, which is the limit or the yardstick.
inline void print(const char* title, const std::vector<figure>& figures, const char* unit,
                  double unit_ns) {
  std::printf("\n### %s\n\n| contender | median %s | best %s | median ratio | best ratio |\n",
              title, unit, unit);
  std::printf("|---|---|---|---|---|\n");
  for (const figure& row : figures) {
    std::printf("| %s | %.2f | %.2f | %.2f | %.2f |\n", row.name.c_str(), row.median_ns / unit_ns,
                row.best_ns / unit_ns, row.median_ns / figures.front().median_ns,
                row.best_ns / figures.front().best_ns);
  }
}

inline bool is_smoke(int argument_count, char** arguments) {
  return argument_count > 1 && std::strcmp(arguments[1], "--smoke") == 0;
}

/// Printed at the end, so that no loop can be removed.
inline std::size_t checksum = 0;

template <class T>
inline void keep(T* data) {
  asm volatile("" : : "r"(data) : "memory");
}

}  // namespace bench
