// What the kernel tells of memory: huge pages, swap, overcommit and limits.

#include <acre/os/process.hpp>

#include "tool/machine_description.hpp"
#include "tool/machine_kernel_files.hpp"

#include <algorithm>
#include <array>
#include <filesystem>

#include <sys/resource.h>
#include <unistd.h>

namespace acre::tool {
namespace {

constexpr std::uint64_t kib = 1024;

std::string thp_file(const char* name) {
  return find_chosen(read_kernel_file(std::string("/sys/kernel/mm/transparent_hugepage/") + name));
}

std::vector<huge_pool_facts> list_huge_pools() {
  std::vector<huge_pool_facts> pools;
  std::error_code problem;
  for (const auto& folder :
       std::filesystem::directory_iterator("/sys/kernel/mm/hugepages", problem)) {
    constexpr std::string_view prefix = "hugepages-";
    const auto name = folder.path().filename().string();
    const auto size =
        name.starts_with(prefix) ? parse_number(name.substr(prefix.size())) : std::nullopt;
    if (!size) continue;
    const auto count = [&](const char* file) {
      return parse_number(read_kernel_file(folder.path() / file)).value_or(0);
    };
    pools.push_back({*size * kib, count("nr_hugepages"), count("free_hugepages")});
  }
  std::ranges::sort(pools, {}, &huge_pool_facts::page_bytes);
  return pools;
}

std::string overcommit_mode() {
  const auto mode = parse_number(read_kernel_file("/proc/sys/vm/overcommit_memory"));
  constexpr std::array names{"heuristic", "always", "never"};
  return mode && *mode < names.size() ? names[*mode] : "unknown";
}

std::vector<limit_facts> list_limits() {
  constexpr std::array limits{std::pair{RLIMIT_MEMLOCK, "locked"}, std::pair{RLIMIT_STACK, "stack"},
                              std::pair{RLIMIT_AS, "address space"},
                              std::pair{RLIMIT_DATA, "data"}};
  std::vector<limit_facts> list;
  for (const auto& [which, name] : limits) {
    rlimit limit{};
    if (::getrlimit(which, &limit) != 0) continue;
    std::optional<std::uint64_t> soft;
    if (limit.rlim_cur != RLIM_INFINITY) soft = limit.rlim_cur;
    list.push_back({name, soft});
  }
  return list;
}

void add_cgroup(kernel_memory_facts& facts) {
  const auto self = os::process::self();
  const auto group = self ? self->cgroup() : std::unexpected(self.error());
  if (!group) return;
  facts.cgroup_limit_bytes = group->limit_bytes;
  facts.cgroup_high_bytes = group->high_bytes;
  if (group->limit_bytes) facts.cgroup_limit_directory = group->limit_directory;
}

}  // namespace

kernel_memory_facts describe_kernel_memory() {
  const auto meminfo = read_kernel_file("/proc/meminfo");
  const auto amount = [&](const char* name) {
    return find_number(meminfo, name).value_or(0) * kib;
  };
  kernel_memory_facts facts;
  facts.page_bytes = static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
  facts.memory_bytes = amount("MemTotal");
  facts.available_bytes = amount("MemAvailable");
  facts.swap_bytes = amount("SwapTotal");
  facts.swap_free_bytes = amount("SwapFree");
  facts.commit_limit_bytes = amount("CommitLimit");
  facts.committed_bytes = amount("Committed_AS");
  facts.thp_mode = thp_file("enabled");
  facts.thp_defrag = thp_file("defrag");
  facts.thp_shared = thp_file("shmem_enabled");
  facts.thp_bytes =
      parse_number(read_kernel_file("/sys/kernel/mm/transparent_hugepage/hpage_pmd_size"))
          .value_or(0);
  facts.huge_pools = list_huge_pools();
  facts.overcommit = overcommit_mode();
  facts.mappings_max = parse_number(read_kernel_file("/proc/sys/vm/max_map_count")).value_or(0);
  facts.limits = list_limits();
  add_cgroup(facts);
  return facts;
}

}  // namespace acre::tool
