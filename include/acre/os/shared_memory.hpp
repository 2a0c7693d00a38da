#pragma once

#include <acre/export.h>
#include <acre/result.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <utility>

#include <sys/types.h>

/// Memory that several processes share: by name (shm_overview(7)) or by a file descriptor handed
/// over (memfd_create(2), unix(7)).
///
/// A segment is made in private, header and contents, and gets its name in one step (linkat) when
/// it is whole: nobody can open half of one, and a creator that is killed leaves nothing behind.
///
///     |header, one page|the program's bytes ...|
///
/// The header says that this is such a segment, the version and layout that its bytes follow, their
/// count, and who owns it. Whether the owner still lives is asked of the kernel: the owner holds a
/// lock on the file, which goes when the last process that has it ends, however it ends, and which
/// a process with a recycled number does not have.
namespace acre::os {

/// What both sides must agree on.
struct segment_layout {
  std::uint32_t version = 0;      ///< the program's own
  std::uint64_t layout_hash = 0;  ///< of the types in the segment; `layout_hash_of` makes one
};

/// A number that differs when the name, the size or the alignment of the type does. Members that
/// change places within the same size need a new version.
/// Note: compilers may spell a type's name in different ways.
template <class T>
[[nodiscard]] consteval std::uint64_t layout_hash_of() noexcept {
  std::uint64_t hash = 0xcbf29ce484222325U;  // FNV-1a
  const auto mix = [&hash](std::uint64_t value) { hash = (hash ^ value) * 0x100000001b3U; };
  for (const char c : std::string_view(__PRETTY_FUNCTION__))
    mix(static_cast<unsigned char>(c));
  mix(sizeof(T));
  mix(alignof(T));
  return hash;
}

struct segment_options {
  std::size_t size_bytes = 0;
  segment_layout layout;
  mode_t permissions = 0600;  ///< of the name; the umask does not apply
};

/// What `publish` does when the name is taken.
enum class taken_name : std::uint8_t {
  fail,           ///< EEXIST
  replace_stale,  ///< takes the place of a segment whose owner is gone; else EEXIST
};

/// What the opener of a segment wants.
enum class segment_access : std::uint8_t { read, read_write };

/// Restrictions of an unnamed segment that nobody can lift (F_ADD_SEALS in fcntl(2)).
struct segment_seals {
  bool no_shrink = false;  ///< then no reader can meet SIGBUS
  bool no_grow = false;
  bool no_write = false;         ///< refused while another writable mapping exists
  bool no_future_write = false;  ///< present writable mappings stay (Linux 5.1)
  bool no_more_seals = false;

  friend constexpr bool operator==(const segment_seals&, const segment_seals&) noexcept = default;
};

/// One process's view of a segment.
///
/// Units:          bytes; `bytes()` starts on a page.
/// Ownership:      sole owner of the mapping and the descriptor; the memory itself goes with its
///                 name and its last user. A moved-from one is empty. The owner of a named segment
///                 takes the name away when it is destroyed, in the process that made it.
/// Thread-safety:  distinct objects are independent; one needs outside locking. What is in the
///                 bytes is for the program to synchronise.
/// Fork:           a child shares the memory; it is no owner, but keeps the owner's lock, so that
///                 the segment is not stale while the child lives.
class shared_memory {
 public:
  /// A segment that has neither name nor other users yet: fill its bytes, which are zeros, then
  /// `publish` it.
  ///
  /// Fails: ENOSPC when /dev/shm or its limits have no room: all of the memory is set aside now, so
  ///        that no later access can fail (SIGBUS). EINVAL for no bytes.
  [[nodiscard]] ACRE_API static result<shared_memory> prepare(
      const segment_options& options) noexcept;

  /// Gives the segment its name, of the form "/name", and this object the role of its owner.
  ///
  /// Fails: EEXIST when the name is taken, by a segment that lives or something else; EINVAL for a
  ///        name that is none; EALREADY when it has one already.
  [[nodiscard]] ACRE_API result<void> publish(const char* name,
                                              taken_name taken = taken_name::fail) noexcept;

  /// `prepare` and `publish` of a segment of zeros.
  [[nodiscard]] static result<shared_memory> create(const char* name,
                                                    const segment_options& options,
                                                    taken_name taken = taken_name::fail) noexcept {
    auto made = prepare(options);
    if (!made) return made;
    if (auto done = made->publish(name, taken); !done) return std::unexpected(done.error());
    return made;
  }

  /// Opens a segment by its name.
  ///
  /// Fails: ENOENT when there is none; EBADMSG when it is not a segment of this kind;
  ///        EPROTONOSUPPORT for another version and EPROTOTYPE for another layout, with the value
  ///        that was found.
  [[nodiscard]] ACRE_API static result<shared_memory> open(
      const char* name, const segment_layout& layout,
      segment_access access = segment_access::read_write) noexcept;

  /// A segment without a name, for processes that get its descriptor.
  /// `label` shows in /proc/PID/maps as "/memfd:label".
  [[nodiscard]] ACRE_API static result<shared_memory> unnamed(
      const char* label, const segment_options& options) noexcept;

  /// A segment from a descriptor, which is taken over also when this fails.
  /// Fails: as `open`; EPERM when the segment lacks a seal of `required`.
  [[nodiscard]] ACRE_API static result<shared_memory> adopt(
      int descriptor, const segment_layout& layout,
      segment_access access = segment_access::read_write,
      const segment_seals& required = {}) noexcept;

  /// Hands the segment to whoever reads the other end of a Unix socket.
  /// Fails: as sendmsg.
  [[nodiscard]] ACRE_API result<void> send(int socket) const noexcept;

  /// Waits for a segment at a Unix socket.
  /// Fails: as recvmsg; EPIPE at the end of the stream; EBADMSG for a message without a segment; as
  ///        `adopt`.
  [[nodiscard]] ACRE_API static result<shared_memory> receive(
      int socket, const segment_layout& layout, segment_access access = segment_access::read_write,
      const segment_seals& required = {}) noexcept;

  /// Adds seals, which hold for everyone who has the segment. Under `no_write` this object's bytes
  /// become read-only, at the same place.
  /// Fails: EPERM after `no_more_seals` and for a named segment; EBUSY while somebody else can
  /// write
  ///        under `no_write`. Without effect then.
  [[nodiscard]] ACRE_API result<void> seal(const segment_seals& seals) noexcept;
  [[nodiscard]] ACRE_API result<segment_seals> seals() const noexcept;

  shared_memory() noexcept = default;
  shared_memory(shared_memory&& other) noexcept { swap(other); }
  shared_memory& operator=(shared_memory&& other) noexcept {
    shared_memory(std::move(other)).swap(*this);
    return *this;
  }
  shared_memory(const shared_memory&) = delete;
  shared_memory& operator=(const shared_memory&) = delete;
  /// As `close`, which shows failures.
  ~shared_memory() { (void)close(); }

  /// The program's bytes; writing faults without `segment_access::read_write`.
  [[nodiscard]] ACRE_API std::span<std::byte> bytes() noexcept;
  [[nodiscard]] ACRE_API std::span<const std::byte> bytes() const noexcept;

  [[nodiscard]] bool is_owner() const noexcept { return name_[0] != '\0'; }
  /// Whether the owner of the named segment lives. A segment without a name has no owner: nothing.
  /// Fails: as fcntl.
  [[nodiscard]] ACRE_API result<std::optional<bool>> is_owner_alive() const noexcept;
  /// The process number of the owner when it made the segment, in its own PID namespace.
  [[nodiscard]] ACRE_API pid_t owner_process() const noexcept;

  /// For poll, sealing by other means and the like; stays this object's.
  [[nodiscard]] int descriptor() const noexcept { return descriptor_; }

  /// Unmaps, and takes the owner's name away; nothing happens a second time.
  /// Fails: with the first failure, after trying everything.
  ACRE_API result<void> close() noexcept;

  /// Takes a name away from whatever has it, whoever owns it.
  /// Fails: as unlink; EINVAL for a name that is none.
  [[nodiscard]] ACRE_API static result<void> remove(const char* name) noexcept;

 private:
  friend struct segment_maker;
  void swap(shared_memory& other) noexcept {
    std::swap(mapping_, other.mapping_);
    std::swap(mapping_bytes_, other.mapping_bytes_);
    std::swap(descriptor_, other.descriptor_);
    std::swap(lock_, other.lock_);
    std::swap(name_, other.name_);
    std::swap(maker_, other.maker_);
  }

  std::byte* mapping_ = nullptr;  // the header's page, then the bytes
  std::size_t mapping_bytes_ = 0;
  int descriptor_ = -1;
  int lock_ = -1;                 // another description of the file, which holds the owner's lock
  std::array<char, 256> name_{};  // of the owner's segment, without the slash
  pid_t maker_ = 0;               // the process that gave it the name
};

}  // namespace acre::os
