#include "tool/machine_noise.hpp"

#include "tool/machine_kernel_files.hpp"

#include <algorithm>
#include <array>
#include <ctime>
#include <sstream>

#include <fmt/format.h>
#include <unistd.h>

namespace acre::tool {
namespace {

constexpr std::chrono::milliseconds clock_watch{60};

// From here on a figure says more of the disturbance than of the machine. On an idle machine these
// are below a tenth of that.
constexpr double stolen_max = 0.02;
constexpr double others_max = 0.10;
constexpr double lost_max = 0.02;
constexpr double point_spread_max = 0.10;
constexpr double noisy_points_max = 0.20;

std::vector<double> spreads_of(const machine_measurement& measurement) {
  std::vector<double> spreads;
  for (const auto* curve :
       {&measurement.huge_pages, &measurement.small_pages, &measurement.page_walk})
    for (const auto& point : curve->points)
      spreads.push_back(point.latency_ns.spread());
  std::ranges::sort(spreads);
  return spreads;
}

std::string percent(double part) {
  return fmt::format("{:.0f} %", part * 100);
}

void add_reasons(noise_report& noise) {
  auto& reasons = noise.reasons;
  if (noise.stolen_part > stolen_max)
    reasons.push_back("the host took away " + percent(noise.stolen_part) + " of the CPUs' time");
  if (noise.others_part > others_max)
    reasons.push_back("other programs used " + percent(noise.others_part) + " of the CPUs");
  if (noise.lost_part > lost_max)
    reasons.push_back(percent(noise.lost_part) + " of the time was lost to interruptions");
  if (noise.noisy_points > noisy_points_max) {
    reasons.push_back(percent(noise.noisy_points) +
                      " of the latencies varied by more than a tenth between repetitions");
  }
}

}  // namespace

noise_watch::times noise_watch::read_times() {
  // user nice system idle iowait irq softirq steal
  constexpr std::size_t idle = 3;
  constexpr std::size_t wait = 4;
  constexpr std::size_t steal = 7;
  std::istringstream line(read_kernel_line("/proc/stat"));
  std::string name;
  line >> name;
  times now;
  double ticks = 0;
  for (std::size_t index = 0; index <= steal && line >> ticks; ++index) {
    const double seconds = ticks / static_cast<double>(::sysconf(_SC_CLK_TCK));
    now.total += seconds;
    if (index == steal) now.stolen = seconds;
    if (index != steal && index != idle && index != wait) now.busy += seconds;
  }
  timespec own{};
  if (::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &own) == 0)
    now.own = static_cast<double>(own.tv_sec) + static_cast<double>(own.tv_nsec) / 1e9;
  return now;
}

noise_watch::noise_watch() : start_(read_times()), clock_(watch_clock(clock_watch)) {}

void noise_watch::judge(machine_measurement& measurement) const {
  auto& noise = measurement.noise;
  const auto end = read_times();
  const auto after = watch_clock(clock_watch);
  noise.clock = {.read_ns = std::min(clock_.read_ns, after.read_ns),
                 .gap_ns_max = std::max(clock_.gap_ns_max, after.gap_ns_max),
                 .lost_part = (clock_.lost_part + after.lost_part) / 2};
  noise.lost_part = noise.clock.lost_part;
  if (const double total = end.total - start_.total; total > 0) {
    noise.stolen_part = (end.stolen - start_.stolen) / total;
    const double others = end.busy - start_.busy - (end.own - start_.own);
    noise.others_part = std::clamp(others / total, 0.0, 1.0);
  }
  const auto spreads = spreads_of(measurement);
  if (!spreads.empty()) {
    noise.spread = spreads[spreads.size() / 2];
    const auto noisy =
        std::ranges::count_if(spreads, [](double spread) { return spread > point_spread_max; });
    noise.noisy_points = static_cast<double>(noisy) / static_cast<double>(spreads.size());
  }
  add_reasons(noise);
}

}  // namespace acre::tool
