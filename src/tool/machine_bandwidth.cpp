#include "tool/machine_bandwidth.hpp"

#include "tool/machine_affinity.hpp"
#include "tool/machine_buffer.hpp"
#include "tool/machine_stream.hpp"

#include <algorithm>
#include <barrier>
#include <exception>
#include <functional>
#include <mutex>
#include <span>
#include <thread>

namespace acre::tool {
namespace {

enum class stream { read, write, copy };

/// One run over the working set, `passes` times.
std::size_t run_kernel(stream kind, std::span<std::byte> memory, std::size_t passes) {
  const auto& kernels = widest_stream_kernels();
  const auto half = memory.size() / 2;
  switch (kind) {
    case stream::read:
      keep(kernels.read(memory.data(), memory.size(), passes));
      return memory.size() * passes;
    case stream::write:
      kernels.write(memory.data(), memory.size(), passes);
      return memory.size() * passes;
    case stream::copy:
      kernels.copy(memory.data(), memory.data() + half, half, passes);
      return half * passes;
  }
  return 0;
}

/// Bytes per nanosecond, over at least `duration_ns`.
double run_for(stream kind, std::span<std::byte> memory, double duration_ns) {
  constexpr std::size_t bytes_between_readings = std::size_t{1} << 20;
  const auto passes = std::max<std::size_t>(bytes_between_readings / memory.size(), 1);
  const double start = now_ns();
  std::size_t bytes = 0;
  double now = start;
  do {
    bytes += run_kernel(kind, memory, passes);
    now = now_ns();
  } while (now < start + duration_ns);
  return static_cast<double>(bytes) / (now - start);
}

struct rates {
  std::vector<double> read;
  std::vector<double> write;
  std::vector<double> copy;

  void resize(std::size_t count) {
    for (auto* each : {&read, &write, &copy})
      each->resize(count);
  }
};

/// What one CPU does; all begin each repetition at once.
void measure_one(std::span<std::byte> memory, const machine_plan& plan, std::barrier<>& together,
                 rates& mine) {
  mine.resize(static_cast<std::size_t>(plan.repetitions));
  for (std::size_t repetition = 0; repetition < mine.read.size(); ++repetition) {
    for (const auto kind : {stream::read, stream::write, stream::copy}) {
      auto& list = kind == stream::read    ? mine.read
                   : kind == stream::write ? mine.write
                                           : mine.copy;
      run_kernel(kind, memory, 1);  // brings the set into the cache
      together.arrive_and_wait();
      list[repetition] = run_for(kind, memory, plan.repetition_ns);
      together.arrive_and_wait();
    }
  }
}

/// Runs `work(index)` on each CPU; an exception of any comes back.
void on_each_cpu(const std::vector<unsigned>& cpus, const std::function<void(std::size_t)>& work) {
  std::mutex guard;
  std::exception_ptr problem;
  {
    std::vector<std::jthread> threads;
    for (std::size_t index = 0; index < cpus.size(); ++index) {
      threads.emplace_back([&, index] {
        try {
          stay_on_cpu(cpus[index]);
          work(index);
        } catch (...) {
          const std::scoped_lock lock(guard);
          problem = std::current_exception();
        }
      });
    }
  }
  if (problem) std::rethrow_exception(problem);
}

figure sum_of(const std::vector<rates>& all, std::vector<double> rates::* member) {
  std::vector<double> sums((all.front().*member).size());
  for (const auto& each : all)
    for (std::size_t index = 0; index < sums.size(); ++index)
      sums[index] += (each.*member)[index];
  return summarize(std::move(sums));
}

bandwidth_row measure_row(bandwidth_row row, const std::vector<unsigned>& cpus, page_wish pages,
                          const machine_plan& plan) {
  std::vector<std::unique_ptr<test_buffer>> buffers(cpus.size());
  std::vector<rates> all(cpus.size());
  // Where a buffer cannot be had, nobody may wait for its CPU; so they are made first, each by the
  // CPU that uses it, for the kernel to place it near.
  on_each_cpu(cpus, [&](std::size_t index) {
    buffers[index] = std::make_unique<test_buffer>(row.size_bytes, pages, row.node);
  });
  std::barrier together(static_cast<std::ptrdiff_t>(cpus.size()));
  on_each_cpu(cpus, [&](std::size_t index) {
    measure_one(buffers[index]->bytes(), plan, together, all[index]);
  });
  row.read = sum_of(all, &rates::read);
  row.write = sum_of(all, &rates::write);
  row.copy = sum_of(all, &rates::copy);
  return row;
}

constexpr std::size_t round_down(std::size_t size) {
  constexpr auto unit = 2 * stream_block_bytes;
  return size / unit * unit;
}

/// The working set of each of `cpus` CPUs in a level: half of their share of it, and more than
/// their share of the level before; 0 when both cannot be.
std::size_t set_bytes_in(const cache_facts& level, const cache_facts* before, std::size_t cpus) {
  const auto share = [&](const cache_facts& cache) {
    return cache.size_bytes / std::min<std::size_t>(cache.sharing_cpus, cpus);
  };
  const auto wanted = share(level) / 2;
  if (before == nullptr) return round_down(wanted);
  const auto least = share(*before) * 3 / 2;
  if (wanted >= least) return round_down(wanted);
  return least <= share(level) * 3 / 4 ? round_down(least) : 0;
}

/// Each CPU's part of a set that leaves every cache behind.
std::size_t share_of(std::size_t set_bytes, std::size_t cpus) {
  constexpr std::size_t least = std::size_t{4} << 20;
  return round_down(std::max(set_bytes / cpus, std::min(least, set_bytes)));
}

void add_levels(std::vector<bandwidth_row>& rows, const machine_description& machine,
                const std::vector<unsigned>& cpus, const machine_plan& plan) {
  const auto caches = caches_here(machine);
  for (std::size_t index = 0; index < caches.size() && !plan.is_late(); ++index) {
    bandwidth_row row{.level = caches[index].name, .cpus = static_cast<unsigned>(cpus.size())};
    row.size_bytes =
        set_bytes_in(caches[index], index > 0 ? &caches[index - 1] : nullptr, cpus.size());
    if (row.size_bytes == 0)
      row.missing = "the level before holds as much";
    else
      row = measure_row(row, cpus, page_wish::huge, plan);
    rows.push_back(std::move(row));
  }
  if (plan.is_late()) return;
  const bandwidth_row row{.level = "memory",
                          .cpus = static_cast<unsigned>(cpus.size()),
                          .size_bytes = share_of(plan.set_bytes_max, cpus.size())};
  rows.push_back(measure_row(row, cpus, page_wish::huge, plan));
}

void add_node(std::vector<bandwidth_row>& rows, const node_facts& node,
              const std::vector<unsigned>& cpus, const machine_plan& plan) {
  if (plan.is_late()) return;
  bandwidth_row row{
      .level = "memory", .cpus = static_cast<unsigned>(cpus.size()), .node = node.number};
  row.size_bytes = share_of(largest_set_on(node, plan), cpus.size());
  if (row.size_bytes == 0 || row.size_bytes * cpus.size() > node.free_bytes / 2)
    row.missing = "too little free memory";
  else
    row = measure_row(row, cpus, page_wish::huge, plan);
  rows.push_back(std::move(row));
}

}  // namespace

std::vector<bandwidth_row> measure_bandwidths(const machine_description& machine,
                                              const machine_plan& plan,
                                              machine_progress& progress) {
  std::vector<bandwidth_row> rows;
  const auto& cpus = machine.processor.cpus;
  add_levels(rows, machine, {machine.processor.measuring_cpu}, plan);
  progress.advance(0.4);
  if (cpus.size() > 1) add_levels(rows, machine, cpus, plan);
  progress.advance(0.8);
  // With one node these would be the rows of memory again.
  if (machine.nodes.size() > 1) {
    for (const auto& node : machine.nodes) {
      add_node(rows, node, {machine.processor.measuring_cpu}, plan);
      if (cpus.size() > 1) add_node(rows, node, cpus, plan);
    }
  }
  return rows;
}

}  // namespace acre::tool
