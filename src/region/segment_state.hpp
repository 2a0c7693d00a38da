#pragma once

#include <acre/region/shared_segment.hpp>

#include "os/growing_file.hpp"
#include "region/segment_blocks.hpp"

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>

namespace acre::region {

/// One process's use of a segment: its view of the memory, the file for growth, and the lock.
///
/// It stays where it is while the segment is moved: the page before the mapping points to it.
struct shared_segment::state {
  os::growing_file file;
  os::growing_view view;
  segment::blocks blocks;
  segment_use use;

  state(os::growing_file taken, const os::growing_view& mapped, const segment::geometry& places,
        segment_use wanted) noexcept;
  state(const state&) = delete;
  state& operator=(const state&) = delete;
  ~state();

  /// Takes the lock; what a dead owner left is repaired on the way.
  [[nodiscard]] result<void> enter() noexcept {
    const auto taken = head().lock.lock();
    if (!taken) [[unlikely]]
      return std::unexpected(taken.error());
    if (*taken != lock_state::clean) [[unlikely]]
      return repair_or_refuse(head().lock.owner_process());
    if (is_to_be_told()) [[unlikely]]
      tell(what_is_left(0));
    return {};
  }
  void leave() noexcept { head().lock.unlock(); }

  /// Completes or undoes what a dead process had begun, and tells the program.
  /// Requires: the lock, or to be the only user.
  [[nodiscard]] result<void> repair(pid_t dead_process) noexcept;
  /// The same, and unlocks when it fails.
  [[nodiscard]] result<void> repair_or_refuse(pid_t dead_process) noexcept;
  [[nodiscard]] bool is_left_torn() const noexcept;
  void note_damage() noexcept;
  /// Whether this process's program has to hear of what others, who have no callback, repaired.
  [[nodiscard]] bool is_to_be_told() const noexcept {
    return std::atomic_ref(head().unrepaired).load(std::memory_order_relaxed) != 0 &&
           use.on_recovery && !is_telling_;
  }

  /// Takes a block, growing the segment where it must; leaves the record open.
  /// Fails: ENOSPC.
  [[nodiscard]] result<std::uint64_t> take(std::size_t size_bytes, std::size_t alignment,
                                           const segment::publication& where) noexcept {
    const bool is_plain = size_bytes <= segment::class_bytes_max && alignment <= 16 &&
                          (alignment & (alignment - 1)) == 0 && alignment != 0;
    const std::uint64_t block = is_plain ? blocks.take(size_bytes, alignment, where) : 0;
    if (block != 0) [[likely]]
      return block;
    return take_slowly(size_bytes, alignment, where);
  }
  void give_back(const segment::place& where, std::uint64_t block) noexcept {
    blocks.announce_give_back(block, 0, 0);
    blocks.give_back(where);
    blocks.close_record();
  }

  [[nodiscard]] segment::head& head() const noexcept { return blocks.head(); }

 private:
  [[nodiscard]] segment_recovery what_is_left(pid_t dead_process) const noexcept;
  /// Calls the program. Requires: the lock, and a callback.
  void tell(const segment_recovery& found) noexcept;
  [[nodiscard]] std::uint64_t free_granules_at_end() const noexcept;
  [[nodiscard]] result<std::uint64_t> take_slowly(std::size_t size_bytes, std::size_t alignment,
                                                  const segment::publication& where) noexcept;
  /// Makes room for a run of so many granules, together with the free ones at the end.
  /// Fails: ENOSPC, without a change when the limit forbids it.
  [[nodiscard]] result<void> grow(std::uint64_t granules) noexcept;

  bool is_telling_ = false;  ///< the program's callback runs, which may take the lock again
};

/// The way from a segment's start to its state, and from the state to the user's type.
struct segment_internals {
  using state = shared_segment::state;

  /// Requires: a segment's start.
  [[nodiscard]] static state& state_at(void* base) noexcept;
  static void set_state_at(void* base, state* of) noexcept;
  [[nodiscard]] static shared_segment handle(std::unique_ptr<state> made) noexcept;
  [[nodiscard]] static std::unique_ptr<state> take(shared_segment& handle) noexcept;
  [[nodiscard]] static result<void*> allocate(state& from, std::size_t size_bytes,
                                              std::size_t alignment) noexcept;
  /// Throws: `refused`.
  [[nodiscard]] static void* allocate_or_throw(state& from, std::size_t size_bytes,
                                               std::size_t alignment);
  static void deallocate(state& from, void* data) noexcept;
};

/// The lock for a block of code.
class segment_hold {
 public:
  explicit segment_hold(segment_internals::state& of) noexcept : state_(of), outcome_(of.enter()) {}
  segment_hold(const segment_hold&) = delete;
  segment_hold& operator=(const segment_hold&) = delete;
  ~segment_hold() {
    if (outcome_) state_.leave();
  }
  [[nodiscard]] explicit operator bool() const noexcept { return outcome_.has_value(); }
  [[nodiscard]] std::unexpected<failure> refused() const noexcept {
    return std::unexpected(outcome_.error());
  }

 private:
  segment_internals::state& state_;
  result<void> outcome_;
};

/// Space in the file for more granules than it has.
[[nodiscard]] result<void> reserve_granules(os::growing_file& file, const segment::geometry& places,
                                            std::uint64_t from, std::uint64_t count) noexcept;

}  // namespace acre::region
