#include <acre/os/page_map.hpp>

#include "os/pagemap_scan.hpp"
#include "os/proc_file.hpp"

#include <algorithm>
#include <cerrno>

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

namespace acre::os {
namespace {

/// Each kernel knows its categories and refuses further ones.
constexpr std::uint64_t categories_of_6_7 = 0xff;
constexpr std::uint64_t categories_of_6_15 = 0x1ff;

std::uint64_t page_size() noexcept {
  static const auto size = static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
  return size;
}

}  // namespace

std::vector<page_span> checked_spans(std::span<const page_span> spans, std::uint64_t start,
                                     std::uint64_t end) {
  std::vector<page_span> result;
  for (const auto& span : spans) {
    if (span.start < start || span.end > end || span.start >= span.end) continue;
    start = span.end;
    const bool continues = !result.empty() && result.back().end == span.start &&
                           result.back().categories == span.categories;
    if (continues) {
      result.back().end = span.end;
    } else {
      result.push_back(span);
    }
  }
  return result;
}

page_map::~page_map() {
  // Nothing is written to it, so there is nothing to lose.
  if (file_ >= 0) static_cast<void>(tell(calls::close, file_));
}

result<page_map> page_map::open(const char* path, int directory) noexcept {
  const auto file = ask(calls::openat, directory, path, O_RDONLY | O_CLOEXEC, 0);
  if (!file) return std::unexpected(failure{file.error().number, "pagemap"});
  return page_map(static_cast<int>(*file));
}

result<std::size_t> page_map::read(std::uint64_t address,
                                   std::span<page_entry> into) const noexcept {
  const auto offset = address / page_size() * sizeof(page_entry);
  std::size_t done = 0;
  auto bytes = std::as_writable_bytes(into);
  while (done < bytes.size()) {
    const auto size =
        ask(calls::pread, file_, bytes.data() + done, bytes.size() - done, offset + done);
    if (!size && size.error().number == EINTR) continue;
    if (!size) return std::unexpected(failure{size.error().number, "pagemap"});
    if (*size == 0) break;
    done += static_cast<std::size_t>(*size);
  }
  // The kernel answers 0 bytes at once when the process has no memory any more.
  if (done == 0 && !into.empty()) return std::unexpected(failure{ESRCH, "pagemap"});
  return done / sizeof(page_entry);
}

result<std::vector<page_span>> page_map::scan(std::uint64_t start, std::uint64_t end,
                                              std::uint64_t categories) const {
  std::vector<page_span> found;
  for (const auto known : {categories_of_6_15, categories_of_6_7}) {
    const std::uint64_t any_of = categories == 0 ? known : categories & known;
    if (any_of == 0) break;  // this kernel has no such pages
    const auto scanned = scan_pages(file_, start, end, {.any_of = any_of, .report = known},
                                    [&found](const abi::page_region& run) {
                                      found.push_back({run.start, run.end, run.categories});
                                    });
    if (scanned) break;
    const bool is_refused = scanned.error().number == EINVAL && known == categories_of_6_15;
    if (!is_refused) return std::unexpected(failure{scanned.error().number, "PAGEMAP_SCAN"});
  }
  return checked_spans(found, start, end);
}

result<void> read_frame_flags(std::span<const std::uint64_t> frames,
                              std::span<std::uint64_t> flags) noexcept {
  const auto file = proc_file::open(AT_FDCWD, "/proc/kpageflags", "kpageflags");
  if (!file) return std::unexpected(file.error());
  const std::size_t count = std::min(frames.size(), flags.size());
  for (std::size_t index = 0; index < count;) {
    // Frames are often in a row; one call reads as many as are.
    std::size_t length = 1;
    while (index + length < count && frames[index + length] == frames[index] + length)
      ++length;
    const auto run = flags.subspan(index, length);
    const auto size =
        file->read_at(frames[index] * sizeof(std::uint64_t), std::as_writable_bytes(run));
    // A frame beyond the machine's memory has no flags.
    std::ranges::fill(run.subspan(size ? *size / sizeof(std::uint64_t) : 0), 0);
    index += length;
  }
  return {};
}

namespace {

/// Whether a page of ours, just written, is reported as written.
bool try_soft_dirty() noexcept {
  const std::size_t size = page_size();
  void* const page =
      ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (page == MAP_FAILED) return false;
  // Where the kernel keeps the bits, a page that was written after it was mapped has its bit set,
  // without anything having to be cleared first.
  *static_cast<volatile char*>(page) = 1;
  page_entry entry;
  bool works = false;
  if (const auto map = page_map::open("/proc/self/pagemap")) {
    const auto count = map->read(reinterpret_cast<std::uint64_t>(page), {&entry, 1});
    works = count && *count == 1 && entry.present() && entry.soft_dirty();
  }
  ::munmap(page, size);
  return works;
}

}  // namespace

bool soft_dirty_works() noexcept {
  static const bool works = try_soft_dirty();
  return works;
}

}  // namespace acre::os
