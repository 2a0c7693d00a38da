#include <acre/os/aligned.hpp>
#include <acre/os/file_mapping.hpp>
#include <acre/os/page.hpp>

#include "os/kernel.hpp"
#include "os/refusal.hpp"
#include "os/unique_descriptor.hpp"

#include <algorithm>
#include <cerrno>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

namespace acre::os {

namespace {

struct file_facts {
  std::uint64_t size_bytes = 0;
  bool is_regular = false;
};

result<file_facts> facts_of_file(int descriptor) noexcept {
  struct stat facts{};
  const auto outcome = tell(calls::fstat, descriptor, &facts);
  if (!outcome) return std::unexpected(outcome.error());
  return file_facts{.size_bytes = static_cast<std::uint64_t>(facts.st_size),
                    .is_regular = S_ISREG(facts.st_mode)};
}

/// How many bytes the part has, or why there is no such part.
result<std::size_t> size_of_part(const file_facts& facts, const file_part& part) noexcept {
  const bool to_end = part.size_bytes == file_part::to_end;
  if (!facts.is_regular) {
    if (!to_end) return part.size_bytes;
    return refusal(EINVAL, "file_mapping", "the size must be given for what is no regular file");
  }
  if (part.offset_bytes > facts.size_bytes) {
    return refusal(EINVAL, "file_mapping", "the offset is beyond the file's % bytes",
                   facts.size_bytes);
  }
  const std::uint64_t rest = facts.size_bytes - part.offset_bytes;
  if (!to_end && part.size_bytes > rest) {
    return refusal(EINVAL, "file_mapping",
                   "the part ends beyond the file's % bytes; resize() makes a file longer",
                   facts.size_bytes);
  }
  return to_end ? static_cast<std::size_t>(rest) : part.size_bytes;
}

mapping_options options_for(file_access access) noexcept {
  return {
      .access = access == file_access::read_only ? page_access::read : page_access::read_write,
      .sharing = access == file_access::copy_on_write ? page_sharing::own : page_sharing::shared};
}

result<unique_descriptor> open_file(const char* path, int flags, unsigned mode) noexcept {
  for (;;) {
    const auto opened = ask(calls::openat, AT_FDCWD, path, flags | O_CLOEXEC, mode);
    if (opened) return unique_descriptor(static_cast<int>(*opened));
    if (opened.error().number != EINTR) return std::unexpected(opened.error());
  }
}

/// The range's bytes, which are not bound to pages.
result<std::span<std::byte>> part_of_bytes(std::span<std::byte> bytes, byte_range where,
                                           const char* call) noexcept {
  if (where.offset_bytes > bytes.size() || (where.size_bytes != byte_range::to_end &&
                                            where.size_bytes > bytes.size() - where.offset_bytes)) {
    return refusal(EINVAL, call, "the range ends beyond the part's % bytes", bytes.size());
  }
  return bytes.subspan(where.offset_bytes,
                       std::min(where.size_bytes, bytes.size() - where.offset_bytes));
}

}  // namespace

result<file_mapping> file_mapping::take(int descriptor, file_access access,
                                        file_part part) noexcept {
  file_mapping made;
  made.descriptor_ = descriptor;
  made.access_ = access;
  made.offset_bytes_ = part.offset_bytes;
  const auto facts = facts_of_file(descriptor);
  if (!facts) return std::unexpected(facts.error());
  const auto size_bytes = size_of_part(*facts, part);
  if (!size_bytes) return std::unexpected(size_bytes.error());
  if (const auto mapped = made.map_size(*size_bytes, resize_policy::may_move); !mapped) {
    return std::unexpected(mapped.error());
  }
  return made;
}

result<file_mapping> file_mapping::open(const char* path, file_access access,
                                        file_part part) noexcept {
  auto file = open_file(path, access == file_access::read_write ? O_RDWR : O_RDONLY, 0);
  if (!file) return std::unexpected(file.error());
  return take(file->detach(), access, part);
}

result<file_mapping> file_mapping::create(const char* path, std::size_t size_bytes,
                                          file_space space) noexcept {
  auto file = open_file(path, O_RDWR | O_CREAT | O_EXCL, S_IRUSR | S_IWUSR);
  if (!file) return std::unexpected(file.error());
  auto made = take(file->detach(), file_access::read_write, {});
  if (made) {
    const auto sized = made->resize(size_bytes, resize_policy::may_move, space);
    if (sized) return made;
    made = std::unexpected(sized.error());
  }
  static_cast<void>(tell(calls::unlinkat, AT_FDCWD, path, 0));
  return made;
}

result<file_mapping> file_mapping::of(int descriptor, file_access access, file_part part) noexcept {
  const auto duplicate = ask(calls::fcntl, descriptor, F_DUPFD_CLOEXEC, 0);
  if (!duplicate) return std::unexpected(duplicate.error());
  return take(static_cast<int>(*duplicate), access, part);
}

file_mapping::~file_mapping() {
  if (descriptor_ >= 0) static_cast<void>(tell(calls::close, descriptor_));
}

void file_mapping::swap(file_mapping& other) noexcept {
  pages_.swap(other.pages_);
  std::swap(descriptor_, other.descriptor_);
  std::swap(offset_bytes_, other.offset_bytes_);
  std::swap(size_bytes_, other.size_bytes_);
  std::swap(access_, other.access_);
}

std::byte* file_mapping::data() const noexcept {
  return pages_.empty() ? nullptr : pages_.data() + lead_bytes();
}

/// What of the first page comes before the part.
std::size_t file_mapping::lead_bytes() const noexcept {
  return static_cast<std::size_t>(offset_bytes_ % page_size());
}

result<std::size_t> file_mapping::guarded_read(std::size_t offset_bytes,
                                               std::span<std::byte> to) const noexcept {
  const auto from = part_of_bytes(bytes(), {.offset_bytes = offset_bytes}, "guarded_read");
  if (!from) return std::unexpected(from.error());
  const auto copied = guarded_copy(to, *from);
  if (!copied || *copied == 0) return copied;
  // In the page where the file ends now, what is beyond the end reads as zero without a signal.
  const auto facts = facts_of_file(descriptor_);
  if (!facts) return std::unexpected(facts.error());
  if (facts->is_regular && offset_bytes_ + offset_bytes + *copied > facts->size_bytes) {
    return refusal(EIO, "guarded_read", "the file has become shorter: it has % bytes now",
                   facts->size_bytes);
  }
  return copied;
}

result<std::size_t> file_mapping::guarded_write(std::size_t offset_bytes,
                                                std::span<const std::byte> from) noexcept {
  if (access_ == file_access::read_only) {
    return refusal(EACCES, "guarded_write", "the file is mapped for reading only");
  }
  const auto to = part_of_bytes(bytes(), {.offset_bytes = offset_bytes}, "guarded_write");
  if (!to) return std::unexpected(to.error());
  return guarded_copy(*to, from);
}

result<void> file_mapping::sync(byte_range where, sync_until until) noexcept {
  if (access_ == file_access::copy_on_write) {
    return refusal(EINVAL, "msync", "what is written to a copy-on-write mapping stays in it");
  }
  const auto part = part_of_bytes(bytes(), where, "msync");
  if (!part) return std::unexpected(part.error());
  if (access_ == file_access::read_only || part->empty()) return {};
  const auto first = round_down_to_pages(reinterpret_cast<std::uintptr_t>(part->data()));
  const auto last = reinterpret_cast<std::uintptr_t>(part->data()) + part->size();
  if (until == sync_until::stored) return tell(calls::msync, first, last - first, MS_SYNC);
  // MS_ASYNC has done nothing since Linux 2.6.19: the kernel knows of dirty pages without it.
  const std::uint64_t file_offset =
      offset_bytes_ + static_cast<std::uint64_t>(part->data() - data());
  return tell(calls::sync_file_range, descriptor_, file_offset, part->size(),
              SYNC_FILE_RANGE_WRITE);
}

result<void> file_mapping::resize(std::size_t size_bytes, resize_policy policy,
                                  file_space space) noexcept {
  if (access_ != file_access::read_write || !is_open()) {
    return refusal(EACCES, "file_mapping", "only a file mapped read_write can be resized");
  }
  const auto facts = facts_of_file(descriptor_);
  if (!facts) return std::unexpected(facts.error());
  if (facts->size_bytes > offset_bytes_ + size_bytes_) {
    return refusal(EINVAL, "file_mapping",
                   "the file goes on behind the part, to % bytes, which would be cut off",
                   facts->size_bytes);
  }
  const std::uint64_t file_size = offset_bytes_ + size_bytes;
  // The mapping is never larger than the file: it follows when that grows, and goes first
  // otherwise.
  if (size_bytes < size_bytes_) {
    if (const auto mapped = map_size(size_bytes, policy); !mapped) return mapped;
    return set_file_size(file_size, file_space::sparse);
  }
  if (const auto sized = set_file_size(file_size, space); !sized) return sized;
  return map_size(size_bytes, policy);
}

result<void> file_mapping::follow(resize_policy policy) noexcept {
  const auto facts = facts_of_file(descriptor_);
  if (!facts) return std::unexpected(facts.error());
  const std::uint64_t rest =
      facts->size_bytes > offset_bytes_ ? facts->size_bytes - offset_bytes_ : 0;
  return map_size(static_cast<std::size_t>(rest), policy);
}

result<void> file_mapping::set_file_size(std::uint64_t size_bytes, file_space space) noexcept {
  for (;;) {
    const auto outcome = space == file_space::sparse
                             ? tell(calls::ftruncate, descriptor_, size_bytes)
                             : tell(calls::fallocate, descriptor_, 0, 0, size_bytes);
    if (outcome || outcome.error().number != EINTR) return outcome;
  }
}

result<void> file_mapping::map_size(std::size_t size_bytes, resize_policy policy) noexcept {
  const std::size_t lead = lead_bytes();
  if (size_bytes > SIZE_MAX - lead) {
    return refusal(ENOMEM, "mmap", "% bytes do not fit in the address space", size_bytes);
  }
  if (size_bytes == 0) {
    if (const auto released = pages_.release(); !released) return released;
  } else if (pages_.empty()) {
    auto mapped =
        mapping::file(descriptor_, offset_bytes_ - lead, lead + size_bytes, options_for(access_));
    if (!mapped) return std::unexpected(mapped.error());
    pages_ = std::move(*mapped);
  } else if (const auto resized = pages_.resize(lead + size_bytes, policy); !resized) {
    return resized;
  }
  size_bytes_ = size_bytes;
  return {};
}

result<void> file_mapping::close() noexcept {
  if (!is_open()) return {};
  const auto released = pages_.release();
  const auto closed = tell(calls::close, std::exchange(descriptor_, -1));
  // Address space that the kernel would not take back stays mapped for good.
  static_cast<void>(pages_.detach());
  size_bytes_ = 0;
  offset_bytes_ = 0;
  if (!released) return released;
  return closed;
}

}  // namespace acre::os
