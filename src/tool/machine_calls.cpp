// The system calls are the thing that is measured here, so they are made directly.

#include "tool/machine_calls.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <functional>

#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace acre::tool {
namespace {

constexpr std::size_t mib = std::size_t{1} << 20;
constexpr std::size_t huge_page_bytes = 2 * mib;
constexpr int anonymous = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;

/// A call was refused; the row says so and the others go on.
struct refusal {
  std::string reason;
};

void require(bool is_done, const char* call) {
  if (!is_done) throw refusal{fmt::format("{}: {}", call, std::strerror(errno))};
}

/// Anonymous memory, not present yet, that begins at a multiple of 2 MiB.
class region {
 public:
  explicit region(std::size_t size_bytes, int advice = MADV_NOHUGEPAGE)
      : whole_bytes_(size_bytes + huge_page_bytes), size_bytes_(size_bytes) {
    whole_ = ::mmap(nullptr, whole_bytes_, PROT_READ | PROT_WRITE, anonymous, -1, 0);
    require(whole_ != MAP_FAILED, "mmap");
    const auto address = reinterpret_cast<std::uintptr_t>(whole_);
    start_ = static_cast<volatile char*>(whole_) + (-address & (huge_page_bytes - 1));
    // Refused by a kernel without transparent huge pages, where it changes nothing.
    ::madvise(start(), size_bytes_, advice);
  }
  region(const region&) = delete;
  region& operator=(const region&) = delete;
  ~region() { ::munmap(whole_, whole_bytes_); }

  [[nodiscard]] void* start() const noexcept { return const_cast<char*>(start_); }
  [[nodiscard]] std::size_t size_bytes() const noexcept { return size_bytes_; }
  void touch(std::size_t stride_bytes) const noexcept {
    for (std::size_t offset = 0; offset < size_bytes_; offset += stride_bytes)
      start_[offset] = 1;
  }

 private:
  void* whole_ = nullptr;
  std::size_t whole_bytes_;
  volatile char* start_ = nullptr;
  std::size_t size_bytes_;
};

/// Nanoseconds for each of `count`, of work that is done once.
using timed_work = std::function<double()>;

double time_of(std::size_t count, const std::function<void()>& work) {
  const double start = now_ns();
  work();
  return (now_ns() - start) / static_cast<double>(count);
}

class cost_list {
 public:
  explicit cost_list(const machine_plan& plan) : plan_(plan) {}

  void add(const char* name, const char* unit, const timed_work& once) {
    kernel_cost cost{name, unit, {}, {}};
    try {
      if (plan_.is_late()) throw refusal{"time ran out"};
      std::vector<double> values;
      once();  // the first one meets cold caches and tables not yet there
      for (int repetition = 0; repetition < plan_.repetitions; ++repetition)
        values.push_back(once());
      cost.ns = summarize(std::move(values));
    } catch (const refusal& problem) {
      cost.missing = problem.reason;
    }
    costs_.push_back(std::move(cost));
  }
  [[nodiscard]] std::vector<kernel_cost> take() { return std::move(costs_); }

 private:
  const machine_plan& plan_;
  std::vector<kernel_cost> costs_;
};

constexpr std::size_t calls_each = 256;

void add_calls(cost_list& list, std::size_t page_bytes) {
  list.add("system call that does nothing (getppid)", "call", [] {
    return time_of(calls_each, [] {
      for (std::size_t call = 0; call < calls_each; ++call)
        ::syscall(SYS_getppid);
    });
  });
  list.add("mmap + munmap of a page", "pair", [=] {
    return time_of(calls_each, [=] {
      for (std::size_t call = 0; call < calls_each; ++call) {
        void* const page = ::mmap(nullptr, page_bytes, PROT_READ | PROT_WRITE, anonymous, -1, 0);
        require(page != MAP_FAILED, "mmap");
        ::munmap(page, page_bytes);
      }
    });
  });
  list.add("mmap + write + munmap of a page", "round", [=] {
    return time_of(calls_each, [=] {
      for (std::size_t call = 0; call < calls_each; ++call) {
        void* const page = ::mmap(nullptr, page_bytes, PROT_READ | PROT_WRITE, anonymous, -1, 0);
        require(page != MAP_FAILED, "mmap");
        *static_cast<volatile char*>(page) = 1;
        ::munmap(page, page_bytes);
      }
    });
  });
  list.add("mprotect of a page, to read-only and back", "pair", [=] {
    const region memory(16 * page_bytes);
    memory.touch(page_bytes);
    char* const page = static_cast<char*>(memory.start()) + 8 * page_bytes;
    return time_of(calls_each, [=] {
      for (std::size_t call = 0; call < calls_each; ++call) {
        require(::mprotect(page, page_bytes, PROT_READ) == 0, "mprotect");
        require(::mprotect(page, page_bytes, PROT_READ | PROT_WRITE) == 0, "mprotect");
      }
    });
  });
  list.add("mlock + munlock of a page", "pair", [=] {
    const region memory(page_bytes);
    memory.touch(page_bytes);
    return time_of(calls_each, [&] {
      for (std::size_t call = 0; call < calls_each; ++call) {
        require(::mlock(memory.start(), page_bytes) == 0, "mlock");
        ::munlock(memory.start(), page_bytes);
      }
    });
  });
}

void add_faults(cost_list& list, std::size_t page_bytes) {
  constexpr std::size_t size_bytes = 8 * mib;
  const auto pages = size_bytes / page_bytes;
  list.add("page fault, small page", "page", [=] {
    const region memory(size_bytes);
    return time_of(pages, [&] { memory.touch(page_bytes); });
  });
  list.add("the same by MADV_POPULATE_WRITE", "page", [=] {
    const region memory(size_bytes);
    return time_of(pages, [&] {
      require(::madvise(memory.start(), size_bytes, MADV_POPULATE_WRITE) == 0, "madvise");
    });
  });
  list.add("giving it back (MADV_DONTNEED)", "page", [=] {
    const region memory(size_bytes);
    memory.touch(page_bytes);
    return time_of(pages, [&] {
      require(::madvise(memory.start(), size_bytes, MADV_DONTNEED) == 0, "madvise");
    });
  });
}

/// Faults of the calling thread.
long minor_faults() noexcept {
  rusage usage{};
  ::getrusage(RUSAGE_THREAD, &usage);
  return usage.ru_minflt;
}

void add_huge_faults(cost_list& list, const machine_description& machine) {
  list.add("page fault, transparent huge page", "page", [&] {
    constexpr std::size_t pages = 8;
    if (machine.memory.thp_mode.empty()) throw refusal{"this kernel has none"};
    if (machine.memory.thp_mode == "never") throw refusal{"switched off on this machine"};
    const region memory(pages * huge_page_bytes, MADV_HUGEPAGE);
    const long before = minor_faults();
    const double ns = time_of(pages, [&] { memory.touch(machine.memory.page_bytes); });
    if (minor_faults() - before > 2 * static_cast<long>(pages))
      throw refusal{"the kernel gave small pages"};
    return ns;
  });
  list.add("page fault, reserved huge page (hugetlb)", "page", [&] {
    const auto pool =
        std::ranges::find(machine.memory.huge_pools, huge_page_bytes, &huge_pool_facts::page_bytes);
    if (pool == machine.memory.huge_pools.end() || pool->free_pages == 0)
      throw refusal{"no free pages of 2 MiB in the pool"};
    const auto pages = std::min<std::size_t>(pool->free_pages, 8);
    constexpr int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB;
    void* const memory =
        ::mmap(nullptr, pages * huge_page_bytes, PROT_READ | PROT_WRITE, flags, -1, 0);
    require(memory != MAP_FAILED, "mmap");
    const double ns = time_of(pages, [=] {
      for (std::size_t page = 0; page < pages; ++page)
        static_cast<volatile char*>(memory)[page * huge_page_bytes] = 1;
    });
    ::munmap(memory, pages * huge_page_bytes);
    return ns;
  });
}

/// A block of this size grown by realloc is moved by its page tables, or copied into new pages.
void add_moves(cost_list& list, std::size_t page_bytes, std::size_t size_bytes) {
  list.add("64 MiB moved by mremap", "move", [=] {
    const region memory(size_bytes);
    memory.touch(page_bytes);
    // A place that is free, and stays so: the target replaces what reserves it.
    const region target(size_bytes);
    return time_of(1, [&] {
      void* const moved = ::mremap(memory.start(), size_bytes, size_bytes,
                                   MREMAP_MAYMOVE | MREMAP_FIXED, target.start());
      require(moved == target.start(), "mremap");
    });
  });
  list.add("64 MiB copied to new memory", "copy", [=] {
    const region memory(size_bytes);
    memory.touch(page_bytes);
    return time_of(1, [&] {
      const region target(size_bytes);
      std::memcpy(target.start(), memory.start(), size_bytes);
      keep(target.start());
    });
  });
}

}  // namespace

std::vector<kernel_cost> measure_kernel_costs(const machine_description& machine,
                                              const machine_plan& plan,
                                              machine_progress& progress) {
  cost_list list(plan);
  add_calls(list, plan.page_bytes);
  progress.advance(0.2);
  add_faults(list, plan.page_bytes);
  progress.advance(0.5);
  add_huge_faults(list, machine);
  progress.advance(0.7);
  add_moves(list, plan.page_bytes, 64 * mib);
  return list.take();
}

}  // namespace acre::tool
