#include <acre/os/page.hpp>
#include <acre/os/shared_memory.hpp>

#include "os/kernel.hpp"
#include "os/refusal.hpp"
#include "os/segment_header.hpp"
#include "os/unique_descriptor.hpp"

#include <algorithm>
#include <cstring>
#include <limits>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U  // 6.3
#endif
#ifndef F_SEAL_FUTURE_WRITE
#define F_SEAL_FUTURE_WRITE 0x0010  // 5.1
#endif

namespace acre::os {

namespace {

constexpr const char* shm_directory = "/dev/shm";

/// Tries at a name that others take and leave at the same time.
constexpr int publish_attempts = 100;

std::size_t header_bytes() noexcept {
  return page_size();
}

/// A path made of a fixed part and a short one, in place.
struct short_path {
  std::array<char, 288> text{};

  short_path(std::string_view front, std::string_view back) noexcept {
    // Names are checked, and numbers are short: there is room.
    std::ranges::copy(back, std::ranges::copy(front, text.begin()).out);
  }
  [[nodiscard]] const char* c_str() const noexcept { return text.data(); }
};

/// The path by which a descriptor's file can be opened again, or linked.
short_path path_of_descriptor(int descriptor) noexcept {
  std::array<char, 16> digits{};
  std::size_t first = digits.size();
  do {
    digits[--first] = static_cast<char>('0' + descriptor % 10);
    descriptor /= 10;
  } while (descriptor != 0);
  return {"/proc/self/fd/", std::string_view(digits.data() + first, digits.size() - first)};
}

short_path path_of_name(std::string_view bare_name) noexcept {
  return {"/dev/shm/", bare_name};
}

/// The name without its slash, as shm_open(3) allows names.
result<std::string_view> bare(const char* name) noexcept {
  std::string_view rest = name;
  if (rest.starts_with('/')) rest.remove_prefix(1);
  const bool is_name = !rest.empty() && rest.size() <= 255 && rest != "." && rest != ".." &&
                       rest.find('/') == std::string_view::npos;
  if (is_name) return rest;
  return refusal(EINVAL, "shm_open", "a name is a slash and up to 255 characters without one");
}

result<struct stat> status_of(int descriptor) noexcept {
  struct stat status{};
  if (auto told = tell(calls::fstat, descriptor, &status); !told) {
    return std::unexpected(told.error());
  }
  return status;
}

bool is_same_file(const struct stat& a, const struct stat& b) noexcept {
  return a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

result<unique_descriptor> open_path(const char* path, int flags) noexcept {
  // A pipe of that name must not hold us up, nor a link lead elsewhere.
  const auto opened =
      ask(calls::openat, AT_FDCWD, path, flags | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0);
  if (!opened) return std::unexpected(opened.error());
  return unique_descriptor(static_cast<int>(*opened));
}

struct flock whole_file(short type) noexcept {
  struct flock lock{};
  lock.l_type = type;
  lock.l_whence = SEEK_SET;
  return lock;
}

/// A lock that belongs to the open file and not to the process: it outlives other descriptors'
/// closing, and ends with the last process that has it (fcntl(2), F_OFD_SETLK).
result<void> take_lock(int descriptor) noexcept {
  const struct flock lock = whole_file(F_WRLCK);
  return tell(calls::fcntl, descriptor, F_OFD_SETLK, &lock);
}

result<bool> is_locked(int descriptor) noexcept {
  struct flock lock = whole_file(F_WRLCK);
  if (auto told = tell(calls::fcntl, descriptor, F_OFD_GETLK, &lock); !told) {
    return std::unexpected(told.error());
  }
  return lock.l_type != F_UNLCK;
}

unsigned kernel_seals(const segment_seals& seals) noexcept {
  return (seals.no_more_seals ? F_SEAL_SEAL : 0U) | (seals.no_shrink ? F_SEAL_SHRINK : 0U) |
         (seals.no_grow ? F_SEAL_GROW : 0U) | (seals.no_write ? F_SEAL_WRITE : 0U) |
         (seals.no_future_write ? F_SEAL_FUTURE_WRITE : 0U);
}

result<unsigned> seals_of(int descriptor) noexcept {
  const auto seals = ask(calls::fcntl, descriptor, F_GET_SEALS, 0);
  if (!seals) return std::unexpected(seals.error());
  return static_cast<unsigned>(*seals);
}

/// Whether the file can be written to by nobody, which older kernels map shared for nobody either.
bool is_frozen(int descriptor) noexcept {
  const auto seals = seals_of(descriptor);
  return seals && (*seals & F_SEAL_WRITE) != 0;
}

result<std::byte*> map_file(void* place, std::size_t size, int descriptor,
                            segment_access access) noexcept {
  const bool can_write = access == segment_access::read_write;
  const int protection = can_write ? PROT_READ | PROT_WRITE : PROT_READ;
  // Before Linux 6.7 a frozen file cannot be mapped shared; private is the same where nothing
  // changes.
  const int sharing = !can_write && is_frozen(descriptor) ? MAP_PRIVATE : MAP_SHARED;
  const int fixed = place != nullptr ? MAP_FIXED : 0;
  const auto start = ask(calls::mmap, place, size, protection, sharing | fixed, descriptor, 0);
  if (!start) return std::unexpected(start.error());
  return reinterpret_cast<std::byte*>(*start);
}

/// Whether the name now stands for the very file that is open.
result<bool> is_name_of(const char* path, int descriptor) noexcept {
  const auto named = open_path(path, O_RDONLY);
  if (!named && named.error().number == ENOENT) return false;
  if (!named) return std::unexpected(named.error());
  const auto there = status_of(named->get());
  if (!there) return std::unexpected(there.error());
  const auto here = status_of(descriptor);
  if (!here) return std::unexpected(here.error());
  return is_same_file(*there, *here);
}

result<segment_header> read_header(int descriptor) noexcept {
  segment_header header{};
  const auto got = ask(calls::pread, descriptor, &header, sizeof header, 0);
  if (!got) return std::unexpected(got.error());
  return header;
}

/// Takes the name away from a segment whose owner is gone. Success says that it is worth another
/// try; the lock makes sure that of several that try this only one removes it.
result<void> remove_stale(const char* path) noexcept {
  const auto old = open_path(path, O_RDWR);
  if (!old && old.error().number == ENOENT) return {};
  if (!old) return std::unexpected(old.error());
  const auto header = read_header(old->get());
  if (!header) return std::unexpected(header.error());
  if (header->magic != segment_magic) {
    return refusal(EEXIST, "linkat", "the name belongs to a file that is no segment");
  }
  if (const auto locked = take_lock(old->get()); !locked) {
    return refusal(EEXIST, "linkat", "the segment's owner, process %, is alive",
                   static_cast<std::uint64_t>(header->owner_process));
  }
  const auto is_named = is_name_of(path, old->get());
  if (!is_named) return std::unexpected(is_named.error());
  if (!*is_named) return {};
  return tell(calls::unlinkat, AT_FDCWD, path, 0);
}

/// Gives the file at `own` the name `path`.
result<void> link_to(const char* own, const char* path, taken_name taken) noexcept {
  result<void> linked;
  for (int attempt = 0; attempt < publish_attempts; ++attempt) {
    linked = tell(calls::linkat, AT_FDCWD, own, AT_FDCWD, path, AT_SYMLINK_FOLLOW);
    const bool is_taken = !linked && linked.error().number == EEXIST;
    if (!is_taken || taken == taken_name::fail) break;
    if (auto removed = remove_stale(path); !removed) return removed;
  }
  return linked;
}

/// A failure that gives way to one that came before it.
void keep_first(result<void>& first, const result<void>& next) noexcept {
  if (first && !next) first = next;
}

}  // namespace

result<void> check_header(const segment_header& header, std::size_t header_size,
                          std::size_t file_bytes, const segment_layout& layout) noexcept {
  if (header.magic != segment_magic || header.format != segment_format) {
    return refusal(EBADMSG, "segment header", "this is no segment of this kind");
  }
  if (header.size_bytes > file_bytes - header_size) {
    return refusal(EBADMSG, "segment header", "the file is shorter than the % bytes of the segment",
                   header.size_bytes);
  }
  if (header.version != layout.version) {
    return refusal(EPROTONOSUPPORT, "segment header", "the segment has version %", header.version);
  }
  if (header.layout_hash != layout.layout_hash) {
    return refusal(EPROTOTYPE, "segment header", "the segment's layout has the hash %",
                   header.layout_hash);
  }
  return {};
}

/// Makes segments of files.
struct segment_maker {
  static segment_header& header_of(const shared_memory& segment) noexcept {
    return *reinterpret_cast<segment_header*>(segment.mapping_);
  }

  static result<shared_memory> make(unique_descriptor file,
                                    const segment_options& options) noexcept {
    const std::size_t size = header_bytes() + options.size_bytes;
    if (auto done = tell(calls::fallocate, file.get(), 0, 0, size); !done) {
      return std::unexpected(done.error());
    }
    const auto start = map_file(nullptr, size, file.get(), segment_access::read_write);
    if (!start) return std::unexpected(start.error());
    shared_memory segment = own(std::move(file), *start, size);
    header_of(segment) = {.magic = segment_magic,
                          .format = segment_format,
                          .version = options.layout.version,
                          .layout_hash = options.layout.layout_hash,
                          .size_bytes = options.size_bytes,
                          .owner_process = 0};
    return segment;
  }

  static result<shared_memory> take(unique_descriptor file, const segment_layout& layout,
                                    segment_access access) noexcept {
    const auto status = status_of(file.get());
    if (!status) return std::unexpected(status.error());
    const auto size = static_cast<std::size_t>(status->st_size);
    if (!S_ISREG(status->st_mode) || size <= header_bytes()) {
      return refusal(EBADMSG, "segment header", "this is no segment of this kind");
    }
    const auto start = map_file(nullptr, size, file.get(), access);
    if (!start) return std::unexpected(start.error());
    shared_memory segment = own(std::move(file), *start, size);
    auto checked = check_header(header_of(segment), header_bytes(), size, layout);
    if (!checked) return std::unexpected(checked.error());
    return segment;
  }

  static shared_memory own(unique_descriptor file, std::byte* start, std::size_t size) noexcept {
    shared_memory segment;
    segment.descriptor_ = file.detach();
    segment.mapping_ = start;
    segment.mapping_bytes_ = size;
    return segment;
  }
};

namespace {

result<void> check_size(const segment_options& options) noexcept {
  // The kernel counts the bytes of a file with a sign.
  constexpr std::size_t size_max = std::numeric_limits<off_t>::max() / 2;
  if (options.size_bytes > 0 && options.size_bytes <= size_max) return {};
  return refusal(EINVAL, "shared_memory", "a segment has from 1 to % bytes", size_max);
}

}  // namespace

result<shared_memory> shared_memory::prepare(const segment_options& options) noexcept {
  if (auto checked = check_size(options); !checked) return std::unexpected(checked.error());
  const auto made =
      ask(calls::openat, AT_FDCWD, shm_directory, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
  if (!made) return std::unexpected(made.error());
  unique_descriptor file(static_cast<int>(*made));
  if (auto done = tell(calls::fchmod, file.get(), options.permissions); !done) {
    return std::unexpected(done.error());
  }
  return segment_maker::make(std::move(file), options);
}

result<void> shared_memory::publish(const char* name, taken_name taken) noexcept {
  if (is_owner()) return refusal(EALREADY, "linkat", "the segment has a name");
  if (mapping_ == nullptr) return refusal(EINVAL, "linkat", "there is no segment");
  const auto wanted = bare(name);
  if (!wanted) return std::unexpected(wanted.error());
  const short_path own = path_of_descriptor(descriptor_);
  const auto opened = ask(calls::openat, AT_FDCWD, own.c_str(), O_RDWR | O_CLOEXEC, 0);
  if (!opened) return std::unexpected(opened.error());
  unique_descriptor lock(static_cast<int>(*opened));
  if (auto done = take_lock(lock.get()); !done) return done;
  segment_maker::header_of(*this).owner_process = getpid();
  if (auto named = link_to(own.c_str(), path_of_name(*wanted).c_str(), taken); !named) {
    segment_maker::header_of(*this).owner_process = 0;
    return named;
  }
  lock_ = lock.detach();
  maker_ = getpid();
  std::ranges::copy(*wanted, name_.begin());
  return {};
}

result<shared_memory> shared_memory::open(const char* name, const segment_layout& layout,
                                          segment_access access) noexcept {
  const auto wanted = bare(name);
  if (!wanted) return std::unexpected(wanted.error());
  auto file = open_path(path_of_name(*wanted).c_str(),
                        access == segment_access::read_write ? O_RDWR : O_RDONLY);
  if (!file) return std::unexpected(file.error());
  return segment_maker::take(std::move(*file), layout, access);
}

result<shared_memory> shared_memory::unnamed(const char* label,
                                             const segment_options& options) noexcept {
  if (auto checked = check_size(options); !checked) return std::unexpected(checked.error());
  constexpr unsigned flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
  auto made = ask(calls::memfd_create, label, flags | MFD_NOEXEC_SEAL);
  if (!made && made.error().number == EINVAL) made = ask(calls::memfd_create, label, flags);
  if (!made) return std::unexpected(made.error());
  return segment_maker::make(unique_descriptor(static_cast<int>(*made)), options);
}

result<shared_memory> shared_memory::adopt(int descriptor, const segment_layout& layout,
                                           segment_access access,
                                           const segment_seals& required) noexcept {
  unique_descriptor file(descriptor);
  if (const unsigned wanted = kernel_seals(required); wanted != 0) {
    const auto present = seals_of(descriptor);
    if (!present) return std::unexpected(present.error());
    if ((*present & wanted) != wanted) {
      return refusal(EPERM, "F_GET_SEALS", "the segment lacks a seal; it has those of the mask %",
                     *present);
    }
  }
  return segment_maker::take(std::move(file), layout, access);
}

result<void> shared_memory::seal(const segment_seals& seals) noexcept {
  const auto add = [&] {
    return tell(calls::fcntl, descriptor_, F_ADD_SEALS, kernel_seals(seals));
  };
  if (!seals.no_write) return add();
  // Our own mapping would stand in the way. Its place is kept meanwhile.
  const auto vacated = tell(calls::mmap, mapping_, mapping_bytes_, PROT_NONE,
                            MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
  if (!vacated) return vacated;
  auto done = add();
  const auto access = done ? segment_access::read : segment_access::read_write;
  const auto back = map_file(mapping_, mapping_bytes_, descriptor_, access);
  if (!back) return std::unexpected(back.error());
  return done;
}

result<segment_seals> shared_memory::seals() const noexcept {
  const auto present = seals_of(descriptor_);
  if (!present) return std::unexpected(present.error());
  return segment_seals{.no_shrink = (*present & F_SEAL_SHRINK) != 0,
                       .no_grow = (*present & F_SEAL_GROW) != 0,
                       .no_write = (*present & F_SEAL_WRITE) != 0,
                       .no_future_write = (*present & F_SEAL_FUTURE_WRITE) != 0,
                       .no_more_seals = (*present & F_SEAL_SEAL) != 0};
}

std::span<std::byte> shared_memory::bytes() noexcept {
  if (mapping_ == nullptr) return {};
  return {mapping_ + header_bytes(), mapping_bytes_ - header_bytes()};
}

std::span<const std::byte> shared_memory::bytes() const noexcept {
  if (mapping_ == nullptr) return {};
  return {mapping_ + header_bytes(), mapping_bytes_ - header_bytes()};
}

result<std::optional<bool>> shared_memory::is_owner_alive() const noexcept {
  if (owner_process() == 0) return std::nullopt;
  const auto locked = is_locked(descriptor_);
  if (!locked) return std::unexpected(locked.error());
  return std::optional(*locked);
}

pid_t shared_memory::owner_process() const noexcept {
  return mapping_ == nullptr ? 0 : segment_maker::header_of(*this).owner_process;
}

result<void> shared_memory::close() noexcept {
  result<void> first;
  if (is_owner() && maker_ == getpid()) {
    const short_path path = path_of_name(name_.data());
    const auto is_ours = is_name_of(path.c_str(), descriptor_);
    if (!is_ours) {
      first = std::unexpected(is_ours.error());
    } else if (*is_ours) {
      keep_first(first, tell(calls::unlinkat, AT_FDCWD, path.c_str(), 0));
    }
  }
  if (mapping_ != nullptr) keep_first(first, tell(calls::munmap, mapping_, mapping_bytes_));
  for (const int descriptor : {lock_, descriptor_}) {
    if (descriptor >= 0) keep_first(first, tell(calls::close, descriptor));
  }
  mapping_ = nullptr;
  mapping_bytes_ = 0;
  descriptor_ = -1;
  lock_ = -1;
  name_.fill('\0');
  return first;
}

result<void> shared_memory::remove(const char* name) noexcept {
  const auto wanted = bare(name);
  if (!wanted) return std::unexpected(wanted.error());
  return tell(calls::unlinkat, AT_FDCWD, path_of_name(*wanted).c_str(), 0);
}

}  // namespace acre::os
