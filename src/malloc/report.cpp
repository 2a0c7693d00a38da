#include "malloc/report.hpp"

#include "base/text.hpp"
#include "heap/foreign.hpp"
#include "heap/owner.hpp"
#include "heap/page_heap.hpp"
#include "heap/purger.hpp"
#include "heap/registry.hpp"
#include "heap/remote.hpp"
#include "heap/size_class.hpp"
#include "heap/slabs.hpp"
#include "heap/statistics.hpp"
#include "os/syscall.hpp"

#include <algorithm>
#include <cerrno>

#include <unistd.h>

namespace acre::mallocs {

namespace {

using heaps::page_bytes;

}  // namespace

void flush_own_caches() noexcept {
  heaps::heap_body* const heap = heaps::own_heap();
  if (heap == nullptr) return;
  heaps::send_foreign_home(*heap);
  heaps::send_all_batches(*heap);
  const os::hold guard(heap->lock);
  heaps::flush_all(*heap);
}

int trim(std::size_t keep_bytes) noexcept {
  flush_own_caches();
  return heaps::purge_now(keep_bytes / page_bytes) > 0 ? 1 : 0;
}

struct acre_statistics statistics() noexcept {
  heaps::heap_counts counts;
  heaps::collect(counts);
  struct acre_statistics s{};
  s.allocations = counts.large_allocations + counts.retired_allocations;
  s.live_blocks = counts.large_live;
  s.large_allocations = counts.large_allocations;
  s.large_live = counts.large_live;
  s.large_live_bytes = counts.large_live_pages * page_bytes;
  s.live_bytes = s.large_live_bytes;
  for (unsigned c = 0; c < heaps::class_count; ++c) {
    const heaps::class_counts& of = counts.classes[c];
    const std::size_t bytes = heaps::class_bytes(c);
    s.allocations += of.allocations;
    s.live_blocks += of.live();
    s.live_bytes += of.live_slots() * bytes;
    s.cache_bytes += of.cached_slots() * bytes;
    s.slab_free_bytes += (of.slab_slots - of.in_slabs) * bytes;
    s.rounding_samples += of.seen_count;
    if (of.seen_count > 0 && of.seen_bytes < of.seen_count * bytes)
      s.rounding_bytes += of.live() * (bytes - of.seen_bytes / of.seen_count);
  }
  s.frees = s.allocations - s.live_blocks;
  s.live_bytes_peak = counts.peak_bytes > s.live_bytes ? counts.peak_bytes : s.live_bytes;
  s.committed_bytes = counts.slab_pages * page_bytes + s.large_live_bytes;
  const std::size_t untouched = heaps::process_pages.untouched_pages();
  s.retained_bytes = (counts.dirty_pages - std::min(counts.dirty_pages, untouched)) * page_bytes;
  s.metadata_bytes = counts.metadata_bytes;
  s.threads = counts.threads;
  s.threads_peak = counts.threads_peak;
  return s;
}

int class_statistics(std::size_t index, struct acre_class_statistics& out) noexcept {
  if (index >= heaps::class_count) return 0;
  const heaps::class_counts counts = heaps::collect_class(static_cast<unsigned>(index));
  out.size_bytes = heaps::class_bytes(static_cast<unsigned>(index));
  out.allocations = counts.allocations;
  out.live = counts.live();
  out.live_bytes = counts.live_slots() * out.size_bytes;
  return 1;
}

struct acre_mallinfo2 info() noexcept {
  const struct acre_statistics s = statistics();
  struct acre_mallinfo2 m{};
  m.arena = s.committed_bytes - s.large_live_bytes + s.retained_bytes;
  m.hblks = s.large_live;
  m.hblkhd = s.large_live_bytes;
  m.uordblks = s.live_bytes - s.large_live_bytes;
  m.fordblks = m.arena - m.uordblks;
  m.fsmblks = s.cache_bytes;
  m.keepcost = s.retained_bytes;
  return m;
}

void write_stats() noexcept {
  const struct acre_statistics s = statistics();
  base::text<1024> out;
  const auto line = [&out](std::string_view name, std::size_t value) {
    out.add(name).add_number(value).add("\n");
  };
  line("acre: allocations     ", s.allocations);
  line("acre: frees           ", s.frees);
  line("acre: live bytes      ", s.live_bytes);
  line("acre: most live bytes ", s.live_bytes_peak);
  line("acre: committed bytes ", s.committed_bytes);
  line("acre: retained bytes  ", s.retained_bytes);
  line("acre: cached bytes    ", s.cache_bytes);
  line("acre: free in slabs   ", s.slab_free_bytes);
  line("max mmap bytes   =   ", s.large_live_bytes);
  // Not write(2), where a pending cancellation would end the thread: glibc's is no such point.
  os::raw_syscall(SYS_write, STDERR_FILENO, os::as_long(out.view().data()),
                  static_cast<long>(out.size()));
}

int write_info(int options, std::FILE* stream) noexcept {
  if (options != 0) {
    errno = EINVAL;
    return -1;
  }
  heaps::heap_counts counts;
  heaps::collect(counts);
  const struct acre_statistics s = statistics();
  bool written = std::fprintf(stream, "<malloc version=\"1\">\n<heap nr=\"0\">\n<sizes>\n") >= 0;
  for (unsigned c = 0; c < heaps::class_count; ++c) {
    const heaps::class_counts& of = counts.classes[c];
    const std::size_t free = of.slab_slots - of.live_slots();
    const std::size_t bytes = heaps::class_bytes(c);
    if (of.slab_slots > 0)
      written &=
          std::fprintf(stream, "  <size from=\"%zu\" to=\"%zu\" total=\"%zu\" count=\"%zu\"/>\n",
                       bytes, bytes, free * bytes, free) >= 0;
  }
  written &=
      std::fprintf(stream,
                   "</sizes>\n<total type=\"fast\" count=\"0\" size=\"%zu\"/>\n"
                   "<total type=\"rest\" count=\"0\" size=\"%zu\"/>\n"
                   "<system type=\"current\" size=\"%zu\"/>\n<system type=\"max\" size=\"%zu\"/>\n"
                   "</heap>\n<total type=\"mmap\" count=\"%zu\" size=\"%zu\"/>\n"
                   "<system type=\"current\" size=\"%zu\"/>\n</malloc>\n",
                   s.cache_bytes, s.slab_free_bytes, s.committed_bytes + s.retained_bytes,
                   std::max(s.committed_bytes + s.retained_bytes, s.live_bytes_peak), s.large_live,
                   s.large_live_bytes, s.committed_bytes + s.retained_bytes) >= 0;
  return written ? 0 : -1;
}

struct acre_owner owner(const void* address) noexcept {
  const heaps::owner_facts facts = heaps::owner_of(address);
  struct acre_owner out{};
  out.block = facts.block;
  out.block_bytes = facts.block_bytes;
  switch (facts.kind) {
    case heaps::owner_kind::not_ours:
      out.kind = ACRE_NOT_OURS;
      break;
    case heaps::owner_kind::small_live:
      out.kind = ACRE_SMALL_LIVE;
      break;
    case heaps::owner_kind::small_free:
      out.kind = ACRE_SMALL_FREE;
      break;
    case heaps::owner_kind::large:
      out.kind = ACRE_LARGE;
      break;
    case heaps::owner_kind::unused:
      out.kind = ACRE_UNUSED;
      break;
  }
  return out;
}

int check_invariants() noexcept {
  return heaps::check_invariants() ? 1 : 0;
}

}  // namespace acre::mallocs
