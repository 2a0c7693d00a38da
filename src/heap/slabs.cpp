#include "heap/slabs.hpp"

#include "base/assert.hpp"
#include "base/bits.hpp"
#include "heap/address_space.hpp"
#include "heap/deep_stack.hpp"
#include "heap/foreign.hpp"
#include "heap/lending.hpp"
#include "heap/misuse.hpp"
#include "heap/page_heap.hpp"
#include "heap/slab_list.hpp"
#include "heap/stacks.hpp"
#include "heap/usage.hpp"
#include "heap/wide_block.hpp"

#include <algorithm>
#include <bit>
#include <utility>

namespace acre::heaps {

namespace {

constexpr std::int64_t usage_step_bytes = 32768;

void note_used(heap_body& heap, std::int64_t bytes) noexcept ACRE_REQUIRES(heap.lock) {
  heap.used_delta += bytes;
  heap.free_bytes -= static_cast<std::size_t>(bytes);
  if (heap.used_delta < usage_step_bytes && heap.used_delta > -usage_step_bytes) return;
  used.add(heap.used_delta);
  heap.used_delta = 0;
}

/// How many spare pages a heap may keep: a quarter of what it holds up to 128 KiB, then a 16th up
/// to the 2 MiB that are worth a purging thread, which does not know of them; 64 KiB in any case.
std::size_t spare_pages_max(const heap_body& heap) noexcept {
  const std::size_t held = heap.pages.load(std::memory_order_relaxed);
  return std::max({std::size_t{16}, std::min(held / 4, std::size_t{32}),
                   std::min(held / 16, std::size_t{512})});
}

/// Gives the newest of the spare runs of `pages` pages back. Requires: there is one.
void give_spares_back(heap_body& heap, std::size_t pages) noexcept ACRE_REQUIRES(heap.lock) {
  constexpr std::size_t most = 16;
  run_index& spare = heap.spare_slabs[pages - 1];
  const run_index first = spare;
  run_index last = first;
  std::size_t count = 1;
  for (; count < most && space.runs[last].next != 0; ++count)
    last = space.runs[last].next;
  spare = std::exchange(space.runs[last].next, 0);
  heap.spare_pages -= count * pages;
  return_pages(heap, count * pages);
  process_pages.release_several(first);
}

/// Gives all spare runs back.
void give_all_spares_back(heap_body& heap) noexcept ACRE_REQUIRES(heap.lock) {
  for (std::size_t pages = 1; pages <= spare_slab_pages_max; ++pages)
    while (heap.spare_slabs[pages - 1] != 0)
      give_spares_back(heap, pages);
}

/// Runs for slabs, as of `page_heap::allocate_several`. Before pages become resident for one, the
/// heap's spare ones go back if they are as many: these, with what lies around them, serve first.
std::size_t allocate_runs(heap_body& heap, run_index* runs, const page_request& each,
                          std::size_t count) noexcept ACRE_REQUIRES(heap.lock) {
  if (heap.spare_pages >= each.pages || heap.large_bytes > 0) {
    page_request resident = each;
    resident.source = page_source::dirty_only;
    const std::size_t got = process_pages.allocate_several(runs, resident, count);
    if (got > 0) return got;
    if (heap.large_bytes > 0) flush_large(heap);
    give_all_spares_back(heap);
  }
  return process_pages.allocate_several(runs, each, count);
}

/// Fetches a run of `pages` pages for a slab, or of fewer as `shorter` allows (see page_request;
/// not for objects, since how much fits below a limit would depend on others).
/// Single pages: several at once for a heap that holds many. (Longer runs, too, would be cut from
/// long dirty ones while short ones lie idle: 4 to 7 % of RSS in programs of 10 MB.)
run_index fetch_run(heap_body& heap, std::size_t pages, std::uint32_t shorter) noexcept
    ACRE_REQUIRES(heap.lock) {
  constexpr std::size_t most = 16;
  constexpr std::size_t one_in = 16;  // A fetch is at most 1/16 of what the heap holds.
  const std::size_t held = heap.pages.load(std::memory_order_relaxed);
  const bool several = heap.kind == body_kind::thread && pages == 1;
  const std::size_t wanted = several ? std::clamp<std::size_t>(held / one_in, 1, most) : 1;
  run_index runs[most];
  if (!reserve_pages(heap, wanted * pages)) return 0;
  const page_request each{.pages = pages,
                          .state = run_state::slab,
                          .shorter = wanted == 1 && heap.kind != body_kind::object ? shorter : 0,
                          .home = heap.home};
  const std::size_t got = allocate_runs(heap, runs, each, wanted);
  const std::size_t got_pages = got == 0 ? 0 : got * space.runs[runs[0]].pages;
  if (got_pages < wanted * pages) return_pages(heap, wanted * pages - got_pages);
  if (got == 0) return 0;
  // The ends are marked already, under the page heap's lock: it looks at them as neighbours.
  const page_run& first = space.runs[runs[0]];
  if (first.pages > 2) std::fill_n(space.run_of_page + first.page + 1, first.pages - 2, runs[0]);
  for (std::size_t i = got; i-- > 1;) {
    page_run& run = space.runs[runs[i]];
    set_state(run, run_state::held);
    run.next = heap.spare_slabs[0];
    heap.spare_slabs[0] = runs[i];
  }
  heap.spare_pages += got - 1;
  if (heap.kind == body_kind::object) own_run(heap, runs[0]);
  return runs[0];
}

/// Says of all pages of a slab which bin owns them.
void set_owners(const page_run& slab, bin* owner) noexcept {
  const std::size_t first = slab.page;
  const std::size_t end = first + slab.pages;
  bin** const owners = space.owner;
  for (std::size_t page = first; page < end; ++page)
    std::atomic_ref(owners[page]).store(owner, std::memory_order_relaxed);
}

/// Pages for a slab: a spare run of the heap, or new ones, fewer as `shorter` allows.
run_index pages_for_slab(heap_body& heap, std::size_t count, std::uint32_t shorter) noexcept
    ACRE_REQUIRES(heap.lock) {
  if (count <= spare_slab_pages_max) {
    run_index& spare = heap.spare_slabs[count - 1];
    if (spare != 0) {
      const run_index run = spare;
      spare = space.runs[run].next;
      __builtin_prefetch(&space.runs[spare], 1);
      heap.spare_pages -= count;
      return run;
    }
  }
  return fetch_run(heap, count, shorter);
}

/// Whether most blocks that came back lately left whole slabs empty: then longer slabs cost no
/// memory, while among blocks that die one by one each slab, the longer the more, is held by a few.
[[nodiscard]] bool empties_slabs(const heap_body& heap) noexcept ACRE_REQUIRES(heap.lock) {
  return heap.emptied_bytes > heap.given_bytes / 2;
}

/// Counts blocks that came back. Half is forgotten each time that as much came back as there is.
void note_given(heap_body& heap, std::size_t bytes) noexcept ACRE_REQUIRES(heap.lock) {
  heap.given_bytes += bytes;
  if (heap.given_bytes < heap.pages.load(std::memory_order_relaxed) * page_bytes) return;
  heap.given_bytes /= 2;
  heap.emptied_bytes /= 2;
}

/// Short slabs while the class holds little, so that one that is hardly filled wastes little; dense
/// ones later; and long ones, of which fewer are made and taken apart.
slab_shape next_slab_shape(const heap_body& heap, const class_slabs& slabs,
                           const class_shape& shape) noexcept ACRE_REQUIRES(heap.lock) {
  constexpr std::size_t short_slabs = 8;
  constexpr std::size_t long_from_pages = 256;  // a megabyte
  if (slabs.pages >= long_from_pages && empties_slabs(heap)) return shape.long_slab;
  const bool much = slabs.pages >= std::size_t{shape.later_slab.pages} * short_slabs;
  return much ? shape.later_slab : shape.first_slab;
}

run_index new_slab(heap_body& heap, bin& b) noexcept ACRE_REQUIRES(heap.lock) {
  const unsigned size_class = class_of_bin(heap, b);
  class_slabs& slabs = heap.slabs[size_class];
  const class_shape& of_class = class_shapes[size_class];
  slab_shape shape = next_slab_shape(heap, slabs, of_class);
  run_index run = pages_for_slab(heap, shape.pages, of_class.fitting_pages);
  if (run == 0) {
    // There may be memory, or room below a limit, for a shorter one.
    shape = of_class.first_slab;
    run = pages_for_slab(heap, shape.pages, of_class.fitting_pages);
    if (run == 0) return 0;
  }
  page_run& slab = space.runs[run];
  if (slab.pages < shape.pages)
    shape.blocks = static_cast<std::uint16_t>(blocks_in(slab.pages, of_class.bytes));
  set_state(slab, run_state::slab);
  slab.size_class = static_cast<std::uint8_t>(size_class);
  slab.wide = false;
  slab.free_count = shape.blocks;
  slab.block_count = shape.blocks;
  unsigned word = 0;
  for (; word < shape.blocks / 64U; ++word)
    slab.free_bits[word] = ~std::uint64_t{0};
  if (word < 4) slab.free_bits[word++] = (std::uint64_t{1} << shape.blocks % 64U) - 1;
  for (; word < 4; ++word)
    slab.free_bits[word] = 0;
  set_owners(slab, &b);
  slabs.pages += slab.pages;
  slabs.free_slots += shape.blocks;
  heap.free_bytes += std::size_t{shape.blocks} * of_class.bytes;
  list_slab(slabs, run);
  return run;
}

void give_pages_back(heap_body& heap, run_index run) noexcept ACRE_REQUIRES(heap.lock) {
  if (heap.kind == body_kind::object) disown_run(heap, run);
  return_pages(heap, space.runs[run].pages);
  process_pages.release(run);
}

/// Whether the heap's thread has ended, as far as is known.
bool is_left(const heap_body& heap) noexcept ACRE_REQUIRES(heap.lock) {
  return heap.owner.current == nullptr && heap.kind == body_kind::thread;
}

/// Takes an empty slab apart. Its pages become spare if there is room, and a thread to use them.
void drop_slab(heap_body& heap, run_index run) noexcept ACRE_REQUIRES(heap.lock) {
  page_run& slab = space.runs[run];
  class_slabs& slabs = heap.slabs[slab.size_class];
  unlist_slab(slabs, run);
  slabs.pages -= slab.pages;
  slabs.free_slots -= slab.block_count;
  const std::size_t bytes = std::size_t{slab.block_count} * class_shapes[slab.size_class].bytes;
  heap.free_bytes -= bytes;
  heap.emptied_bytes += bytes;
  set_owners(slab, nullptr);
  if (slab.pages > spare_slab_pages_max || heap.kind == body_kind::object || is_left(heap))
    return give_pages_back(heap, run);
  set_state(slab, run_state::held);
  run_index& spare = heap.spare_slabs[slab.pages - 1];
  slab.next = spare;
  spare = run;
  heap.spare_pages += slab.pages;
  if (heap.spare_pages > spare_pages_max(heap)) give_spares_back(heap, slab.pages);
}

/// A slab that became empty goes back, unless it is the last with free slots of its class: a
/// program that frees and allocates one block would take and give it each time.
void slab_is_empty(heap_body& heap, run_index run) noexcept ACRE_REQUIRES(heap.lock) {
  constexpr unsigned kept_pages_max = 4;
  const page_run& slab = space.runs[run];
  const bool last = slab.next == 0 && slab.previous == 0;
  if (!last || slab.pages > kept_pages_max) return drop_slab(heap, run);
  if (is_left(heap)) count_left_empty(heap, heap.left_empty_pages + slab.pages);
}

}  // namespace

constinit std::atomic<std::size_t> pages_left_empty{0};

void count_left_empty(heap_body& heap, std::size_t pages) noexcept {
  pages_left_empty.fetch_add(pages - heap.left_empty_pages, std::memory_order_relaxed);
  heap.left_empty_pages = pages;
}

namespace {

/// A slab of another heap is about to be used; see count_left_empty.
void uncount_left_empty(heap_body& heap, const page_run& slab) noexcept ACRE_REQUIRES(heap.lock) {
  if (slab.free_count != slab.block_count) return;
  const std::size_t counted = heap.left_empty_pages;
  count_left_empty(heap, counted - std::min<std::size_t>(counted, slab.pages));
}

/// Moves up to `count` free slots of a slab to a stack, downwards from `slot`. Returns how many.
std::size_t take_from_slab(heap_body& heap, run_index run, void** slot, std::size_t count) noexcept
    ACRE_REQUIRES(heap.lock) {
  page_run& slab = space.runs[run];
  const std::size_t bytes = class_shapes[slab.size_class].bytes;
  std::byte* const start = space.address_of(slab.page);
  std::size_t left = count;
  const unsigned words = (slab.block_count + 63U) / 64;
  for (unsigned word = 0; word < words && left > 0; ++word) {
    std::uint64_t bits = slab.free_bits[word];
    // Slots next to each other are most often free together: take stretches of ones.
    while (bits != 0 && left > 0) {
      const auto first = static_cast<unsigned>(std::countr_zero(bits));
      const auto stretch =
          std::min<std::size_t>(left, static_cast<std::size_t>(std::countr_one(bits >> first)));
      std::byte* block = start + (word * 64 + first) * bytes;
      for (std::size_t i = 0; i < stretch; ++i, block += bytes)
        *slot-- = block;
      bits &= stretch == 64 ? 0 : ~(((std::uint64_t{1} << stretch) - 1) << first);
      left -= stretch;
    }
    slab.free_bits[word] = bits;
  }
  slab.free_count = static_cast<std::uint16_t>(slab.free_count - (count - left));
  class_slabs& slabs = heap.slabs[slab.size_class];
  slabs.free_slots -= static_cast<std::uint32_t>(count - left);
  if (slab.free_count == 0) unlist_slab(slabs, run);
  return count - left;
}

/// The same for one slot, as most large blocks are taken. Requires: the slab has one.
void* take_one(heap_body& heap, run_index run) noexcept ACRE_REQUIRES(heap.lock) {
  page_run& slab = space.runs[run];
  unsigned word = 0;
  while (slab.free_bits[word] == 0)
    ++word;
  const auto index = word * 64 + static_cast<unsigned>(std::countr_zero(slab.free_bits[word]));
  slab.free_bits[word] &= slab.free_bits[word] - 1;
  --slab.free_count;
  class_slabs& slabs = heap.slabs[slab.size_class];
  --slabs.free_slots;
  if (slab.free_count == 0) unlist_slab(slabs, run);
  return space.address_of(slab.page) + std::size_t{index} * class_shapes[slab.size_class].bytes;
}

/// Takes free slots of the class, downwards from `slot`, in heaps that the thread has sent blocks
/// home to: it has taken over what their threads made. Of a heap whose thread still lives only with
/// `frees_foreign`, since what is taken may keep a slab that would have become empty. Of the same
/// classes as blocks that are kept (foreign.hpp). Never waits. Returns how many.
std::size_t take_from_others(heap_body& heap, const bin& b, void** slot, std::size_t count,
                             bool frees_foreign) noexcept ACRE_REQUIRES(heap.lock) {
  const unsigned size_class = class_of_bin(heap, b);
  const std::size_t bytes = class_shapes[size_class].bytes;
  if (!heap.keeps_foreign || bytes > kept_bytes_max) return 0;
  std::size_t taken = 0;
  for (const remote_batch& batch : heap.batches) {
    heap_body* const other = batch.target;
    if (other == nullptr || taken == count || !may_have_free(other->slabs[size_class])) continue;
    if (!other->lock.try_acquire()) continue;
    const class_slabs& slabs = other->slabs[size_class];
    const std::size_t before = taken;
    const bool has_ended = other->owner.thread == 0;
    while ((frees_foreign || has_ended) && slabs.partial != 0 && taken < count) {
      uncount_left_empty(*other, space.runs[slabs.partial]);
      taken += take_from_slab(*other, slabs.partial, slot - taken, count - taken);
    }
    note_used(*other, static_cast<std::int64_t>((taken - before) * bytes));
    other->lock.release();
  }
  return taken;
}

}  // namespace

std::size_t take_from_slabs(heap_body& heap, bin& b, std::size_t count,
                            bool frees_foreign) noexcept {
  const unsigned size_class = class_of_bin(heap, b);
  class_slabs& slabs = heap.slabs[size_class];
  if (count == 1 && slabs.partial != 0) {
    *++b.top = take_one(heap, slabs.partial);
    note_used(heap, class_shapes[size_class].bytes);
    return 1;
  }
  std::int64_t taken_bytes = 0;
  std::size_t missing = count;
  bool asked_others = false;
  while (missing > 0) {
    run_index run = slabs.partial;
    if (run == 0 && !asked_others) {
      asked_others = true;
      missing -= take_from_others(heap, b, b.top + missing, missing, frees_foreign);
      if (missing == 0) break;
    }
    if (run == 0 && may_borrow(heap, size_class)) {
      run = larger_lender(heap, size_class);
      if (run == 0) {
        missing -= take_wide_blocks(heap, size_class, b.top + missing, missing, taken_bytes);
        if (missing == 0) break;
      }
    }
    if (run == 0) run = new_slab(heap, b);
    if (run == 0) break;
    const std::size_t taken = take_from_slab(heap, run, b.top + missing, missing);
    heap.borrows = heap.borrows || space.runs[run].size_class != size_class;
    taken_bytes +=
        static_cast<std::int64_t>(taken * class_shapes[space.runs[run].size_class].bytes);
    missing -= taken;
  }
  // Close the gap that out of memory left below the blocks.
  if (missing > 0) std::copy(b.top + 1 + missing, b.top + 1 + count, b.top + 1);
  b.top += count - missing;
  note_used(heap, taken_bytes);
  return count - missing;
}

void* take_own(heap_body& heap, bin& b) noexcept {
  const unsigned size_class = class_of_bin(heap, b);
  heap.aligned_classes[size_class / 64] |= std::uint64_t{1} << (size_class % 64);
  run_index run = heap.slabs[size_class].partial;
  if (run == 0) run = new_slab(heap, b);
  if (run == 0) return nullptr;
  note_used(heap, class_shapes[size_class].bytes);
  return take_one(heap, run);
}

namespace {

/// The heap's slab that a block lies in; null when the block was freed before and its page holds
/// none any more.
page_run* slab_of(const heap_body& heap, std::size_t offset) noexcept {
  const std::size_t page = offset >> page_shift;
  const bin* const owner = space.owner[page];
  if (owner == nullptr || body_of(owner) != &heap || is_large_marker(owner)) return nullptr;
  return &space.runs[space.run_of_page[page]];
}

/// Slots of one word of a slab's bits.
struct slot_stretch {
  std::uint32_t first;
  std::uint32_t count;

  [[nodiscard]] std::uint64_t bits() const noexcept {
    return (~std::uint64_t{0} >> (64 - count)) << (first % 64);
  }
};

/// The slots of the blocks from `next` on that lie next to each other in the slab, upwards or
/// downwards, when that of `*next` is `index`. A stretch ends with its word, and with the slab.
slot_stretch stretch_at(void* const* next, void* const* end, std::uint32_t index,
                        std::uintptr_t bytes, std::uint32_t blocks) noexcept {
  if (end - next < 2) return {index, 1};
  const auto step = [next](std::size_t to) {
    return reinterpret_cast<std::uintptr_t>(next[to]) -
           reinterpret_cast<std::uintptr_t>(next[to - 1]);
  };
  const std::uintptr_t direction = step(1);
  const bool up = direction == bytes;
  if (!up && direction != 0 - bytes) return {index, 1};
  const std::uint32_t in_word = index % 64;
  const std::uint32_t room = up ? std::min(64 - in_word, blocks - index) : in_word + 1;
  const auto most = std::min<std::size_t>(room, static_cast<std::size_t>(end - next));
  std::uint32_t count = 1;
  while (count < most && step(count) == direction)
    ++count;
  return {up ? index : index - (count - 1), count};
}

/// Puts the blocks from `next` on that lie in one slab back into it, and returns the first of
/// another. Neighbours in a stack or a batch are most often neighbours in a slab, and most often in
/// the order, or the reverse order, in which they lie there: such stretches go back at once.
void* const* fill_slab(page_run& slab, void* const* next, void* const* end) noexcept {
  const class_shape& shape = class_shapes[slab.size_class];
  const std::uintptr_t bytes = shape.bytes;
  const std::uint64_t reciprocal = shape.reciprocal;
  const std::uint32_t blocks = slab.block_count;
  const std::uintptr_t start = reinterpret_cast<std::uintptr_t>(space.address_of(slab.page));
  const std::size_t room = std::size_t{slab.pages} << page_shift;
  const bool wide = may_hold_wide(slab);
  std::size_t added = 0;
  while (next != end) {
    const std::uintptr_t offset = reinterpret_cast<std::uintptr_t>(*next) - start;
    if (offset >= room) break;
    const auto index = static_cast<std::uint32_t>((offset * reciprocal) >> 32U);
    if (index * bytes != offset || index >= blocks) [[unlikely]] {
      report_misuse(misuse::interior, *next++);
      continue;
    }
    slot_stretch given =
        wide ? slot_stretch{index, 1} : stretch_at(next, end, index, bytes, blocks);
    std::uint64_t& bits = slab.free_bits[index / 64];
    if ((bits & given.bits()) != 0) [[unlikely]] {
      // One of the stretch is free already: find it one by one.
      given = {index, 1};
      if ((bits & given.bits()) != 0) {
        report_misuse(misuse::double_free, *next++);
        continue;
      }
    }
    if (wide) [[unlikely]] {
      if (is_further_slot(slab, index)) {
        report_misuse(misuse::interior, *next++);
        continue;
      }
      added += part_block(slab, index);
    }
    bits |= given.bits();
    added += given.count;
    next += given.count;
  }
  slab.free_count = static_cast<std::uint16_t>(slab.free_count + added);
  return next;
}

/// Fetches what the blocks a few further on need: their slabs' records lie anywhere.
void prefetch_slabs(void* const* blocks, void* const* end) noexcept {
  constexpr std::ptrdiff_t soon = 12;
  constexpr std::ptrdiff_t later = 24;
  if (end - blocks <= soon) return;
  const run_index run = space.run_of_page[space.page_of(blocks[soon])];
  __builtin_prefetch(&space.runs[run], 1);
  prefetch_further(run);
  if (end - blocks <= later) return;
  const std::size_t page = space.page_of(blocks[later]);
  __builtin_prefetch(&space.owner[page]);
  __builtin_prefetch(&space.run_of_page[page]);
}

/// Lists a slab that was full. Where slabs become empty this one soon will, if it is let alone, so
/// those that began earlier are used first.
void relist_slab(const heap_body& heap, class_slabs& slabs, run_index run) noexcept
    ACRE_REQUIRES(heap.lock) {
  if (empties_slabs(heap))
    append_slab(slabs, run);
  else
    list_slab(slabs, run);
}

/// What follows when `added` slots of a slab have become free.
[[gnu::always_inline]] inline void note_added(heap_body& heap, run_index run,
                                              unsigned added) noexcept ACRE_REQUIRES(heap.lock) {
  const page_run& slab = space.runs[run];
  class_slabs& slabs = heap.slabs[slab.size_class];
  slabs.free_slots += added;
  // A full slab is used again only once a 16th is free, or refills would be a block long.
  if (!slab.listed && slab.free_count * 16 >= slab.block_count) relist_slab(heap, slabs, run);
  if (slab.free_count == slab.block_count) slab_is_empty(heap, run);
}

/// Puts the first of the blocks back if the next one lies in another slab, as with most that a
/// program frees at random. Returns its bytes; 0, with nothing done, when it needs a closer look.
[[gnu::always_inline]] inline std::size_t give_first(heap_body& heap, void* const* blocks,
                                                     void* const* end) noexcept
    ACRE_REQUIRES(heap.lock) {
  const auto address = reinterpret_cast<std::uintptr_t>(*blocks);
  const std::size_t page = (address - space.base) >> page_shift;
  const auto in_bins = reinterpret_cast<std::uintptr_t>(space.owner[page]) -
                       reinterpret_cast<std::uintptr_t>(heap.bins);
  if (in_bins >= sizeof heap.bins) [[unlikely]]
    return 0;
  const class_shape& shape = class_shapes[in_bins / sizeof(bin)];
  const std::uintptr_t bytes = shape.bytes;
  const run_index run = space.run_of_page[page];
  page_run& slab = space.runs[run];
  const auto start = reinterpret_cast<std::uintptr_t>(space.address_of(slab.page));
  if (end - blocks > 1 &&
      reinterpret_cast<std::uintptr_t>(blocks[1]) - start < std::size_t{slab.pages} << page_shift)
    return 0;
  const std::uintptr_t offset = address - start;
  const std::uintptr_t index = (offset * shape.reciprocal) >> 32U;
  if (index * bytes != offset || index >= slab.block_count) [[unlikely]]
    return 0;
  const bool wide = may_hold_wide(slab);
  if (wide && is_further_slot(slab, index)) return 0;
  std::uint64_t& bits = slab.free_bits[index / 64];
  const std::uint64_t bit = std::uint64_t{1} << (index % 64);
  if ((bits & bit) != 0) [[unlikely]]
    return 0;
  bits |= bit;
  const unsigned slots = 1 + (wide ? part_block(slab, index) : 0);
  slab.free_count = static_cast<std::uint16_t>(slab.free_count + slots);
  note_added(heap, run, slots);
  return slots * bytes;
}

}  // namespace

void give_to_slabs(heap_body& heap, void* const* blocks, std::size_t count) noexcept {
  void* const* const end = blocks + count;
  std::int64_t given_bytes = 0;
  bool scattered = true;
  while (blocks != end) {
    if (scattered) {
      prefetch_slabs(blocks, end);
      if (const std::size_t bytes = give_first(heap, blocks, end); bytes != 0) {
        given_bytes += static_cast<std::int64_t>(bytes);
        ++blocks;
        continue;
      }
    }
    void* const* const first = blocks;
    page_run* const slab = slab_of(heap, reinterpret_cast<std::uintptr_t>(*blocks) - space.base);
    if (slab == nullptr) [[unlikely]] {
      report_misuse(misuse::double_free, *blocks++);
      continue;
    }
    const unsigned before = slab->free_count;
    blocks = fill_slab(*slab, blocks, end);
    // Blocks that lie together need no help.
    scattered = blocks - first < 2;
    const unsigned after = slab->free_count;
    given_bytes += static_cast<std::int64_t>(std::size_t{after - before} *
                                             class_shapes[slab->size_class].bytes);
    note_added(heap, static_cast<run_index>(slab - space.runs), after - before);
  }
  note_used(heap, -given_bytes);
  note_given(heap, static_cast<std::size_t>(given_bytes));
}

void flush_oldest(heap_body& heap, bin& b, std::size_t count) noexcept {
  ACRE_ASSERT(count <= cached(b));
  if (count == 0) return;
  void** const first = b.base + 1;
  void** next = first + count;
  void** own = next;
  if (heap.keeps_foreign) {
    next = first;
    own = first;
    for (; next != first + count; ++next) {
      bin* const owner = space.owner[space.page_of(*next)];
      if (!is_foreign(heap, b, owner))
        *own++ = *next;
      else if (!try_send_home(heap, *owner, *next))
        break;
    }
  }
  give_to_slabs(heap, first, static_cast<std::size_t>(own - first));
  std::copy(next, b.top + 1, first);
  b.top -= next - first;
  limit_grant(b);
}

void flush_all(heap_body& heap) noexcept {
  for_each_used_bin(heap, [&heap](bin& b) ACRE_NO_THREAD_SAFETY_ANALYSIS {
    flush_oldest(heap, b, cached(b));
    if (cached(b) == 0 && is_deep(heap, b)) leave_deep_stack(heap, b);
  });
  drop_empty_slabs(heap);
}

void drop_empty_slabs(heap_body& heap) noexcept {
  for_each_used_bin(heap, [&heap](bin& b) ACRE_NO_THREAD_SAFETY_ANALYSIS {
    for (run_index run = heap.slabs[class_of_bin(heap, b)].partial; run != 0;) {
      const run_index next = space.runs[run].next;
      if (space.runs[run].free_count == space.runs[run].block_count) drop_slab(heap, run);
      run = next;
    }
  });
  give_all_spares_back(heap);
  count_left_empty(heap, 0);
}

void own_run(heap_body& heap, run_index run) noexcept {
  page_run& r = space.runs[run];
  r.owned_previous = 0;
  r.owned_next = heap.owned;
  if (r.owned_next != 0) space.runs[r.owned_next].owned_previous = run;
  heap.owned = run;
}

void disown_run(heap_body& heap, run_index run) noexcept {
  const page_run& r = space.runs[run];
  if (r.owned_next != 0) space.runs[r.owned_next].owned_previous = r.owned_previous;
  if (r.owned_previous != 0)
    space.runs[r.owned_previous].owned_next = r.owned_next;
  else
    heap.owned = r.owned_next;
}

}  // namespace acre::heaps
