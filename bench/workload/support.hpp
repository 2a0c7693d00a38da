// What the workloads share: a random number generator, blocks that are touched and read back,
// threads, and memory for bookkeeping that the allocator under test does not see.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <new>
#include <thread>
#include <utility>
#include <vector>

#include <sys/mman.h>

namespace acre::bench {

/// xorshift64*: a few cycles a number, so that the allocator and not the generator is measured.
class random_source {
 public:
  explicit random_source(std::uint64_t seed) : state_{seed * 0x9E3779B97F4A7C15U + 1} {}

  std::uint64_t next() {
    state_ ^= state_ >> 12U;
    state_ ^= state_ << 25U;
    state_ ^= state_ >> 27U;
    return state_ * 0x2545F4914F6CDD1DU;
  }

  /// Uniform in [0, end). Requires: 0 < `end` < 2^32.
  std::size_t below(std::size_t end) { return ((next() >> 32U) * end) >> 32U; }

  /// Uniform in [first, last].
  std::size_t between(std::size_t first, std::size_t last) {
    return first + below(last - first + 1);
  }

  /// In [first, last], each doubling equally likely: many small sizes and few large ones.
  std::size_t skewed(std::size_t first, std::size_t last) {
    std::size_t doublings = 0;
    while ((first << (doublings + 1)) <= last)
      ++doublings;
    const std::size_t low = first << below(doublings + 1);
    const std::size_t high = low * 2 - 1 < last ? low * 2 - 1 : last;
    return between(low, high);
  }

 private:
  std::uint64_t state_;
};

[[noreturn]] inline void die(const char* why) {
  std::fprintf(stderr, "acre-workloads: %s\n", why);
  std::_Exit(3);
}

/// Keeps the compiler from removing what made `pointer` or reasoning about what it points to.
inline void keep(const void* pointer) {
  asm volatile("" : : "r"(pointer) : "memory");
}

/// Writes `tag` into each cache line of the block, as a program that fills it would touch them.
inline void touch(void* block, std::size_t size_bytes, std::uint8_t tag) {
  auto* bytes = static_cast<std::uint8_t*>(block);
  for (std::size_t at = 0; at < size_bytes; at += 64)
    bytes[at] = tag;
  bytes[size_bytes - 1] = tag;
  keep(block);
}

/// A block and its size. Plain, so that tables of them can live outside the heap.
struct block {
  std::uint8_t* data = nullptr;
  std::size_t size_bytes = 0;
};

inline block make_block(std::size_t size_bytes, std::uint64_t tag) {
  void* data = std::malloc(size_bytes);
  if (data == nullptr) die("malloc returned null");
  touch(data, size_bytes, static_cast<std::uint8_t>(tag));
  return {static_cast<std::uint8_t*>(data), size_bytes};
}

/// Frees the block and returns what was read from its two ends; 0 for an empty one.
inline std::uint64_t drop_block(block& old) {
  if (old.data == nullptr) return 0;
  const std::uint64_t sum = 1U + old.data[0] + 256U * old.data[old.size_bytes - 1];
  std::free(old.data);
  old = {};
  return sum;
}

/// A zeroed table outside the heap, for bookkeeping that would otherwise be part of the result.
template <typename T>
class off_heap_table {
 public:
  explicit off_heap_table(std::size_t count) : count_{count} {
    void* start = ::mmap(nullptr, count * sizeof(T), PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (start == MAP_FAILED) die("mmap failed");
    data_ = static_cast<T*>(start);
  }
  off_heap_table(const off_heap_table&) = delete;
  off_heap_table& operator=(const off_heap_table&) = delete;
  ~off_heap_table() { ::munmap(data_, count_ * sizeof(T)); }

  T& operator[](std::size_t index) { return data_[index]; }
  [[nodiscard]] std::size_t size() const { return count_; }
  T* begin() { return data_; }
  T* end() { return data_ + count_; }

 private:
  T* data_;
  std::size_t count_;
};

/// Runs `work(index)` on `count` threads at once and returns the sum of what they return.
/// One thread means the calling one, so that a row for one thread is a program without threads.
template <typename Work>
std::uint64_t on_threads(std::size_t count, Work work) {
  if (count == 1) return work(std::size_t{0});
  std::vector<std::uint64_t> sums(count * 8);  // a cache line each
  std::vector<std::thread> threads;
  threads.reserve(count);
  for (std::size_t index = 0; index < count; ++index)
    threads.emplace_back([&sums, &work, index] { sums[index * 8] = work(index); });
  std::uint64_t sum = 0;
  for (std::size_t index = 0; index < count; ++index) {
    threads[index].join();
    sum += sums[index * 8];
  }
  return sum;
}

/// Seconds since it was made.
class stopwatch {
 public:
  [[nodiscard]] double seconds() const {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
  }

 private:
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

/// Resident set of this process in KiB, read without allocating.
[[nodiscard]] long resident_kib();

}  // namespace acre::bench
