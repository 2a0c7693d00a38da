#include "os/growing_file.hpp"

#include <acre/os/page.hpp>

#include "os/kernel.hpp"
#include "os/refusal.hpp"

#include <array>
#include <charconv>
#include <utility>

#include <fcntl.h>
#include <sys/stat.h>

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U  // 6.3
#endif

namespace acre::os {

namespace {

/// The path by which a descriptor's file is opened again or linked (proc(5)).
class descriptor_path {
 public:
  explicit descriptor_path(int descriptor) noexcept {
    std::to_chars(text_.data() + prefix_bytes, text_.data() + text_.size() - 1, descriptor);
  }
  [[nodiscard]] const char* c_str() const noexcept { return text_.data(); }

 private:
  static constexpr std::size_t prefix_bytes = 14;
  std::array<char, 32> text_{"/proc/self/fd/"};
};

result<unique_descriptor> open_at(const char* path, int flags, mode_t mode) noexcept {
  const auto opened = ask(calls::openat, AT_FDCWD, path, flags | O_CLOEXEC, mode);
  if (!opened) return std::unexpected(opened.error());
  return unique_descriptor(static_cast<int>(*opened));
}

result<void> set_use(int descriptor, int command, short type) noexcept {
  struct flock lock{};
  lock.l_type = type;
  lock.l_whence = SEEK_SET;
  result<void> set;
  do {
    set = tell(calls::fcntl, descriptor, command, &lock);
  } while (!set && set.error().number == EINTR);
  return set;
}

/// Address space for the view, with nothing behind it.
result<std::byte*> reserve_place(std::size_t size_bytes, void* address) noexcept {
  const int fixed = address != nullptr ? MAP_FIXED_NOREPLACE : 0;
  const auto place = ask(calls::mmap, address, size_bytes, PROT_NONE,
                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | fixed, -1, 0);
  if (!place) return std::unexpected(place.error());
  return reinterpret_cast<std::byte*>(*place);
}

}  // namespace

result<growing_file> growing_file::unnamed_in(const char* directory, mode_t permissions) noexcept {
  auto made = open_at(directory, O_TMPFILE | O_RDWR, 0600);
  if (!made && (made.error().number == EISDIR || made.error().number == EOPNOTSUPP)) {
    return refusal(EOPNOTSUPP, "openat",
                   "the file system has no O_TMPFILE; take one of ext4, xfs, btrfs or tmpfs");
  }
  if (!made) return std::unexpected(made.error());
  if (auto done = tell(calls::fchmod, made->get(), permissions); !done) {
    return std::unexpected(done.error());
  }
  return growing_file(std::move(*made));
}

result<growing_file> growing_file::in_memory(const char* label) noexcept {
  auto made = ask(calls::memfd_create, label, MFD_CLOEXEC | MFD_NOEXEC_SEAL);
  if (!made && made.error().number == EINVAL) made = ask(calls::memfd_create, label, MFD_CLOEXEC);
  if (!made) return std::unexpected(made.error());
  return growing_file(unique_descriptor(static_cast<int>(*made)));
}

result<growing_file> growing_file::open(const char* path) noexcept {
  // A pipe of that name must not hold us up, nor a link lead elsewhere.
  auto opened = open_at(path, O_RDWR | O_NOFOLLOW | O_NONBLOCK, 0);
  if (!opened) return std::unexpected(opened.error());
  return growing_file(std::move(*opened));
}

result<growing_file> growing_file::of_descriptor(int descriptor) noexcept {
  // Opened anew: who shares a description with another process would share its use, too.
  auto opened = open_at(descriptor_path(descriptor).c_str(), O_RDWR, 0);
  if (!opened) return std::unexpected(opened.error());
  return growing_file(std::move(*opened));
}

result<void> growing_file::publish(const char* path) const noexcept {
  return tell(calls::linkat, AT_FDCWD, descriptor_path(descriptor()).c_str(), AT_FDCWD, path,
              AT_SYMLINK_FOLLOW);
}

result<std::uint64_t> growing_file::size_bytes() const noexcept {
  struct stat status{};
  if (auto told = tell(calls::fstat, descriptor(), &status); !told) {
    return std::unexpected(told.error());
  }
  if (!S_ISREG(status.st_mode)) return refusal(EBADMSG, "fstat", "this is no ordinary file");
  return static_cast<std::uint64_t>(status.st_size);
}

result<std::size_t> growing_file::read(std::span<std::byte> to) const noexcept {
  const auto got = ask(calls::pread, descriptor(), to.data(), to.size(), 0);
  if (!got) return std::unexpected(got.error());
  return static_cast<std::size_t>(*got);
}

result<void> growing_file::reserve(std::uint64_t offset_bytes, std::uint64_t size_bytes) noexcept {
  result<void> done;
  do {
    done = tell(calls::fallocate, descriptor(), 0, offset_bytes, size_bytes);
  } while (!done && done.error().number == EINTR);
  return done;
}

result<growing_view> growing_file::map(std::size_t file_bytes, void* address) const noexcept {
  const std::size_t own_bytes = page_size();
  const auto view_bytes = round_up_to_pages(file_bytes);
  if (!view_bytes) return refusal(ENOMEM, "mmap");
  const auto place = reserve_place(own_bytes + *view_bytes, address);
  if (!place) return std::unexpected(place.error());
  const growing_view view{
      .own_page = *place, .file = *place + own_bytes, .file_bytes = *view_bytes};
  result<void> mapped = tell(calls::mprotect, view.own_page, own_bytes, PROT_READ | PROT_WRITE);
  if (mapped) {
    mapped = tell(calls::mmap, view.file, view.file_bytes, PROT_READ | PROT_WRITE,
                  MAP_SHARED | MAP_FIXED, descriptor(), 0);
  }
  if (mapped) return view;
  // The first failure is the one to tell.
  static_cast<void>(unmap(view));
  return std::unexpected(mapped.error());
}

result<void> growing_file::unmap(const growing_view& view) noexcept {
  return tell(calls::munmap, view.own_page, page_size() + view.file_bytes);
}

result<bool> growing_file::try_use_alone() noexcept {
  const auto taken = set_use(descriptor(), F_OFD_SETLK, F_WRLCK);
  if (taken) return true;
  if (taken.error().number == EAGAIN || taken.error().number == EACCES) return false;
  return std::unexpected(taken.error());
}

result<void> growing_file::use_with_others() noexcept {
  return set_use(descriptor(), F_OFD_SETLKW, F_RDLCK);
}

result<void> growing_file::stop_using() noexcept {
  return set_use(descriptor(), F_OFD_SETLK, F_UNLCK);
}

result<void> remove_file(const char* path) noexcept {
  return tell(calls::unlinkat, AT_FDCWD, path, 0);
}

}  // namespace acre::os
