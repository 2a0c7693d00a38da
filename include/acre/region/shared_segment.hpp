#pragma once

#include <acre/export.h>
#include <acre/os/shared_memory.hpp>
#include <acre/region/offset_ptr.hpp>
#include <acre/result.hpp>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include <sys/types.h>

/// Memory that several processes share and all allocate in.
///
/// Objects get names or are reached through `offset_ptr`s. Every operation below either happens or
/// does not, also when its process is killed within it (SIGKILL): whoever comes next finds the lock
/// of a dead owner, completes or undoes what that had begun, and calls the program's `on_recovery`.
namespace acre::region {

/// Where a segment lives.
class segment_place {
 public:
  /// POSIX shared memory, "/name" (shm_overview(7)). It stays until `remove` or the next start of
  /// the machine. What is no such name is refused (EINVAL) when it is used.
  [[nodiscard]] static segment_place in_memory(std::string_view name) {
    if (name.starts_with('/')) name.remove_prefix(1);
    const bool is_name =
        !name.empty() && name.size() <= 255 && name != "." && name != ".." && !name.contains('/');
    segment_place place;
    if (is_name) place.path_.append("/dev/shm/").append(name);
    return place;
  }
  /// A file. What is in the memory reaches the disk when the kernel writes it: after a loss of
  /// power it may be refused as damaged.
  [[nodiscard]] static segment_place in_file(std::string_view path) {
    segment_place place;
    place.path_ = path;
    return place;
  }

  /// Empty when there is no such place.
  [[nodiscard]] const std::string& path() const noexcept { return path_; }

 private:
  segment_place() = default;
  std::string path_;
};

/// How large a new segment is.
struct segment_extent {
  std::size_t size_bytes = 0;   ///< for blocks, at first; rounded up to 4096
  std::size_t limit_bytes = 0;  ///< it grows up to this; 0: it does not grow
  mode_t permissions = 0600;    ///< of the name; the umask does not apply
};

/// What a process found when it took the lock of a dead one, or opened a segment whose users had
/// all died. The segment is whole again.
struct segment_recovery {
  pid_t dead_process = 0;  ///< in its own PID namespace; 0: not known
  /// It had a section open: what the program changes within sections may be half-changed.
  bool in_section = false;
  /// It was in the constructor or destructor of an object in the segment. That object is gone; what
  /// it had allocated itself may have no owner now, which `sweep` is for.
  bool in_object = false;
  unsigned undone = 0;              ///< allocations that were begun and are gone
  unsigned completed = 0;           ///< deallocations that were begun and are done
  std::size_t recovered_bytes = 0;  ///< of both
};

class shared_segment;

/// How a process uses a segment.
struct segment_use {
  os::segment_layout layout;  ///< must be that of the segment
  /// Called with the lock held, in the process and thread that found the dead owner, before its own
  /// operation goes on; it may use the segment. It must not throw. When it is killed, too, the next
  /// process calls its own. What processes without a callback repair, the next one with a callback
  /// hears when it opens the segment or takes the lock, without the process and the counts. A
  /// report whose fields are all 0 needs nothing done.
  std::function<void(shared_segment&, const segment_recovery&)> on_recovery;
  void* address = nullptr;  ///< where to map, a multiple of the page size; null for anywhere
};

struct segment_statistics {
  std::size_t live_bytes = 0;   ///< of blocks, after rounding
  std::size_t live_blocks = 0;  ///< of named objects, too
  std::size_t names = 0;
  std::size_t used_bytes = 0;    ///< of pieces that hold blocks, or are kept for a size of block
  std::size_t size_bytes = 0;    ///< that blocks can take now
  std::size_t limit_bytes = 0;   ///< and after growth
  std::size_t file_bytes = 0;    ///< with everything that describes the blocks
  std::uint64_t recoveries = 0;  ///< how often a process died within an operation
};

namespace detail {

/// What a segment remembers of a named object's type.
struct segment_type {
  std::uint64_t hash;
  std::size_t size_bytes;
  std::size_t alignment;
};

template <class T>
inline constexpr segment_type segment_type_of{os::layout_hash_of<T>(), sizeof(T), alignof(T)};

/// For allocators, which know their segment by its start alone. Throws: `refused`.
[[nodiscard]] ACRE_API void* allocate_in_segment(void* base, std::size_t size_bytes,
                                                 std::size_t alignment);
ACRE_API void deallocate_in_segment(void* base, void* data) noexcept;

}  // namespace detail

/// One process's use of a managed shared segment.
///
/// Types: an object in a segment must mean the same in every process. It has no raw pointers, no
///        references and no virtual functions; `offset_ptr` and `segment_allocator` are for that.
///
/// Units:          bytes. A block is aligned as asked, to 16 at least and 4096 at most.
/// Ownership:      unmaps at its end; the segment and its objects stay until its name is removed
///                 and its last user is gone. A moved-from one is empty and may only be destroyed
///                 or assigned.
/// Thread-safety:  any thread, and any process that has the segment, but no signal handler. Objects
///                 are for the program to guard: by a `section`, which is the segment's own lock,
///                 or otherwise.
/// Fork:           a child uses the same segment. A section that another thread has open in the
///                 parent is the parent's.
/// Fails:          every operation with EBADMSG when a process died and left what cannot be
///                 repaired, with ENOTRECOVERABLE from then on.
class ACRE_API shared_segment {
  struct state;

 public:
  /// Makes a segment, which appears under its name when it is whole, in one step: a creator that is
  /// killed leaves nothing, and of several that race one wins.
  ///
  /// Fails: EEXIST when the name is taken; EINVAL for a size of 0, or above the limit; ENOSPC when
  ///        there is no room: the space is set aside, so that no access raises SIGBUS; EOPNOTSUPP
  ///        when the file system cannot do that or has no O_TMPFILE.
  [[nodiscard]] static result<shared_segment> create(const segment_place& place,
                                                     const segment_extent& extent,
                                                     segment_use use = {});

  /// Fails: ENOENT when there is none; EBADMSG when it is no segment, is shorter than it says, or
  /// is
  ///        damaged where a check can find it; EPROTONOSUPPORT for another version of the format or
  ///        of the program's, EPROTOTYPE for another layout; EEXIST when something is at the
  ///        address.
  /// Cost:  the first user checks all descriptors, 64 bytes for each 4096; others the head alone.
  [[nodiscard]] static result<shared_segment> open(const segment_place& place,
                                                   segment_use use = {});

  /// `open`, or `create` where there is none. Fails: as both.
  [[nodiscard]] static result<shared_segment> open_or_create(const segment_place& place,
                                                             const segment_extent& extent,
                                                             segment_use use = {});

  /// A segment without a name, for processes that get its descriptor, as by fork or a Unix socket.
  /// `label` shows in /proc/PID/maps as "/memfd:label".
  [[nodiscard]] static result<shared_segment> unnamed(const char* label,
                                                      const segment_extent& extent,
                                                      segment_use use = {});
  /// Opens the segment of a descriptor, which stays the caller's. Fails: as `open`.
  [[nodiscard]] static result<shared_segment> of_descriptor(int descriptor, segment_use use = {});

  /// Takes the name away; those who use the segment keep it. Fails: ENOENT when there is none.
  [[nodiscard]] static result<void> remove(const segment_place& place);

  shared_segment(shared_segment&&) noexcept;
  shared_segment& operator=(shared_segment&&) noexcept;
  ~shared_segment();

  // --- named objects ---

  /// Makes an object and gives it a name of 1 to 255 bytes.
  ///
  /// Fails: EEXIST when the name is taken, ENAMETOOLONG, EINVAL for no name, ENOSPC when the
  /// segment
  ///        is full, ELOOP when constructors nest more than 15 deep. Throws what the constructor
  ///        throws. Then nothing has happened.
  template <class T, class... Args>
  [[nodiscard]] result<T*> construct(std::string_view name, Args&&... args);

  /// Fails: ENOENT when nothing has the name; EPROTOTYPE when what has it is of another type (name,
  ///        size or alignment), with the size found.
  template <class T>
  [[nodiscard]] result<T*> find(std::string_view name) const {
    auto found = find_named(name, detail::segment_type_of<T>);
    if (!found) return std::unexpected(found.error());
    return static_cast<T*>(*found);
  }

  /// `find`, or `construct` where there is none; nobody comes between.
  template <class T, class... Args>
  [[nodiscard]] result<T*> find_or_construct(std::string_view name, Args&&... args);

  /// Takes the name away, destroys the object and frees its memory. Killed in the destructor, the
  /// object is gone all the same.
  /// Fails: as `find`.
  template <class T>
  [[nodiscard]] result<void> destroy(std::string_view name);

  /// Calls `use(name, size_bytes)` for each named object, in no order, with the lock held.
  /// Fails: as locking.
  [[nodiscard]] result<void> for_each_name(
      const std::function<void(std::string_view, std::size_t)>& use) const;

  // --- objects behind links: the objects exist exactly when the link says so ---

  /// Makes an object and stores its address in `link`, which lies in the segment, at once: killed
  /// before, there is no object; after, it is linked. What the link held before is the
  /// constructor's to keep, such as in a `next`.
  ///
  /// Fails: as `construct`; EINVAL when the link is not in the segment.
  template <class T, class... Args>
  [[nodiscard]] result<T*> construct_at(offset_ptr<T>& link, Args&&... args);

  /// Makes an object, stores its address in `link` and destroys what the link held before, as one.
  template <class T, class... Args>
  [[nodiscard]] result<T*> replace_at(offset_ptr<T>& link, Args&&... args);

  /// Stores `next` in the link, destroys what it held and frees its memory, as one.
  /// Fails: EINVAL when the link is null, outside, or not to a block's start, and when `next` is
  ///        in the object that it destroys.
  template <class T>
  [[nodiscard]] result<void> destroy_at(offset_ptr<T>& link, T* next = nullptr);

  // --- bare memory: who is killed before storing the address leaves a block without an owner ---

  /// Fails: ENOSPC when the segment is full; EINVAL for an alignment that is no power of two or
  ///        above 4096.
  [[nodiscard]] result<void*> try_allocate(std::size_t size_bytes,
                                           std::size_t alignment = 16) noexcept;
  /// Throws: `refused`.
  [[nodiscard]] void* allocate(std::size_t size_bytes, std::size_t alignment = 16);
  /// Ends the program when it is no live block, or the segment is beyond repair.
  void deallocate(void* data) noexcept;
  void deallocate(void* data, std::size_t, std::size_t) noexcept { deallocate(data); }

  /// Frees every block without a name that `is_wanted(data, size_bytes)` declines, which finds what
  /// a killed process left without an owner. Destructors do not run.
  /// Returns: the bytes freed.
  [[nodiscard]] result<std::size_t> sweep(
      const std::function<bool(const void*, std::size_t)>& is_wanted);

  // --- the lock ---

  /// The segment's lock, for as long as this lives; operations within take no other. Sections nest.
  class section {
   public:
    section(section&& other) noexcept : state_(std::exchange(other.state_, nullptr)) {}
    section& operator=(section&&) = delete;
    ~section() {
      if (state_ != nullptr) end_section(*state_);
    }

   private:
    friend class shared_segment;
    explicit section(state& of) noexcept : state_(&of) {}
    state* state_;
  };
  /// Opens a section. A process that is killed in one reaches the next one's `on_recovery` with
  /// `in_section`. It ends before the segment does.
  [[nodiscard]] result<section> lock() noexcept;

  // --- about the segment ---

  [[nodiscard]] result<segment_statistics> statistics() const noexcept;
  /// Fails: EBADMSG with what is wrong.
  [[nodiscard]] result<void> check_invariants() const noexcept;
  /// Whether the address is in the segment, at the size that it may reach.
  [[nodiscard]] bool owns(const void* address) const noexcept;
  [[nodiscard]] void* base() const noexcept;
  /// For handing the segment to other processes; stays this object's.
  [[nodiscard]] int descriptor() const noexcept;

 private:
  friend struct segment_internals;
  explicit shared_segment(std::unique_ptr<state> made) noexcept;

  /// An object on its way into the segment: memory that goes back unless it is published. The lock
  /// is held.
  class newcomer {
   public:
    newcomer(shared_segment& segment, void* storage) noexcept
        : segment_(segment), storage_(storage) {}
    newcomer(const newcomer&) = delete;
    newcomer& operator=(const newcomer&) = delete;
    ~newcomer() {
      if (storage_ != nullptr) segment_.abandon(storage_);
    }
    [[nodiscard]] void* storage() const noexcept { return storage_; }
    void settle() noexcept { storage_ = nullptr; }

   private:
    shared_segment& segment_;
    void* storage_;
  };

  using destructor = void (*)(void* object);
  template <class T>
  static void destroy_object(void* object) {
    std::destroy_at(static_cast<T*>(object));
  }

  [[nodiscard]] result<void*> begin_named(std::string_view name, const detail::segment_type& type);
  void publish_named(void* object) noexcept;
  [[nodiscard]] result<void*> find_named(std::string_view name,
                                         const detail::segment_type& type) const;
  [[nodiscard]] result<void> destroy_named(std::string_view name, const detail::segment_type& type,
                                           destructor end);
  /// An object that `link` does not lead to yet.
  template <class T, class... Args>
  [[nodiscard]] result<T*> construct_for(offset_ptr<T>& link, Args&&... args);
  [[nodiscard]] result<void*> begin_linked(std::int64_t& link, const detail::segment_type& type);
  void publish_linked(std::int64_t& link, void* object) noexcept;
  [[nodiscard]] result<void> replace_linked(std::int64_t& link, void* object, destructor end);
  [[nodiscard]] result<void> destroy_linked(std::int64_t& link, const void* next, destructor end);
  void abandon(void* object) noexcept;
  static void end_section(state& of) noexcept;

  /// The lock without a section, for an operation made of several.
  class hold;

  std::unique_ptr<state> state_;
};

class ACRE_API shared_segment::hold {
 public:
  explicit hold(const shared_segment& segment) noexcept;
  hold(const hold&) = delete;
  hold& operator=(const hold&) = delete;
  ~hold();
  [[nodiscard]] const result<void>& outcome() const noexcept { return outcome_; }

 private:
  state& state_;
  result<void> outcome_;
};

template <class T, class... Args>
result<T*> shared_segment::construct(std::string_view name, Args&&... args) {
  static_assert(std::is_nothrow_destructible_v<T>, "a destructor in a segment must not throw");
  auto begun = begin_named(name, detail::segment_type_of<T>);
  if (!begun) return std::unexpected(begun.error());
  newcomer made(*this, *begun);
  T* const object = std::construct_at(static_cast<T*>(made.storage()), std::forward<Args>(args)...);
  made.settle();
  publish_named(object);
  return object;
}

template <class T, class... Args>
result<T*> shared_segment::find_or_construct(std::string_view name, Args&&... args) {
  const hold held(*this);
  if (!held.outcome()) return std::unexpected(held.outcome().error());
  auto found = find<T>(name);
  if (found || found.error().number != ENOENT) return found;
  return construct<T>(name, std::forward<Args>(args)...);
}

template <class T>
result<void> shared_segment::destroy(std::string_view name) {
  return destroy_named(name, detail::segment_type_of<T>, destroy_object<T>);
}

template <class T, class... Args>
result<T*> shared_segment::construct_for(offset_ptr<T>& link, Args&&... args) {
  static_assert(std::is_nothrow_destructible_v<T>, "a destructor in a segment must not throw");
  auto begun = begin_linked(link.distance_, detail::segment_type_of<T>);
  if (!begun) return std::unexpected(begun.error());
  newcomer made(*this, *begun);
  T* const object = std::construct_at(static_cast<T*>(made.storage()), std::forward<Args>(args)...);
  made.settle();
  return object;
}

template <class T, class... Args>
result<T*> shared_segment::construct_at(offset_ptr<T>& link, Args&&... args) {
  auto object = construct_for(link, std::forward<Args>(args)...);
  if (object) publish_linked(link.distance_, *object);
  return object;
}

template <class T, class... Args>
result<T*> shared_segment::replace_at(offset_ptr<T>& link, Args&&... args) {
  auto object = construct_for(link, std::forward<Args>(args)...);
  if (!object) return object;
  auto replaced = replace_linked(link.distance_, *object, destroy_object<T>);
  if (!replaced) return std::unexpected(replaced.error());
  return object;
}

template <class T>
result<void> shared_segment::destroy_at(offset_ptr<T>& link, T* next) {
  return destroy_linked(link.distance_, next, destroy_object<T>);
}

}  // namespace acre::region
