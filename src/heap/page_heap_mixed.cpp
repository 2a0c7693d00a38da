#include "heap/address_space.hpp"
#include "heap/page_heap.hpp"

#include <algorithm>
#include <bit>
#include <span>

// Requests of 32 KiB and more that no dirty run can serve alone: a dirty run and its free
// neighbours of either kind, so that fewer pages have to become resident.
namespace acre::heaps {

/// Neighbouring free runs, from `first` to `last`.
struct page_heap::run_range {
  run_index first;
  run_index last;
  std::size_t pages;
};

/// What a range was made of.
struct page_heap::mixed_parts {
  struct part {
    std::size_t page, pages;
  };
  std::size_t dirty_pages = 0;
  std::size_t clean_pages = 0;
  std::array<part, 8> clean{};  ///< the first of the clean runs
  std::size_t clean_count = 0;
};

/// The dirty run, a clean one before it, and as many free ones behind it as it takes to have
/// `pages`; fewer pages when there are no more.
page_heap::run_range page_heap::range_around(run_index dirty, std::size_t pages) noexcept {
  run_range range{.first = dirty, .last = dirty, .pages = space.runs[dirty].pages};
  if (const run_index before = neighbour_before(space.runs[dirty]);
      before != 0 && state_of(space.runs[before]) == run_state::clean) {
    range.first = before;
    range.pages += space.runs[before].pages;
  }
  while (range.pages < pages) {
    const run_index after = neighbour_after(space.runs[range.last]);
    if (after == 0 || !is_free(state_of(space.runs[after]))) break;
    range.pages += space.runs[after].pages;
    range.last = after;
  }
  return range;
}

/// What is too much stays clean: counted as dirty it would be all address space after it.
void page_heap::cut_clean_end(run_range& range, std::size_t surplus) noexcept {
  if (surplus == 0) return;
  for (const bool front : {true, false}) {
    const run_index end = front ? range.first : range.last;
    const std::size_t length = space.runs[end].pages;
    if (state_of(space.runs[end]) != run_state::clean || surplus >= length) continue;
    unlink(end);
    const run_index rest = split(end, front ? surplus : length - surplus);
    link(end, run_state::clean);
    link(rest, run_state::clean);
    if (front) range.first = rest;
    if (front && range.last == end) range.last = rest;
    return;
  }
}

/// Takes the runs off their lists and makes them one, `first`, which is held.
page_heap::mixed_parts page_heap::join(const run_range& range) noexcept {
  mixed_parts parts;
  const run_index stop = neighbour_after(space.runs[range.last]);
  run_index next = 0;
  for (run_index run = range.first; run != stop && run != 0; run = next) {
    const page_run& r = space.runs[run];
    next = neighbour_after(r);
    if (state_of(r) == run_state::dirty) {
      parts.dirty_pages += r.pages;
    } else {
      parts.clean_pages += r.pages;
      if (parts.clean_count < parts.clean.size())
        parts.clean[parts.clean_count++] = {.page = r.page, .pages = r.pages};
    }
    unlink(run);
    if (run == range.first) continue;
    space.runs[range.first].pages += r.pages;
    drop_run(run);
  }
  set_state(space.runs[range.first], run_state::held);
  mark_ends(range.first);
  return parts;
}

/// Makes the range the request's run, or gives it back and returns 0 when there is no room for the
/// clean pages in it.
run_index page_heap::take_range(run_range range, const page_request& request) noexcept {
  cut_clean_end(range, range.pages - request.pages);
  // The parts are off the lists before room is made, so that purging passes them by; the resident
  // ones count as live meanwhile, or growth would be judged too small.
  const mixed_parts parts = join(range);
  std::size_t clean = std::min(parts.clean_pages, request.pages);
  std::size_t resident = parts.dirty_pages;
  live_ += resident;
  for (const auto& part : std::span(parts.clean).first(parts.clean_count)) {
    if (!would_purge(clean, request.pages)) break;
    const std::size_t moved = fill_by_moving(part.page, std::min(part.pages, clean));
    resident += moved;
    live_ += moved;
    clean -= moved;
  }
  const bool has_room = make_room(clean, request.pages, request.replaced_pages);
  live_ -= resident;
  if (has_room) return trim_to(range.first, request, run_state::dirty);
  insert_free(range.first, run_state::dirty);
  return 0;
}

/// The same for the dirty runs of one home, of which it looks at `looks` at most; counts them down.
run_index page_heap::take_mixed_of(const free_lists& lists, const page_request& request,
                                   int& looks) noexcept {
  constexpr unsigned shortest = mixed_pages_min / 2;  // Less does not matter.
  for (unsigned word = word_count; word-- > 0;) {
    std::uint64_t used = lists.used[word];
    while (used != 0) {
      const auto bit = 63U - static_cast<unsigned>(std::countl_zero(used));
      used &= ~(std::uint64_t{1} << bit);
      if (word * 64 + bit < shortest) return 0;
      for (run_index run = lists.head[word * 64 + bit]; run != 0; run = space.runs[run].next) {
        if (looks == 0) return 0;
        --looks;
        const run_range range = range_around(run, request.pages);
        if (range.pages >= request.pages) return take_range(range, request);
      }
    }
  }
  return 0;
}

run_index page_heap::take_mixed(const page_request& request) noexcept {
  int looks = 32;
  for (unsigned i = 0; i < home_count; ++i) {
    const unsigned home = (request.home + i) % home_count;
    if ((homes_used_ >> home & 1U) == 0) continue;
    if (const run_index run = take_mixed_of(dirty_lists_[home], request, looks); run != 0)
      return run;
  }
  return 0;
}

}  // namespace acre::heaps
