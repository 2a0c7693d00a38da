// A process's own memory: what its largest mappings take, and which pages of a buffer are in
// memory.

#include <acre/os/process.hpp>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <functional>
#include <vector>

int main() {
  const auto self = acre::os::process::self();
  if (!self) return std::fprintf(stderr, "%s\n", self.error().message().c_str()), 1;

  // A megabyte of which the middle is touched.
  std::vector<char> buffer;
  buffer.reserve(1 << 20);
  std::memset(buffer.data() + (512 << 10), 1, 64 << 10);

  auto usage = self->smaps();
  if (!usage) return std::fprintf(stderr, "%s\n", usage.error().message().c_str()), 1;
  constexpr auto rss = acre::os::memory_field::rss;
  std::ranges::sort(usage->mappings, std::ranges::greater{},
                    [](const auto& each) { return each.memory[rss]; });
  for (std::size_t index = 0; index < 3 && index < usage->mappings.size(); ++index) {
    const auto& [mapping, memory, flags, eligible, key, other] = usage->mappings[index];
    std::printf("%8llu KiB of %8llu KiB  %s  %s\n",
                static_cast<unsigned long long>(memory[rss] / 1024),
                static_cast<unsigned long long>(mapping.size_bytes() / 1024),
                mapping.protection().data(), mapping.name.c_str());
  }

  const auto map = self->pages();
  if (!map) return std::fprintf(stderr, "%s\n", map.error().message().c_str()), 1;
  const auto start = reinterpret_cast<std::uint64_t>(buffer.data()) / 4096 * 4096;
  std::vector<acre::os::page_entry> pages(256);
  const auto count = map->read(start, pages);
  if (!count) return std::fprintf(stderr, "%s\n", count.error().message().c_str()), 1;
  pages.resize(*count);
  const auto present = std::ranges::count_if(pages, &acre::os::page_entry::present);
  std::printf("%td of %zu pages of the buffer are in memory\n", present, pages.size());
  return present >= 16 ? 0 : 1;
}
