/// A cache that drops what was not used for longest, with its entries in a pool: constant memory,
/// constant time, and no call of malloc once it is full.
#include <acre/region/buffer_source.hpp>
#include <acre/region/pool.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <string>

namespace {

namespace region = acre::region;

/// Squares by number; the entries hold their own links.
class lru_cache {
 public:
  lru_cache(region::source& from, std::size_t capacity)
      : entries_({.from = &from, .name = "cache"}), capacity_(capacity) {}

  /// The value of `key`, computed when it is not there.
  std::uint64_t get(std::uint64_t key) {
    entry*& bucket = buckets_[key % buckets_.size()];
    for (entry* found = bucket; found != nullptr; found = found->next_in_bucket) {
      if (found->key != key) continue;
      ++hits_;
      unlink(found);
      link_newest(found);
      return found->value;
    }
    if (entries_.size() == capacity_) drop(oldest_);
    entry* const made = entries_.construct(key, key * key, buckets_[key % buckets_.size()]);
    buckets_[key % buckets_.size()] = made;
    link_newest(made);
    return made->value;
  }

  [[nodiscard]] std::size_t hits() const { return hits_; }
  [[nodiscard]] region::pool_statistics statistics() const { return entries_.statistics(); }

 private:
  struct entry {
    std::uint64_t key;
    std::uint64_t value;
    entry* next_in_bucket;
    entry* newer = nullptr;
    entry* older = nullptr;
    entry(std::uint64_t number, std::uint64_t square, entry* next) noexcept
        : key(number), value(square), next_in_bucket(next) {}
  };

  void link_newest(entry* made) {
    made->newer = nullptr;
    made->older = newest_;
    (newest_ != nullptr ? newest_->newer : oldest_) = made;
    newest_ = made;
  }

  void unlink(entry* gone) {
    (gone->newer != nullptr ? gone->newer->older : newest_) = gone->older;
    (gone->older != nullptr ? gone->older->newer : oldest_) = gone->newer;
  }

  void drop(entry* gone) {
    unlink(gone);
    entry** link = &buckets_[gone->key % buckets_.size()];
    while (*link != gone)
      link = &(*link)->next_in_bucket;
    *link = gone->next_in_bucket;
    entries_.destroy(gone);
  }

  region::object_pool<entry> entries_;
  std::size_t capacity_;
  std::array<entry*, 1024> buckets_{};
  entry* newest_ = nullptr;
  entry* oldest_ = nullptr;
  std::size_t hits_ = 0;
};

}  // namespace

int main() {
  // All of the cache's memory: no heap is touched.
  alignas(65'536) static std::array<std::byte, 131'072> memory;
  region::buffer_source from(memory);
  lru_cache squares(from, 1000);
  bool is_right = true;
  for (std::uint64_t round = 0; round < 100'000; ++round) {
    // Half of the questions are about few numbers.
    const std::uint64_t key = round % 2 == 0 ? round % 100 : round * 7919 % 10'007;
    is_right = is_right && squares.get(key) == key * key;
  }
  const region::pool_statistics used = squares.statistics();
  std::printf("hits %zu of 100000, entries %zu, memory %zu bytes\n", squares.hits(),
              used.live_blocks, used.held_bytes);
  return is_right && squares.hits() > 49'000 ? 0 : 1;
}
