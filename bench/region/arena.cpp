/// Bump allocation: 4096 allocations with a write of one byte each, then a reset; against a loop
/// that cannot be shorter, and the arenas of other libraries.
#include <acre/region/arena.hpp>

#include "timing.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <memory_resource>
#include <vector>

#if BENCH_WITH_BOOST
#include <boost/container/pmr/monotonic_buffer_resource.hpp>
#endif
#if BENCH_WITH_PROTOBUF
#include <google/protobuf/arena.h>
#endif

#include <stdlib.h>

namespace {

constexpr std::size_t count = 4096;
constexpr std::size_t buffer_bytes = std::size_t{4} << 20U;

/// Sizes that the compiler knows, or a table of mixed ones.
template <std::size_t Size>
struct fixed {
  static constexpr std::size_t at(std::size_t) { return Size; }
};
struct mixed {
  static inline std::array<std::uint16_t, count> sizes{};
  static std::size_t at(std::size_t index) { return sizes[index]; }
};

/// The limit: align, compare, add.
struct hand_written {
  std::byte* begin;
  std::byte* end;
  std::byte* cursor;
  explicit hand_written(std::vector<std::byte>& buffer)
      : begin(buffer.data()), end(begin + buffer.size()), cursor(begin) {}
  void* allocate(std::size_t size, std::size_t alignment) {
    const auto number = reinterpret_cast<std::uintptr_t>(cursor);
    auto* const start = reinterpret_cast<std::byte*>((number + alignment - 1) & ~(alignment - 1));
    if (size > static_cast<std::size_t>(end - start)) return nullptr;
    cursor = start + size;
    return start;
  }
};

template <class Sizes, class Allocate>
void fill(Allocate allocate) {
  for (std::size_t index = 0; index < count; ++index) {
    auto* const data = static_cast<volatile char*>(allocate(Sizes::at(index)));
    *data = 1;
  }
}

template <class Sizes>
void compare(const char* title, int rounds, std::size_t repetitions) {
  std::vector<std::byte> buffer(buffer_bytes);
  hand_written limit(buffer);
  acre::region::arena own({.first_block_bytes = buffer_bytes});
  std::pmr::memory_resource* own_base = &own;
  bench::keep(&own_base);
  std::vector<bench::contender> contenders;
  const std::size_t operations = count * repetitions;
  const auto add = [&](const char* name, auto once) {
    contenders.push_back({name,
                          [once, repetitions] {
                            for (std::size_t left = repetitions; left > 0; --left)
                              once();
                          },
                          operations});
  };
  add("hand-written bump loop", [&] {
    fill<Sizes>([&](std::size_t size) { return limit.allocate(size, 8); });
    limit.cursor = limit.begin;
  });
  add("acre arena, inline", [&] {
    fill<Sizes>([&](std::size_t size) { return own.allocate(size, 8); });
    own.reset();
  });
  add("acre arena, through memory_resource*", [&] {
    fill<Sizes>([&](std::size_t size) { return own_base->allocate(size, 8); });
    own.reset();
  });
  add("std::pmr::monotonic, own buffer, static type", [&] {
    std::pmr::monotonic_buffer_resource theirs(buffer.data(), buffer.size());
    fill<Sizes>([&](std::size_t size) { return theirs.allocate(size, 8); });
  });
  add("std::pmr::monotonic, through memory_resource*", [&] {
    std::pmr::monotonic_buffer_resource theirs(buffer.data(), buffer.size());
    std::pmr::memory_resource* base = &theirs;
    bench::keep(&base);
    fill<Sizes>([&](std::size_t size) { return base->allocate(size, 8); });
  });
#if BENCH_WITH_BOOST
  add("Boost.Container pmr monotonic", [&] {
    boost::container::pmr::monotonic_buffer_resource theirs(buffer.data(), buffer.size());
    fill<Sizes>([&](std::size_t size) { return theirs.allocate(size, 8); });
  });
#endif
#if BENCH_WITH_PROTOBUF
  add("protobuf Arena, initial block", [&] {
    google::protobuf::ArenaOptions options;
    options.initial_block = reinterpret_cast<char*>(buffer.data());
    options.initial_block_size = buffer.size();
    google::protobuf::Arena theirs(options);
    fill<Sizes>([&](std::size_t size) {
      return google::protobuf::Arena::CreateArray<char>(&theirs, size);
    });
  });
#endif
  std::vector<void*> live(count);
  add("glibc malloc and free", [&] {
    std::size_t next = 0;
    fill<Sizes>([&](std::size_t size) { return live[next++] = std::malloc(size); });
    for (void* const data : live)
      std::free(data);
  });
  bench::print(title, bench::measure(contenders, rounds), "ns", 1);
  bench::checksum += own.statistics().resets;
}

}  // namespace

int main(int argument_count, char** arguments) {
  const bool is_smoke = bench::is_smoke(argument_count, arguments);
  const int rounds = is_smoke ? 1 : 15;
  const std::size_t repetitions = is_smoke ? 1 : 100;
  for (std::size_t index = 0; index < count; ++index)
    mixed::sizes[index] = static_cast<std::uint16_t>(16 + (index * 2'654'435'761U >> 7U) % 241);
  compare<fixed<16>>("Arena, 16 bytes", rounds, repetitions);
  compare<fixed<64>>("Arena, 64 bytes", rounds, repetitions);
  compare<fixed<256>>("Arena, 256 bytes", rounds, repetitions);
  compare<mixed>("Arena, 16 to 256 bytes", rounds, repetitions);
  std::printf("\nchecksum %zu\n", bench::checksum);
  return 0;
}
