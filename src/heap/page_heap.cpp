#include "heap/page_heap.hpp"

#include "base/assert.hpp"
#include "base/bits.hpp"
#include "heap/address_space.hpp"
#include "heap/config.hpp"
#include "heap/fork.hpp"
#include "os/memory.hpp"

#include <algorithm>
#include <utility>

namespace acre::heaps {

constinit page_heap process_pages;

unsigned page_heap::bin_of(std::size_t pages) noexcept {
  if (pages < exact_bins) return static_cast<unsigned>(pages);
  const unsigned doubling = base::log2_floor(pages);  // 7 and more
  const auto eighth = static_cast<unsigned>(pages >> (doubling - 3)) & 7U;
  return std::min(exact_bins + (doubling - 7) * bins_per_doubling + eighth, bin_count - 1);
}

void page_heap::link(run_index run, run_state state) noexcept {
  page_run& r = space.runs[run];
  ++freed_runs_;
  set_state(r, state);
  free_lists& lists = lists_of(r);
  const unsigned b = bin_of(r.pages);
  r.previous = 0;
  r.next = lists.head[b];
  if (r.next != 0) space.runs[r.next].previous = run;
  lists.head[b] = run;
  lists.used[b / 64] |= std::uint64_t{1} << (b % 64);
  if (state != run_state::dirty) return;
  homes_used_ |= 1U << r.home;
  add_dirty(r.pages);
}

void page_heap::unlink(run_index run) noexcept {
  page_run& r = space.runs[run];
  ACRE_ASSERT(is_free(state_of(r)));
  free_lists& lists = lists_of(r);
  const unsigned b = bin_of(r.pages);
  if (r.next != 0) space.runs[r.next].previous = r.previous;
  if (r.previous != 0) {
    space.runs[r.previous].next = r.next;
  } else {
    lists.head[b] = r.next;
    if (r.next == 0) lists.used[b / 64] &= ~(std::uint64_t{1} << (b % 64));
  }
  if (state_of(r) == run_state::dirty) add_dirty(-static_cast<std::ptrdiff_t>(r.pages));
}

void page_heap::add_dirty(std::ptrdiff_t pages) noexcept {
  const auto now = static_cast<std::size_t>(
      static_cast<std::ptrdiff_t>(dirty_.load(std::memory_order_relaxed)) + pages);
  dirty_.store(now, std::memory_order_relaxed);
}

run_index page_heap::new_run() noexcept {
  if (spare_runs_ != 0) {
    const run_index run = spare_runs_;
    spare_runs_ = space.runs[run].next;
    --spare_count_;
    // The next one is needed soon, and its cache line is often far.
    __builtin_prefetch(&space.runs[spare_runs_], 1);
    return run;
  }
  return run_count_.fetch_add(1, std::memory_order_relaxed);
}

void page_heap::drop_run(run_index run) noexcept {
  set_state(space.runs[run], run_state::none);
  space.runs[run].next = spare_runs_;
  spare_runs_ = run;
  ++spare_count_;
}

void page_heap::mark_ends(run_index run) noexcept {
  const page_run& r = space.runs[run];
  space.run_of_page[r.page] = run;
  space.run_of_page[r.page + r.pages - 1] = run;
}

/// Cuts `run` after `pages` pages; the rest becomes a run of its own, on no list.
run_index page_heap::split(run_index run, std::size_t pages) noexcept {
  page_run& r = space.runs[run];
  ACRE_ASSERT(pages > 0 && pages < r.pages);
  const run_index rest = new_run();
  page_run& tail = space.runs[rest];
  tail.page = r.page + static_cast<std::uint32_t>(pages);
  tail.pages = r.pages - static_cast<std::uint32_t>(pages);
  set_state(tail, run_state::held);
  tail.home = r.home;
  r.pages = static_cast<std::uint32_t>(pages);
  mark_ends(run);
  mark_ends(rest);
  return rest;
}

namespace {

/// The run that ends or begins at a page. acquire pairs with the release in the fork lane, where a
/// run is made without the lock: its record is seen whole.
run_index run_at_end(std::size_t page) noexcept {
  return std::atomic_ref(space.run_of_page[page]).load(std::memory_order_acquire);
}

/// Whether the page has an owner, and so is not free: told without its run's record, whose cache
/// line is often far. A page's owner is cleared before the lock is taken to free it, and set after
/// the lock was taken to allocate it: whoever holds the lock sees none for a free page.
bool has_owner(std::size_t page) noexcept {
  return std::atomic_ref(space.owner[page]).load(std::memory_order_relaxed) != nullptr;
}

}  // namespace

run_index page_heap::neighbour_after(const page_run& run) noexcept {
  const std::size_t page = std::size_t{run.page} + run.pages;
  return page < frontier_.load(std::memory_order_relaxed) ? run_at_end(page) : 0;
}

run_index page_heap::neighbour_before(const page_run& run) noexcept {
  return run.page > 0 ? run_at_end(run.page - 1) : 0;
}

/// Puts a run on a free list, joined with free neighbours of its kind; at home where its longest
/// part is.
void page_heap::insert_free(run_index run, run_state state) noexcept {
  page_run& r = space.runs[run];
  std::uint32_t longest = r.pages;
  const auto join = [&r, &longest](const page_run& part) {
    r.pages += part.pages;
    if (part.pages <= longest) return;
    longest = part.pages;
    r.home = part.home;
  };
  if (const run_index after = neighbour_after(r); after != 0 &&
                                                  !has_owner(std::size_t{r.page} + r.pages) &&
                                                  state_of(space.runs[after]) == state) {
    unlink(after);
    join(space.runs[after]);
    drop_run(after);
  }
  if (const run_index before = neighbour_before(r);
      before != 0 && !has_owner(r.page - 1) && state_of(space.runs[before]) == state) {
    unlink(before);
    r.page = space.runs[before].page;
    join(space.runs[before]);
    drop_run(before);
  }
  mark_ends(run);
  link(run, state);
}

/// The shortest run of at least `pages` pages, or 0. In a bin of mixed lengths a few are looked at.
run_index page_heap::best_fit(free_lists& lists, std::size_t pages) noexcept {
  constexpr int looks = 16;
  unsigned b = bin_of(pages);
  if (b >= exact_bins) {
    run_index best = 0;
    int left = looks;
    for (run_index r = lists.head[b]; r != 0 && left > 0; r = space.runs[r].next, --left) {
      if (space.runs[r].pages < pages) continue;
      if (best == 0 || space.runs[r].pages < space.runs[best].pages) best = r;
    }
    if (best != 0) return best;
    ++b;
  }
  for (unsigned word = b / 64; word < word_count; ++word) {
    std::uint64_t used = lists.used[word];
    if (word == b / 64) used &= ~std::uint64_t{0} << (b % 64);
    if (used != 0) return lists.head[word * 64 + static_cast<unsigned>(std::countr_zero(used))];
  }
  return 0;
}

/// Cuts a run that is on no list to the request; what is left over goes back as `rest`.
run_index page_heap::trim_to(run_index run, const page_request& request, run_state rest) noexcept {
  const std::size_t first = aligned_page(space.runs[run].page, request.alignment_pages);
  const std::size_t skip = first - space.runs[run].page;
  if (skip > 0) {
    const run_index aligned = split(run, skip);
    insert_free(run, rest);
    run = aligned;
  }
  if (space.runs[run].pages > request.pages) {
    const run_index tail = split(run, request.pages);
    set_state(space.runs[run], run_state::held);
    insert_free(tail, rest);
  }
  return run;
}

/// The shortest dirty run of at least `pages` pages that the home has or, if it has none, that
/// there is; or 0.
run_index page_heap::best_dirty(std::size_t pages, unsigned home) noexcept {
  run_index best = best_fit(dirty_lists_[home], pages);
  if (best != 0) return best;
  for (unsigned others = homes_used_ & ~(1U << home); others != 0; others &= others - 1) {
    const run_index run =
        best_fit(dirty_lists_[static_cast<unsigned>(std::countr_zero(others))], pages);
    if (run == 0) continue;
    if (best == 0 || space.runs[run].pages < space.runs[best].pages) best = run;
  }
  return best;
}

run_index page_heap::take_free(run_state kind, const page_request& request) noexcept {
  const std::size_t pages = request.pages + request.alignment_pages - 1;
  const run_index run =
      kind == run_state::dirty ? best_dirty(pages, request.home) : best_fit(clean_lists_, pages);
  if (run == 0) return 0;
  unlink(run);
  set_state(space.runs[run], run_state::held);
  return trim_to(run, request, kind);
}

/// The longest dirty run of one of the lengths that will do: of the home or, if that has none, of
/// another. Else 0.
run_index page_heap::take_shorter(const page_request& request) noexcept {
  const std::uint64_t lengths = request.shorter & ((std::uint64_t{1} << request.pages) - 1);
  unsigned home = request.home;
  std::uint64_t found = dirty_lists_[home].used[0] & lengths;
  for (unsigned others = homes_used_; found == 0 && others != 0; others &= others - 1) {
    home = static_cast<unsigned>(std::countr_zero(others));
    found = dirty_lists_[home].used[0] & lengths;
  }
  if (found == 0) return 0;
  const run_index run = dirty_lists_[home].head[base::log2_floor(found)];
  unlink(run);
  return run;
}

run_index page_heap::take_frontier(const page_request& request) noexcept {
  const std::size_t start = frontier_.load(std::memory_order_relaxed);
  const std::size_t first = aligned_page(start, request.alignment_pages);
  const std::size_t end = first + request.pages;
  if (end < first || !commit_up_to(end)) return 0;
  frontier_.store(end, std::memory_order_relaxed);
  const run_index run = new_run();
  page_run& r = space.runs[run];
  r.page = static_cast<std::uint32_t>(start);
  r.pages = static_cast<std::uint32_t>(end - start);
  set_state(r, run_state::held);
  mark_ends(run);
  return trim_to(run, request, run_state::clean);
}

/// For a request of so many pages. Blocks of 64 KiB to 1 MiB that die at random leave runs of which
/// few are long enough for the next, and moving pages does not pay for them yet: with as little as
/// the others may leave, most of what is purged for them is faulted in again.
std::size_t page_heap::dirty_allowance(std::size_t pages) const noexcept {
  constexpr std::size_t least = (std::size_t{1} << 19U) / page_bytes;
  constexpr std::size_t scattered_from = 16;
  constexpr std::size_t scattered_to = 256;
  const bool scattered = pages >= scattered_from && pages < scattered_to;
  return std::max(least, live_ / (scattered ? 8 : 25));
}

bool page_heap::within_limit(std::size_t new_live_pages) noexcept {
  const std::size_t limit = config.memory_limit_bytes.load(std::memory_order_relaxed) / page_bytes;
  if (limit == 0) return true;
  const std::size_t live = live_ + new_live_pages;
  if (live > limit) return false;
  const std::size_t dirty = dirty_.load(std::memory_order_relaxed);
  if (live + dirty > limit) purge_locked(live + dirty - limit);
  return live + dirty_.load(std::memory_order_relaxed) <= limit;
}

/// The same for dirty pages that become live: purging others would change nothing.
bool page_heap::within_limit_reused(std::size_t new_live_pages) noexcept {
  const std::size_t limit = config.memory_limit_bytes.load(std::memory_order_relaxed) / page_bytes;
  return limit == 0 || live_ + new_live_pages <= limit;
}

/// Whether more would be resident than ever before if `growth` more pages were.
bool page_heap::would_exceed_peak(std::size_t growth) noexcept {
  return live_ + dirty_.load(std::memory_order_relaxed) + growth > resident_peak_;
}

/// Whether dirty pages go back to the kernel before `growth` pages become resident.
bool page_heap::would_purge(std::size_t growth, std::size_t request_pages) noexcept {
  return dirty_.load(std::memory_order_relaxed) > dirty_allowance(request_pages) &&
         would_exceed_peak(growth);
}

/// Called before `clean_pages` become resident: the one place where growth is paid for.
bool page_heap::make_room(std::size_t clean_pages, std::size_t request_pages,
                          std::size_t replaced_pages) noexcept {
  const std::size_t growth = clean_pages > replaced_pages ? clean_pages - replaced_pages : 0;
  if (!within_limit(growth)) return false;
  if (would_purge(growth, request_pages)) {
    const std::size_t unneeded =
        dirty_.load(std::memory_order_relaxed) - dirty_allowance(request_pages);
    purge_locked(std::min(std::max(growth, growth_step_pages), unneeded));
  }
  return true;
}

void page_heap::note_peak(std::size_t replaced_pages) noexcept {
  const std::size_t now = live_ + dirty_.load(std::memory_order_relaxed);
  resident_peak_ = std::max(resident_peak_, now - std::min(now, replaced_pages));
}

/// Once a request is served: a run that is cut or joined leaves its list for a moment only.
void page_heap::note_low() noexcept {
  dirty_low_ = std::min(dirty_low_, dirty_.load(std::memory_order_relaxed));
}

page_grant page_heap::finish(run_index run, const page_request& request, bool zero) noexcept {
  page_run& r = space.runs[run];
  set_state(r, request.state);
  r.home = request.home & (home_count - 1);
  if (request.state == run_state::large) mark_inside(run, r.page);
  live_ += r.pages;
  note_peak(request.replaced_pages);
  note_low();
  return {.run = run, .reads_zero = zero};
}

page_grant page_heap::take(const page_request& request) noexcept {
  run_index run = 0;
  if (request.source != page_source::clean_only) {
    // Before any page is moved: what is over the limit by itself fits nowhere.
    if (!within_limit_reused(request.pages)) return {};
    run = take_free(run_state::dirty, request);
    if (run == 0 && request.source == page_source::dirty_only) return {};
    if (run == 0 && request.pages >= mixed_pages_min && request.alignment_pages == 1)
      run = take_mixed(request);
    if (run == 0 && request.shorter != 0 && would_exceed_peak(request.pages))
      run = take_shorter(request);
    if (run != 0) return finish(run, request, false);
  }
  return take_clean(request);
}

/// Pages that are not resident. A long request that would have dirty pages purged takes these over
/// instead: moving a page costs a small part of giving it back and having another one faulted in.
page_grant page_heap::take_clean(const page_request& request) noexcept {
  const bool moves = request.source == page_source::any && request.pages >= moved_pages_min &&
                     would_purge(request.pages, request.pages);
  if (!moves && !make_room(request.pages, request.pages, request.replaced_pages)) return {};
  run_index run = take_free(run_state::clean, request);
  if (run == 0) run = take_frontier(request);
  if (run == 0) return {};
  if (!moves) return finish(run, request, true);
  const std::size_t moved = fill_by_moving(space.runs[run].page, request.pages);
  live_ += moved;
  const bool room = make_room(request.pages - moved, request.pages, request.replaced_pages);
  live_ -= moved;
  if (room) return finish(run, request, moved == 0);
  insert_free(run, moved == 0 ? run_state::clean : run_state::dirty);
  return {};
}

/// Moves long dirty runs to clean pages that are on no list, from their front; returns how many.
std::size_t page_heap::fill_by_moving(std::size_t page, std::size_t pages) noexcept {
  std::size_t filled = 0;
  while (may_move_pages() && !purge_refused_hint()) {
    const std::size_t wanted = pages - filled;
    if (wanted < moved_pages_min) break;
    const run_index dirty = largest_dirty(wanted);
    if (dirty == 0) break;
    const std::size_t count = space.runs[dirty].pages;
    // Locked pages cannot be given back, and what is mapped in their place is filled at once.
    const bool may_go =
        filled > 0 || note_purge(os::purge(space.address_of(space.runs[dirty].page), page_bytes));
    std::byte* const target = space.address_of(page + filled);
    const bool moved =
        count >= moved_pages_min && may_go &&
        os::move_pages(space.address_of(space.runs[dirty].page), target, count * page_bytes);
    insert_free(dirty, moved ? run_state::clean : run_state::dirty);
    if (!moved) break;
    note_move();
    filled += count;
  }
  return filled;
}

page_grant page_heap::allocate(const page_request& request) noexcept {
  ACRE_ASSERT(request.pages > 0);
  if (request.pages + request.alignment_pages > reserved_pages()) return {};
  if (!lock_.acquire_unless(fork_pending)) return allocate_in_fork_lane(request);
  const page_grant grant = take(request);
  lock_.release();
  return grant;
}

/// How many pages, up to `most`, one dirty run has: the longest of the home or, if that has none of
/// `least` pages, of another. `most` when nobody has any.
std::size_t page_heap::dirty_pages_in_one(std::size_t least, std::size_t most,
                                          unsigned home) noexcept {
  ACRE_ASSERT(most < 64);
  if (best_fit(dirty_lists_[home], most) != 0) return most;
  const run_index some = best_dirty(least, home);
  if (some == 0) return most;
  free_lists& lists = dirty_lists_[space.runs[some].home];
  if (best_fit(lists, most) != 0) return most;
  return base::log2_floor(lists.used[0] & ((std::uint64_t{1} << most) - 1));
}

std::size_t page_heap::allocate_several(run_index* runs, const page_request& each,
                                        std::size_t count) noexcept {
  ACRE_ASSERT(count == 1 || each.shorter == 0);
  if (!lock_.acquire_unless(fork_pending)) {
    runs[0] = allocate_in_fork_lane(each).run;
    return runs[0] != 0 ? 1 : 0;
  }
  page_request request = each;
  // Fewer dirty pages are better than clean ones: those would let the program grow.
  if (count > 1) {
    count = dirty_pages_in_one(each.pages, each.pages * count, each.home) / each.pages;
    request.pages = each.pages * count;
  }
  runs[0] = take(request).run;
  if (runs[0] == 0 && count > 1) {
    count = 1;
    runs[0] = take(each).run;
  }
  if (runs[0] == 0) count = 0;
  for (std::size_t i = 1; i < count; ++i) {
    runs[i] = split(runs[i - 1], each.pages);
    set_state(space.runs[runs[i]], each.state);
  }
  lock_.release();
  return count;
}

void page_heap::give_back(run_index run, run_state state) noexcept {
  if (!lock_.acquire_unless(fork_pending)) return park_run(run);
  live_ -= space.runs[run].pages;
  insert_free(run, state);
  lock_.release();
}

void page_heap::release_several(run_index first) noexcept {
  if (!lock_.acquire_unless(fork_pending)) {
    while (first != 0)
      park_run(std::exchange(first, space.runs[first].next));
    return;
  }
  while (first != 0) {
    const run_index run = std::exchange(first, space.runs[first].next);
    __builtin_prefetch(&space.runs[first], 1);
    live_ -= space.runs[run].pages;
    insert_free(run, run_state::dirty);
  }
  lock_.release();
}

void page_heap::release(run_index run) noexcept {
  give_back(run, run_state::dirty);
}
void page_heap::release_clean(run_index run) noexcept {
  give_back(run, run_state::clean);
}

bool page_heap::extend(run_index run, std::size_t pages) noexcept {
  if (!lock_.acquire_unless(fork_pending)) return false;
  page_run& r = space.runs[run];
  const std::size_t wanted = pages - r.pages;
  const std::size_t old_end = std::size_t{r.page} + r.pages;
  bool done = false;
  const run_index after = neighbour_after(r);
  if (after == 0) {
    // The run ends at the frontier.
    if (old_end == frontier_.load(std::memory_order_relaxed) && make_room(wanted, 0, 0) &&
        commit_up_to(old_end + wanted)) {
      frontier_.store(old_end + wanted, std::memory_order_relaxed);
      done = true;
    }
  } else if (const run_state kind = state_of(space.runs[after]); is_free(kind)) {
    // A clean neighbour may reach the frontier and be lengthened there.
    const page_run& a = space.runs[after];
    std::size_t have = a.pages;
    if (kind == run_state::clean && have < wanted && neighbour_after(a) == 0 &&
        commit_up_to(old_end + wanted)) {
      unlink(after);
      frontier_.store(old_end + wanted, std::memory_order_relaxed);
      space.runs[after].pages = static_cast<std::uint32_t>(wanted);
      mark_ends(after);
      link(after, kind);
      have = wanted;
    }
    if (have >= wanted) {
      unlink(after);
      set_state(space.runs[after], run_state::held);
      const bool room =
          kind == run_state::dirty ? within_limit_reused(wanted) : make_room(wanted, 0, 0);
      if (room) {
        if (have > wanted) insert_free(split(after, wanted), kind);
        drop_run(after);
        done = true;
      } else {
        insert_free(after, kind);
      }
    }
  }
  if (done) {
    r.pages = static_cast<std::uint32_t>(pages);
    mark_ends(run);
    mark_inside(run, old_end);
    live_ += wanted;
    note_peak(0);
    note_low();
  }
  lock_.release();
  return done;
}

void page_heap::cut(run_index run, std::size_t pages, run_state rest) noexcept {
  // While a fork is pending the run simply stays long.
  if (!lock_.acquire_unless(fork_pending)) return;
  const run_index tail = split(run, pages);
  live_ -= space.runs[tail].pages;
  insert_free(tail, rest);
  lock_.release();
}

void page_heap::shorten(run_index run, std::size_t pages) noexcept {
  cut(run, pages, run_state::dirty);
}
void page_heap::shorten_clean(run_index run, std::size_t pages) noexcept {
  cut(run, pages, run_state::clean);
}

page_counts page_heap::counts() noexcept {
  const os::hold guard(lock_);
  return {.live = live_,
          .dirty = dirty_.load(std::memory_order_relaxed),
          .frontier = frontier_.load(std::memory_order_relaxed),
          .runs = run_count_.load(std::memory_order_relaxed),
          .peak = resident_peak_};
}

std::size_t page_heap::untouched_pages() noexcept {
  constexpr std::size_t long_pages = 64;
  constexpr std::size_t most_runs = 256;
  struct {
    std::uint32_t page, pages;
  } found[most_runs];
  std::size_t count = 0;
  {
    const os::hold guard(lock_);
    for (const free_lists& lists : dirty_lists_)
      for (unsigned b = bin_count; b-- > bin_of(long_pages);)
        for (run_index run = lists.head[b]; run != 0 && count < most_runs;
             run = space.runs[run].next)
          found[count++] = {space.runs[run].page, space.runs[run].pages};
  }
  // Whoever takes such a run meanwhile makes the figure older, not worse.
  std::size_t untouched = 0;
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t bytes = std::size_t{found[i].pages} * page_bytes;
    untouched += bytes - os::resident_bytes(space.address_of(found[i].page), bytes);
  }
  return untouched / page_bytes;
}

bool page_heap::ready() noexcept {
  const os::hold guard(lock_);
  return reserved_pages() != 0 || reserve_space();
}

bool page_heap::check_invariants() noexcept {
  const os::hold guard(lock_);
  std::size_t live = 0;
  std::size_t dirty = 0;
  const std::size_t end = frontier_.load(std::memory_order_relaxed);
  for (std::size_t page = 0; page < end;) {
    const run_index run = space.run_of_page[page];
    const page_run& r = space.runs[run];
    if (run == 0 || r.page != page || r.pages == 0 || state_of(r) == run_state::none) return false;
    if (space.run_of_page[page + r.pages - 1] != run) return false;
    (state_of(r) == run_state::dirty ? dirty : live) +=
        state_of(r) == run_state::clean ? 0 : r.pages;
    page += r.pages;
  }
  return live == live_ + skipped_ && dirty == dirty_.load(std::memory_order_relaxed);
}

}  // namespace acre::heaps
