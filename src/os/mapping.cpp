#include <acre/os/aligned.hpp>
#include <acre/os/mapping.hpp>
#include <acre/os/page.hpp>

#include "os/kernel.hpp"
#include "os/mapping_range.hpp"
#include "os/number_file.hpp"
#include "os/refusal.hpp"

#include <optional>
#include <string_view>

#include <sys/mman.h>

namespace acre::os {

namespace {

constexpr std::size_t mib = std::size_t{1} << 20U;
constexpr std::size_t gib = std::size_t{1} << 30U;

constexpr int sharing_flags(page_sharing sharing) noexcept {
  switch (sharing) {
    case page_sharing::own:
      return MAP_PRIVATE;
    case page_sharing::shared:
      return MAP_SHARED;
    case page_sharing::droppable:
      return MAP_DROPPABLE;
  }
  return MAP_PRIVATE;
}

/// What is asked of mmap, but for the address.
struct request {
  std::size_t size_bytes = 0;
  int protection = 0;
  int flags = 0;
  int descriptor = -1;
  std::uint64_t offset_bytes = 0;
};

[[gnu::always_inline]] inline result<std::byte*> map(const request& wanted) noexcept {
  const auto start = ask(calls::mmap, nullptr, wanted.size_bytes, wanted.protection, wanted.flags,
                         wanted.descriptor, wanted.offset_bytes);
  if (!start) return std::unexpected(start.error());
  return reinterpret_cast<std::byte*>(*start);
}

[[gnu::always_inline]] inline result<void> unmap(std::byte* start,
                                                 std::size_t size_bytes) noexcept {
  return size_bytes == 0 ? result<void>{} : tell(calls::munmap, start, size_bytes);
}

/// Maps more than is wanted and gives both ends back, so that the rest is aligned.
result<std::byte*> map_and_trim(request wanted, std::size_t alignment) noexcept {
  const std::size_t size_bytes = wanted.size_bytes;
  const auto more = round_up(size_bytes, alignment);
  if (!more || *more > SIZE_MAX - alignment) {
    return refusal(ENOMEM, "mmap", "% bytes do not fit in the address space", size_bytes);
  }
  wanted.size_bytes = *more + alignment;
  const auto start = map(wanted);
  if (!start) return start;
  const auto first = reinterpret_cast<std::uintptr_t>(*start);
  const std::size_t head_bytes = *round_up(first, alignment) - first;
  const std::size_t tail_bytes = wanted.size_bytes - head_bytes - size_bytes;
  auto trimmed = unmap(*start, head_bytes);
  if (trimmed) trimmed = unmap(*start + head_bytes + size_bytes, tail_bytes);
  if (trimmed) return *start + head_bytes;
  // The count of mappings is exhausted; what can be given back whole is.
  static_cast<void>(unmap(*start, wanted.size_bytes));
  return std::unexpected(trimmed.error());
}

/// Gives back what is not aligned as it should be, and maps anew.
result<std::byte*> map_again(std::byte* start, const request& wanted,
                             std::size_t alignment) noexcept {
  if (const auto undone = unmap(start, wanted.size_bytes); !undone) {
    return std::unexpected(undone.error());
  }
  return map_and_trim(wanted, alignment);
}

/// Inlined, as are `map` and `unmap`: a processor that forgets predictions in the kernel takes each
/// return after a system call for a miss, and a mapping is made with as few as a bare mmap.
[[gnu::always_inline]] inline result<std::byte*> map_aligned(const request& wanted,
                                                             std::size_t alignment) noexcept {
  const auto start = map(wanted);
  if (start && !is_aligned(*start, alignment)) [[unlikely]] {
    return map_again(*start, wanted, alignment);
  }
  return start;
}

/// Whether the kernel would use transparent huge pages for such a mapping when advised to.
result<void> transparent_huge_allowed(page_sharing sharing) noexcept {
  if (sharing == page_sharing::shared) {
    char buffer[128];
    const auto text = read_into_buffer("/sys/kernel/mm/transparent_hugepage/shmem_enabled", buffer);
    if (!text) return because(text.error(), "this kernel has no huge pages for shared memory");
    if (text->contains("[never]") || text->contains("[deny]")) {
      return refusal(EOPNOTSUPP, "mmap",
                     "huge pages for shared memory are switched off; write advise to "
                     "/sys/kernel/mm/transparent_hugepage/shmem_enabled");
    }
    return {};
  }
  const auto mode = transparent_huge_page_mode();
  if (!mode) return because(mode.error(), "this kernel has no transparent huge pages");
  if (*mode == transparent_huge_pages::never) {
    return refusal(EOPNOTSUPP, "mmap",
                   "transparent huge pages are switched off; write madvise to "
                   "/sys/kernel/mm/transparent_hugepage/enabled");
  }
  return {};
}

result<std::byte*> map_transparent_huge(const request& wanted, const mapping_options& options,
                                        std::size_t alignment) noexcept {
  if (const auto allowed = transparent_huge_allowed(options.sharing); !allowed) {
    return std::unexpected(allowed.error());
  }
  const auto huge_bytes = transparent_huge_page_size();
  if (!huge_bytes) return std::unexpected(huge_bytes.error());
  if (wanted.size_bytes < *huge_bytes) {
    return refusal(EINVAL, "mmap", "the mapping is smaller than one huge page of % bytes",
                   *huge_bytes);
  }
  const auto start = map_aligned(wanted, std::max(alignment, *huge_bytes));
  if (!start) return start;
  const auto advised = tell(calls::madvise, *start, wanted.size_bytes, MADV_HUGEPAGE);
  if (advised) return start;
  static_cast<void>(unmap(*start, wanted.size_bytes));
  return std::unexpected(advised.error());
}

result<std::byte*> map_reserved_huge(request wanted, page_kind kind,
                                     std::size_t alignment) noexcept {
  const int logarithm = kind == page_kind::huge_2_mib ? 21 : 30;
  wanted.flags = (wanted.flags & ~MAP_NORESERVE) | MAP_HUGETLB | (logarithm << MAP_HUGE_SHIFT);
  const auto start = map_aligned(wanted, alignment);
  if (start) return start;
  const std::uint64_t huge_bytes = std::uint64_t{1} << static_cast<unsigned>(logarithm);
  if (start.error().number == ENOMEM) {
    return because(start.error(),
                   "the pool has too few free pages of % bytes; see hugepages-*/nr_hugepages in "
                   "/sys/kernel/mm/hugepages",
                   huge_bytes);
  }
  return because(start.error(), "this machine has no reserved huge pages of % bytes", huge_bytes);
}

result<std::byte*> map_kind(page_kind kind, std::size_t size_bytes, const mapping_options& options,
                            std::size_t alignment) noexcept {
  const request wanted{.size_bytes = size_bytes,
                       .protection = protection_bits(options.access),
                       .flags = sharing_flags(options.sharing) | MAP_ANONYMOUS |
                                (options.charged ? 0 : MAP_NORESERVE)};
  switch (kind) {
    case page_kind::ordinary:
      break;
    case page_kind::transparent_huge:
      return map_transparent_huge(wanted, options, alignment);
    case page_kind::huge_2_mib:
    case page_kind::huge_1_gib:
      return map_reserved_huge(wanted, kind, alignment);
  }
  return map_aligned(wanted, alignment);
}

/// Checks and rounds what every factory takes.
result<std::size_t> whole_pages(std::size_t size_bytes, std::size_t alignment_bytes,
                                std::size_t page_bytes) noexcept {
  if (size_bytes == 0) return refusal(EINVAL, "mmap", "a mapping holds at least one byte");
  if (alignment_bytes != 0 && !is_alignment(alignment_bytes)) {
    return refusal(EINVAL, "mmap", "an alignment is a power of two, and % is none",
                   alignment_bytes);
  }
  const auto rounded = round_up(size_bytes, page_bytes);
  if (!rounded) {
    return refusal(ENOMEM, "mmap", "% bytes do not fit in the address space", size_bytes);
  }
  return *rounded;
}

}  // namespace

int protection_bits(page_access access) noexcept {
  switch (access) {
    case page_access::none:
      return PROT_NONE;
    case page_access::read:
      return PROT_READ;
    case page_access::read_write:
      return PROT_READ | PROT_WRITE;
    case page_access::read_execute:
      return PROT_READ | PROT_EXEC;
  }
  return PROT_NONE;
}

std::size_t granule_of(page_kind kind) noexcept {
  if (kind == page_kind::huge_2_mib) return 2 * mib;
  if (kind == page_kind::huge_1_gib) return gib;
  return page_size();
}

result<std::span<std::byte>> part_of(const mapping& whole, byte_range where,
                                     const char* call) noexcept {
  const std::size_t size_bytes = whole.size();
  if (size_bytes == 0) return refusal(EINVAL, call, "the mapping is empty");
  if (where.offset_bytes > size_bytes || (where.size_bytes != byte_range::to_end &&
                                          where.size_bytes > size_bytes - where.offset_bytes)) {
    return refusal(EINVAL, call, "the range ends beyond the mapping's % bytes", size_bytes);
  }
  const std::size_t length =
      where.size_bytes == byte_range::to_end ? size_bytes - where.offset_bytes : where.size_bytes;
  if (length == 0) return refusal(EINVAL, call, "the range is empty");
  const std::size_t granule = whole.granule();
  if (!is_aligned(where.offset_bytes, granule) || !is_aligned(length, granule)) {
    return refusal(EINVAL, call, "a range begins and ends at a multiple of % bytes", granule);
  }
  return whole.bytes().subspan(where.offset_bytes, length);
}

result<mapping> mapping::anonymous(std::size_t size_bytes,
                                   const mapping_options& options) noexcept {
  failure refused{
      .number = EINVAL, .call = "mmap", .why = "the order of page kinds to try is empty"};
  for (const page_kind kind : options.pages) {
    const std::size_t granule = granule_of(kind);
    const auto rounded = whole_pages(size_bytes, options.alignment_bytes, granule);
    if (!rounded) return std::unexpected(rounded.error());
    const auto start =
        map_kind(kind, *rounded, options, std::max(options.alignment_bytes, granule));
    if (start) {
      result<mapping> made(std::in_place);
      made->data_ = *start;
      made->size_bytes_ = *rounded;
      made->kind_ = kind;
      made->sharing_ = options.sharing;
      return made;
    }
    refused = start.error();
    if (options.sharing == page_sharing::droppable && refused.number == EINVAL) {
      refused.why = "droppable memory came with Linux 6.11";
    }
  }
  return std::unexpected(refused);
}

result<mapping> mapping::reserve(std::size_t size_bytes, std::size_t alignment_bytes) noexcept {
  return anonymous(
      size_bytes,
      {.access = page_access::none, .alignment_bytes = alignment_bytes, .charged = false});
}

result<mapping> mapping::file(int descriptor, std::uint64_t offset_bytes, std::size_t size_bytes,
                              const mapping_options& options) noexcept {
  if (options.sharing == page_sharing::droppable) {
    return refusal(EINVAL, "mmap", "pages of a file cannot be droppable");
  }
  if (options.pages.begin() == options.pages.end()) {
    return refusal(EINVAL, "mmap", "the order of page kinds to try is empty");
  }
  const page_kind kind = *options.pages.begin();
  if (kind == page_kind::transparent_huge) {
    return refusal(EOPNOTSUPP, "mmap",
                   "pages of a file are huge only by advice; map it and advise huge_page");
  }
  const std::size_t granule = granule_of(kind);
  const auto rounded = whole_pages(size_bytes, options.alignment_bytes, granule);
  if (!rounded) return std::unexpected(rounded.error());
  if (offset_bytes % granule != 0) {
    return refusal(EINVAL, "mmap", "an offset is a multiple of % bytes; file_mapping takes any",
                   granule);
  }
  const request wanted{
      .size_bytes = *rounded,
      .protection = protection_bits(options.access),
      .flags = sharing_flags(options.sharing) | (options.charged ? 0 : MAP_NORESERVE),
      .descriptor = descriptor,
      .offset_bytes = offset_bytes};
  const auto start = map_aligned(wanted, std::max(options.alignment_bytes, granule));
  if (!start) return std::unexpected(start.error());
  mapping made = adopt({*start, *rounded}, kind);
  made.sharing_ = options.sharing;
  made.is_file_ = true;
  return made;
}

mapping mapping::adopt(std::span<std::byte> pages, page_kind kind) noexcept {
  mapping made;
  made.data_ = pages.empty() ? nullptr : pages.data();
  made.size_bytes_ = pages.size();
  made.kind_ = kind;
  return made;
}

mapping::~mapping() {
  if (data_ == nullptr) return;
  if (write_tracker_ >= 0) end_write_tracking();
  static_cast<void>(unmap(data_, size_bytes_));
}

void mapping::swap(mapping& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(size_bytes_, other.size_bytes_);
  std::swap(write_tracker_, other.write_tracker_);
  std::swap(kind_, other.kind_);
  std::swap(sharing_, other.sharing_);
  std::swap(is_file_, other.is_file_);
}

std::size_t mapping::granule() const noexcept {
  return granule_of(kind_);
}

result<void> mapping::release() noexcept {
  if (data_ == nullptr) return {};
  const auto released = unmap(data_, size_bytes_);
  if (!released) return released;
  end_write_tracking();
  data_ = nullptr;
  size_bytes_ = 0;
  return {};
}

std::span<std::byte> mapping::detach() noexcept {
  end_write_tracking();
  return {std::exchange(data_, nullptr), std::exchange(size_bytes_, 0)};
}

result<void> mapping::commit(byte_range where, page_access access) noexcept {
  return protect(access, where);
}

result<void> mapping::decommit(byte_range where) noexcept {
  const auto part = part_of(*this, where, "mmap");
  if (!part) return std::unexpected(part.error());
  if (is_file_ || sharing_ != page_sharing::own || kind_ == page_kind::huge_2_mib ||
      kind_ == page_kind::huge_1_gib) {
    return refusal(EOPNOTSUPP, "mmap",
                   "only private anonymous memory of ordinary or transparent huge pages can be "
                   "decommitted; advise dont_need or remove instead");
  }
  // Mapped anew over the old: the one way that gives the commit charge back too.
  return tell(calls::mmap, part->data(), part->size(), PROT_NONE,
              MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
}

result<void> mapping::protect(page_access access, byte_range where) noexcept {
  const auto part = part_of(*this, where, "mprotect");
  if (!part) return std::unexpected(part.error());
  return tell(calls::mprotect, part->data(), part->size(), protection_bits(access));
}

result<void> mapping::resize(std::size_t size_bytes, resize_policy policy) noexcept {
  if (data_ == nullptr) return refusal(EINVAL, "mremap", "the mapping is empty");
  if (size_bytes == 0) {
    return refusal(EINVAL, "mremap", "a mapping holds at least one byte; release() ends it");
  }
  const auto rounded = round_up(size_bytes, granule());
  if (!rounded) {
    return refusal(ENOMEM, "mremap", "% bytes do not fit in the address space", size_bytes);
  }
  const int flags = policy == resize_policy::may_move ? MREMAP_MAYMOVE : 0;
  // The last argument means nothing here; glibc 2.36 passes what happens to be in the register.
  const auto start = ask(calls::mremap, data_, size_bytes_, *rounded, flags, nullptr);
  if (!start && start.error().number == EFAULT) {
    return because(start.error(),
                   "parts of the mapping differ in protection or advice, so for the kernel it is "
                   "several");
  }
  if (!start) return std::unexpected(start.error());
  end_write_tracking();
  data_ = reinterpret_cast<std::byte*>(*start);
  size_bytes_ = *rounded;
  return {};
}

}  // namespace acre::os
