// A table that grows in reserved space, on huge pages where there are some, with what was written
// told.
#include <acre/os/mapping.hpp>
#include <acre/os/page.hpp>

#include <cstdio>

int main() {
  using namespace acre::os;
  const std::size_t page = page_size();

  // Address space for the largest table; memory for its beginning.
  mapping table = acre::or_throw(mapping::reserve(std::size_t{1} << 30U));
  acre::or_throw(table.commit({.size_bytes = 16 * page}));
  table.data()[0] = std::byte{1};
  const auto last = acre::or_throw(table.guard({.offset_bytes = 15 * page, .size_bytes = page}));
  std::printf("the guard behind the table is a %s\n",
              last == guard_kind::marker ? "marker" : "protected page");

  // Reserved huge pages, or transparent ones, or failure: nothing else was named.
  const auto large = mapping::anonymous(
      std::size_t{8} << 20U, {.pages = {page_kind::huge_2_mib, page_kind::transparent_huge}});
  if (large) {
    std::printf("8 MiB of %s huge pages\n",
                large->kind() == page_kind::huge_2_mib ? "reserved" : "transparent");
  } else {
    std::printf("no huge pages: %s\n", large.error().message().c_str());
  }

  // Which pages has somebody written?
  mapping watched = acre::or_throw(mapping::anonymous(100 * page));
  if (const auto tracking = watched.track_writes(); !tracking) {
    std::printf("no tracking: %s\n", tracking.error().message().c_str());
    return 0;
  }
  watched.data()[3 * page] = std::byte{1};
  watched.data()[4 * page] = std::byte{1};
  for (const byte_range& run : acre::or_throw(watched.dirty_since())) {
    std::printf("written: %zu pages from page %zu\n", run.size_bytes / page,
                run.offset_bytes / page);
  }

  // Growing copies nothing.
  acre::or_throw(watched.resize(1000 * page, resize_policy::may_move));
  std::printf("grown to %zu pages; page 3 still holds %d\n", watched.size() / page,
              static_cast<int>(watched.data()[3 * page]));
}
