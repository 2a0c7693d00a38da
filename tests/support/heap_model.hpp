#pragma once

#include "support/family.hpp"
#include "support/pattern.hpp"

#include <algorithm>
#include <bit>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <vector>

namespace acre_test {

/// What the program holds, and what must be true of it; drives the family with any sequence of
/// calls.
///
/// A broken promise prints what was broken and aborts, so that a fuzzer keeps the input and a
/// random test shows its seed.
///
/// Thread-safety:  one thread uses a model; its blocks may be handed to other models with `give`.
class heap_model {
 public:
  enum class way : std::uint8_t { malloc, calloc, realloc_null, memalign, posix_memalign, count };

  struct block {
    unsigned char* start = nullptr;
    std::size_t size_bytes = 0;
    std::size_t usable_bytes = 0;
    std::uint64_t tag = 0;
  };

  heap_model() = default;
  heap_model(const heap_model&) = delete;
  heap_model& operator=(const heap_model&) = delete;
  ~heap_model() {
    while (count() != 0)
      free(count() - 1);
  }

  [[nodiscard]] std::size_t count() const noexcept { return live_.size(); }
  [[nodiscard]] std::size_t held_bytes() const noexcept { return held_bytes_; }

  /// Requires: `alignment` is a power of two; only the aligned ways look at it.
  void allocate(way how, std::size_t size_bytes, std::size_t alignment) {
    void* start = call(how, size_bytes, alignment);
    if (start == nullptr) return;  // out of memory is a permitted answer
    if (how != way::memalign && how != way::posix_memalign) alignment = natural(size_bytes);
    require(reinterpret_cast<std::uintptr_t>(start) % alignment == 0, "a block is misaligned");
    if (how == way::calloc) require(holds_only(start, size_bytes, 0), "calloc gave dirty memory");
    insert({static_cast<unsigned char*>(start), size_bytes, 0, next_tag_++});
  }

  /// Requires: `index` < count().
  void resize(std::size_t index, std::size_t size_bytes) {
    block old = take(index);
    void* start = family::realloc(old.start, size_bytes);
    if (start == nullptr && size_bytes == 0) return;
    if (start == nullptr) {
      require(holds_pattern(old.start, old.size_bytes, old.tag), "a failed realloc lost contents");
      insert(old);
      return;
    }
    require(holds_pattern(start, std::min(old.size_bytes, size_bytes), old.tag),
            "realloc lost contents");
    require(reinterpret_cast<std::uintptr_t>(start) % natural(size_bytes) == 0,
            "realloc gave a misaligned block");
    insert({static_cast<unsigned char*>(start), size_bytes, 0, next_tag_++});
  }

  /// Requires: `index` < count().
  void free(std::size_t index) {
    const block old = take(index);
    if (old.tag % 4 == 0 && family::has_sized_free()) {
      family::free_sized(old.start, old.size_bytes);
    } else {
      family::free(old.start);
    }
  }

  /// Checks one block without changing it.
  void look(std::size_t index) const { check(live_[index]); }

  void look_at_all() const {
    for (const block& one : live_)
      check(one);
  }

  /// Takes a block out of this model without freeing it. Requires: `index` < count().
  block give(std::size_t index) { return take(index); }
  /// Adds a block that another model gave.
  void receive(const block& given) {
    require(holds_pattern(given.start, given.size_bytes, given.tag), "a block changed on its way");
    insert(given);
  }

 private:
  static void require(bool holds, const char* what) {
    if (holds) return;
    std::fprintf(stderr, "heap model: %s\n", what);
    std::abort();
  }

  static std::size_t natural(std::size_t size_bytes) {
    return size_bytes >= 16 ? 16 : std::bit_floor(std::max<std::size_t>(size_bytes, 1));
  }

  static void* call(way how, std::size_t size_bytes, std::size_t alignment) {
    switch (how) {
      case way::calloc:
        return size_bytes % 8 == 0 ? family::calloc(size_bytes / 8, 8)
                                   : family::calloc(1, size_bytes);
      case way::realloc_null:
        return family::realloc(nullptr, size_bytes);
      case way::memalign:
        return family::memalign(alignment, size_bytes);
      case way::posix_memalign: {
        void* start = nullptr;
        const std::size_t least = std::max(alignment, sizeof(void*));
        return family::posix_memalign(&start, least, size_bytes) == 0 ? start : nullptr;
      }
      case way::malloc:
      case way::count:
        break;
    }
    return family::malloc(size_bytes);
  }

  void check(const block& one) const {
    require(holds_pattern(one.start, one.size_bytes, one.tag), "contents of a live block changed");
    require(family::malloc_usable_size(one.start) == one.usable_bytes, "the usable size changed");
  }

  void insert(block added) {
    added.usable_bytes = family::malloc_usable_size(added.start);
    require(added.usable_bytes >= added.size_bytes, "the usable size is less than the request");
    const auto begin = reinterpret_cast<std::uintptr_t>(added.start);
    const std::uintptr_t end = begin + std::max<std::size_t>(added.usable_bytes, 1);
    const auto after = ranges_.lower_bound(begin);
    require(after == ranges_.end() || after->first >= end, "a block overlaps the next one");
    require(after == ranges_.begin() || std::prev(after)->second <= begin,
            "a block overlaps the one before");
    ranges_.emplace(begin, end);
    fill_pattern(added.start, added.size_bytes, added.tag);
    held_bytes_ += added.size_bytes;
    live_.push_back(added);
  }

  block take(std::size_t index) {
    const block taken = live_[index];
    check(taken);
    ranges_.erase(reinterpret_cast<std::uintptr_t>(taken.start));
    held_bytes_ -= taken.size_bytes;
    live_[index] = live_.back();
    live_.pop_back();
    return taken;
  }

  std::vector<block> live_;
  std::map<std::uintptr_t, std::uintptr_t> ranges_;  ///< begin to end of every live block
  std::size_t held_bytes_ = 0;
  std::uint64_t next_tag_ = 1;
};

}  // namespace acre_test
