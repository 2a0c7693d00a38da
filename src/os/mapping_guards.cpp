// Guards: pages whose touch faults, one at a time or many with one system call.
//
// process_madvise(2) takes many ranges at once, and since Linux 6.13 a process may give itself any
// advice with it. It walks the ranges in order and answers with the bytes of those it has done, or
// with an errno when it has done none.

#include <acre/os/mapping.hpp>

#include "os/kernel.hpp"
#include "os/mapping_range.hpp"

#include <algorithm>
#include <array>

#include <sys/uio.h>

namespace acre::os {

namespace {

/// How many places go into one call: 4 KiB of stack, and enough that the call itself costs nothing
/// next to them. The kernel takes 1024.
constexpr std::size_t batch_places = 256;

/// How many places from the first on are done, and what stopped at the next.
struct progress {
  std::size_t places = 0;
  result<void> outcome;
};

bool in_memory(std::span<std::byte> part) noexcept {
  unsigned char state = 0;
  return tell(calls::mincore, part.data(), 1, &state).has_value() && (state & 1U) != 0;
}

/// The places of one call of process_madvise.
class batch {
 public:
  void add(std::span<std::byte> part) noexcept {
    places_[count_++] = {.iov_base = part.data(), .iov_len = part.size()};
  }

  /// Gives the advice and tells how many places have taken it. It goes to the calling thread, since
  /// that is the one name for oneself with the same value in all kernels that know it.
  [[nodiscard]] std::size_t advise(int advice) const noexcept {
    const auto advised =
        ask(calls::process_madvise, PIDFD_SELF_THREAD, places_.data(), count_, advice, 0);
    auto left = static_cast<std::size_t>(advised.value_or(0));
    std::size_t done = 0;
    while (done < count_ && left >= places_[done].iov_len) {
      left -= places_[done].iov_len;
      ++done;
    }
    return done;
  }

  /// Gives the pages back, once for all. A marker would do so for its own, with a flush of the
  /// address translations for each: that doubles what it costs where the pages are in memory.
  void discard() const noexcept { static_cast<void>(advise(MADV_DONTNEED)); }

 private:
  std::array<iovec, batch_places> places_;
  std::size_t count_ = 0;
};

/// Gives one advice to places that are known to be within the mapping.
progress advise_each(const mapping& whole, std::span<const byte_range> places,
                     int advice) noexcept {
  const auto part = [&](std::size_t i) { return *part_of(whole, places[i], "madvise"); };
  bool one_by_one = false;
  for (std::size_t done = 0; done < places.size();) {
    if (!one_by_one) {
      batch next;
      const std::size_t end = std::min(places.size(), done + batch_places);
      for (std::size_t i = done; i < end; ++i)
        next.add(part(i));
      // Of a file, a private page has contents of its own, which protection would keep.
      if (advice == MADV_GUARD_INSTALL && !whole.is_file() && in_memory(part(done))) next.discard();
      done += next.advise(advice);
      if (done == end) continue;
    }
    // The next place is why it stopped, or the kernel has no such call for us: 6.15 and later do.
    const auto alone = tell(calls::madvise, part(done).data(), part(done).size(), advice);
    if (!alone) return {done, alone};
    ++done;
    one_by_one = true;
  }
  return {places.size(), {}};
}

/// Nothing, or what is wrong with the first wrong place.
result<void> check(const mapping& whole, std::span<const byte_range> places) noexcept {
  for (const byte_range& place : places) {
    if (const auto part = part_of(whole, place, "madvise"); !part) {
      return std::unexpected(part.error());
    }
  }
  return {};
}

result<void> mark(std::span<std::byte> part) noexcept {
  return tell(calls::madvise, part.data(), part.size(), MADV_GUARD_INSTALL);
}

/// Whether a marker was refused because there are none: by an older kernel, or for such memory as
/// locked or huge pages.
bool has_no_markers(const failure& refused) noexcept {
  return refused.number == EINVAL;
}

result<void> close_to_all(std::span<std::byte> part, bool is_file) noexcept {
  const auto closed = tell(calls::mprotect, part.data(), part.size(), PROT_NONE);
  // As a marker does: the contents go. Locked pages keep theirs, out of reach.
  if (closed && !is_file) {
    static_cast<void>(tell(calls::madvise, part.data(), part.size(), MADV_DONTNEED));
  }
  return closed;
}

}  // namespace

result<guard_kind> mapping::guard(byte_range where) noexcept {
  const auto part = part_of(*this, where, "madvise");
  if (!part) return std::unexpected(part.error());
  const auto marked = mark(*part);
  if (marked) return guard_kind::marker;
  if (!has_no_markers(marked.error())) return std::unexpected(marked.error());
  const auto closed = close_to_all(*part, is_file_);
  if (!closed) return std::unexpected(closed.error());
  return guard_kind::protection;
}

result<guard_kind> mapping::guard_all(std::span<const byte_range> places) noexcept {
  if (const auto checked = check(*this, places); !checked) return std::unexpected(checked.error());
  const progress marked = advise_each(*this, places, MADV_GUARD_INSTALL);
  if (marked.outcome) return guard_kind::marker;
  if (!has_no_markers(marked.outcome.error())) return std::unexpected(marked.outcome.error());
  // One kind for all, so that one answer tells how to undo it.
  const progress unmarked = advise_each(*this, places.first(marked.places), MADV_GUARD_REMOVE);
  if (!unmarked.outcome) return std::unexpected(unmarked.outcome.error());
  for (const byte_range& place : places) {
    const auto closed = close_to_all(*part_of(*this, place, "mprotect"), is_file_);
    if (!closed) return std::unexpected(closed.error());
  }
  return guard_kind::protection;
}

result<void> mapping::unguard(byte_range where, guard_kind how, page_access access) noexcept {
  if (how == guard_kind::protection) return protect(access, where);
  const auto part = part_of(*this, where, "madvise");
  if (!part) return std::unexpected(part.error());
  return tell(calls::madvise, part->data(), part->size(), MADV_GUARD_REMOVE);
}

result<void> mapping::unguard_all(std::span<const byte_range> places, guard_kind how,
                                  page_access access) noexcept {
  if (const auto checked = check(*this, places); !checked) return checked;
  if (how == guard_kind::marker) return advise_each(*this, places, MADV_GUARD_REMOVE).outcome;
  for (const byte_range& place : places) {
    if (const auto opened = protect(access, place); !opened) return opened;
  }
  return {};
}

}  // namespace acre::os
