#include <acre/os/numa.hpp>

#include "os/kernel.hpp"
#include "os/proc_file.hpp"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <filesystem>
#include <string>
#include <string_view>
#include <utility>

#include <linux/mempolicy.h>
#include <unistd.h>

namespace acre::os {

namespace {

constexpr const char* online_name = "/sys/devices/system/node/online";
constexpr const char* cpulist_name = "/sys/devices/system/node/node*/cpulist";
constexpr const char* meminfo_name = "/sys/devices/system/node/node*/meminfo";
constexpr const char* distance_name = "/sys/devices/system/node/node*/distance";
constexpr const char* cpus_name = "/sys/devices/system/cpu/online";

std::unexpected<failure> malformed(const char* name) {
  return std::unexpected(failure{.number = EBADMSG, .call = name});
}

bool is_missing(const failure& refused) {
  return refused.number == ENOENT || refused.number == ENOTDIR || refused.number == ENODEV;
}

/// The next run of digits in the text, which is cut off after it.
template <class Number>
std::optional<Number> take_number(std::string_view& text) {
  const std::size_t first = text.find_first_of("0123456789");
  if (first == std::string_view::npos) return std::nullopt;
  Number value{};
  const char* const end = text.data() + text.size();
  const auto [after, error] = std::from_chars(text.data() + first, end, value);
  if (error != std::errc()) return std::nullopt;
  text.remove_prefix(static_cast<std::size_t>(after - text.data()));
  return value;
}

/// The bytes of a line such as "Node 1 MemTotal:   2048 kB" in a node's meminfo.
std::optional<std::uint64_t> meminfo_bytes(std::string_view text, std::string_view key) {
  const std::size_t at = text.find(key);
  if (at == std::string_view::npos) return std::nullopt;
  text.remove_prefix(at + key.size());
  const auto kib = take_number<std::uint64_t>(text);
  if (!kib) return std::nullopt;
  return *kib * 1024;
}

std::uint64_t physical_bytes(int name) {
  return static_cast<std::uint64_t>(sysconf(name)) *
         static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
}

}  // namespace

struct topology_reader {
  std::string root;  // of sysfs
  numa_topology topology;

  /// A file that may be absent: nothing then.
  result<std::optional<std::string>> optional_file(const std::string& path,
                                                   const char* name) const {
    auto text = read_whole(AT_FDCWD, (root + path).c_str(), name);
    if (text) return std::optional(std::move(*text));
    if (is_missing(text.error())) return std::optional<std::string>();
    return std::unexpected(text.error());
  }

  /// A number alone in a file, where it is there.
  std::optional<unsigned> optional_number(const std::string& path) const {
    const auto text = read_whole(AT_FDCWD, (root + path).c_str(), "");
    if (!text) return std::nullopt;
    std::string_view rest = *text;
    return take_number<unsigned>(rest);
  }

  std::optional<memory_speed> speed_of(const std::string& directory) const {
    const std::string seen_from = directory + "/access0/initiators/";
    const auto latency = optional_number(seen_from + "read_latency");
    const auto bandwidth = optional_number(seen_from + "read_bandwidth");
    if (!latency && !bandwidth) return std::nullopt;
    return memory_speed{
        .read_latency_ns = latency.value_or(0),
        .write_latency_ns = optional_number(seen_from + "write_latency").value_or(0),
        .read_bandwidth_mib_s = bandwidth.value_or(0),
        .write_bandwidth_mib_s = optional_number(seen_from + "write_bandwidth").value_or(0)};
  }

  /// Reads one node and its row of distances; nothing when it went offline meanwhile.
  result<void> read_node(unsigned index, const node_set& online) {
    const std::string directory = "/devices/system/node/node" + std::to_string(index);
    const auto cpulist = optional_file(directory + "/cpulist", cpulist_name);
    if (!cpulist) return std::unexpected(cpulist.error());
    const auto meminfo = optional_file(directory + "/meminfo", meminfo_name);
    if (!meminfo) return std::unexpected(meminfo.error());
    const auto distances = optional_file(directory + "/distance", distance_name);
    if (!distances) return std::unexpected(distances.error());
    if (!*cpulist || !*meminfo || !*distances) return {};

    const auto cpus = cpu_set::parse(**cpulist);
    if (!cpus) return malformed(cpulist_name);
    const auto total = meminfo_bytes(**meminfo, "MemTotal:");
    const auto free = meminfo_bytes(**meminfo, "MemFree:");
    if (!total || !free) return malformed(meminfo_name);
    std::string_view row = **distances;
    for (std::size_t i = 0; i < online.size(); ++i) {
      const auto one = take_number<unsigned>(row);
      if (!one) return malformed(distance_name);
      topology.distances_.push_back(*one);
    }
    topology.nodes_.push_back(
        {.index = index,
         .cpus = *cpus,
         .memory_bytes = *total,
         .free_bytes = *free,
         .interleave_weight = optional_number("/kernel/mm/mempolicy/weighted_interleave/node" +
                                              std::to_string(index)),
         .speed = speed_of(directory)});
    return {};
  }

  /// Takes the columns of nodes that vanished out of the rows of distances.
  void keep_present_columns(const node_set& online) {
    const std::vector<unsigned> rows = std::move(topology.distances_);
    topology.distances_.clear();
    std::size_t at = 0;
    for (std::size_t row = 0; row < topology.nodes_.size(); ++row) {
      for (const unsigned column : online) {
        if (topology.node(column) != nullptr) topology.distances_.push_back(rows[at]);
        ++at;
      }
    }
  }

  void read_tiers() {
    const std::filesystem::path directory = root + "/devices/virtual/memory_tiering";
    constexpr std::string_view prefix = "memory_tier";
    // Not to be able to list them is to have none: the kernel may lack them, or hide them.
    std::error_code error;
    for (std::filesystem::directory_iterator at(directory, error), end; !error && at != end;
         at.increment(error)) {
      const std::string name = at->path().filename();
      std::string_view digits = name;
      if (!digits.starts_with(prefix)) continue;
      const auto rank = take_number<unsigned>(digits);
      const auto list = read_whole(AT_FDCWD, (at->path() / "nodelist").c_str(), "");
      const auto members = list ? node_set::parse(*list) : std::nullopt;
      if (rank && members) topology.tiers_.push_back({.rank = *rank, .nodes = *members});
    }
    std::ranges::sort(topology.tiers_, {}, &memory_tier::rank);
  }

  /// The one node of a kernel without NUMA.
  result<void> read_flat() {
    const auto online =
        read_whole(AT_FDCWD, (root + "/devices/system/cpu/online").c_str(), cpus_name);
    if (!online) return std::unexpected(online.error());
    const auto cpus = cpu_set::parse(*online);
    if (!cpus) return malformed(cpus_name);
    topology.nodes_.push_back({.index = 0,
                               .cpus = *cpus,
                               .memory_bytes = physical_bytes(_SC_PHYS_PAGES),
                               .free_bytes = physical_bytes(_SC_AVPHYS_PAGES),
                               .interleave_weight = std::nullopt,
                               .speed = std::nullopt});
    topology.distances_ = {10};
    return {};
  }

  result<void> read() {
    const auto text = optional_file("/devices/system/node/online", online_name);
    if (!text) return std::unexpected(text.error());
    if (!*text) return read_flat();
    const auto online = node_set::parse(**text);
    if (!online || online->empty()) return malformed(online_name);
    topology.is_numa_kernel_ = true;
    for (const unsigned index : *online) {
      if (auto done = read_node(index, *online); !done) return done;
    }
    if (topology.nodes_.empty()) return malformed(online_name);
    keep_present_columns(*online);
    read_tiers();
    return {};
  }
};

result<numa_topology> numa_topology::read(const char* sysfs) {
  topology_reader reader{.root = sysfs, .topology = {}};
  if (auto done = reader.read(); !done) return std::unexpected(done.error());
  return std::move(reader.topology);
}

const numa_node* numa_topology::node(unsigned index) const noexcept {
  const auto found = std::ranges::find(nodes_, index, &numa_node::index);
  return found == nodes_.end() ? nullptr : &*found;
}

const numa_node* numa_topology::node_of_cpu(unsigned cpu) const noexcept {
  const auto found =
      std::ranges::find_if(nodes_, [cpu](const numa_node& one) { return one.cpus.contains(cpu); });
  return found == nodes_.end() ? nullptr : &*found;
}

std::optional<unsigned> numa_topology::distance(unsigned from, unsigned to) const noexcept {
  const numa_node* const a = node(from);
  const numa_node* const b = node(to);
  if (a == nullptr || b == nullptr) return std::nullopt;
  const auto row = static_cast<std::size_t>(a - nodes_.data());
  const auto column = static_cast<std::size_t>(b - nodes_.data());
  return distances_[row * nodes_.size() + column];
}

node_set numa_topology::online() const noexcept {
  node_set set;
  for (const numa_node& one : nodes_)
    (void)set.insert(one.index);
  return set;
}

node_set numa_topology::with_cpus() const noexcept {
  node_set set;
  for (const numa_node& one : nodes_) {
    if (!one.cpus.empty()) (void)set.insert(one.index);
  }
  return set;
}

node_set numa_topology::with_memory() const noexcept {
  node_set set;
  for (const numa_node& one : nodes_) {
    if (one.memory_bytes > 0) (void)set.insert(one.index);
  }
  return set;
}

node_set numa_topology::memory_only() const noexcept {
  return with_memory() - with_cpus();
}

std::vector<unsigned> numa_topology::nearest(unsigned from) const {
  const node_set candidates = with_memory();
  std::vector<unsigned> order(candidates.begin(), candidates.end());
  std::ranges::sort(order, {}, [&](unsigned to) {
    return std::pair(distance(from, to).value_or(static_cast<unsigned>(-1)), to);
  });
  return order;
}

result<node_set> allowed_nodes() noexcept {
  node_set nodes;
  const result<void> told = tell(calls::get_mempolicy, nullptr, nodes.words().data(),
                                 node_set::capacity + 1, nullptr, MPOL_F_MEMS_ALLOWED);
  if (told) return nodes;
  // Without NUMA there is the one node.
  if (told.error().number == ENOSYS) return node_set{0};
  return std::unexpected(told.error());
}

result<processor_place> current_place() noexcept {
  processor_place place;
  if (auto told = tell(calls::getcpu, &place.cpu, &place.node, nullptr); !told) {
    return std::unexpected(told.error());
  }
  return place;
}

result<cpu_set> thread_cpus() noexcept {
  cpu_set cpus;
  const auto told =
      tell(calls::sched_getaffinity, 0, cpus.words().size_bytes(), cpus.words().data());
  if (!told) return std::unexpected(told.error());
  return cpus;
}

result<void> set_thread_cpus(const cpu_set& cpus) noexcept {
  return tell(calls::sched_setaffinity, 0, cpus.words().size_bytes(), cpus.words().data());
}

}  // namespace acre::os
