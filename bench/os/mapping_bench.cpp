// What a mapping costs over the bare system calls, and what its members save: acre-os-mapping
// [--smoke]
//
// Both sides of a row run in turn, so that a slow stretch of the machine hits both. A figure is the
// lowest decile of the turns, and the ratio that of the two figures.

#include <acre/os/file_mapping.hpp>
#include <acre/os/guarded_copy.hpp>
#include <acre/os/mapping.hpp>
#include <acre/os/page.hpp>
#include <acre/os/stack.hpp>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string_view>
#include <vector>

#include <sys/mman.h>

namespace {

using namespace acre::os;

constexpr std::size_t mib = std::size_t{1} << 20U;
constexpr std::size_t guard_count = 1024;

struct sizes {
  int turns = 400;
  int pairs = 400;
  int guard_turns = 30;
  int resize_turns = 5;
  std::size_t resize_bytes = 64 * mib;
};

/// Adds up what was touched, so that nothing is optimised away.
std::size_t checksum = 0;

/// The tenth part from below: other load on the machine makes turns slower, never faster.
double low_decile(std::vector<double>& values) {
  const auto place = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 10);
  std::nth_element(values.begin(), place, values.end());
  return *place;
}

template <class Body>
double nanoseconds(Body body) {
  const auto start = std::chrono::steady_clock::now();
  body();
  return std::chrono::duration<double, std::nano>(std::chrono::steady_clock::now() - start).count();
}

/// Runs both bodies in turn; each returns the nanoseconds of one turn.
template <class First, class Second>
void row(const char* what, const char* unit, int turns, double per_turn, First first,
         Second second) {
  std::vector<double> bare, value;
  for (int turn = 0; turn < turns; ++turn) {
    // The one that goes first changes, so that neither always finds the other's leavings.
    if (turn % 2 == 0) {
      bare.push_back(first() / per_turn);
      value.push_back(second() / per_turn);
    } else {
      value.push_back(second() / per_turn);
      bare.push_back(first() / per_turn);
    }
  }
  const double one = low_decile(bare);
  const double other = low_decile(value);
  std::printf("%-46s %12.1f %12.1f  %s   ratio %.3f\n", what, one, other, unit, one / other);
}

void create_and_destroy(const sizes& how, std::size_t size_bytes, const char* what) {
  row(
      what, "ns", how.turns, how.pairs,
      [&] {
        return nanoseconds([&] {
          for (int i = 0; i < how.pairs; ++i) {
            void* const start = ::mmap(nullptr, size_bytes, PROT_READ | PROT_WRITE,
                                       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
            if (start == MAP_FAILED) std::abort();
            checksum += reinterpret_cast<std::uintptr_t>(start) >> 12U;
            if (::munmap(start, size_bytes) != 0) std::abort();
          }
        });
      },
      [&] {
        return nanoseconds([&] {
          for (int i = 0; i < how.pairs; ++i) {
            const auto made = mapping::anonymous(size_bytes);
            if (!made) std::abort();
            checksum += reinterpret_cast<std::uintptr_t>(made->data()) >> 12U;
          }
        });
      });
}

mapping touched(std::size_t size_bytes) {
  auto made = acre::or_throw(mapping::anonymous(size_bytes));
  std::memset(made.data(), 1, made.size());
  return made;
}

/// Guards every second page by mprotect and by `second`: of a new mapping, or of one that is in
/// memory, whose pages a marker gives back.
template <class Guard>
void guards(const sizes& how, bool in_memory, const char* what, Guard second) {
  const std::size_t page = page_size();
  std::vector<byte_range> places;
  for (std::size_t i = 0; i < guard_count; ++i)
    places.push_back({.offset_bytes = 2 * i * page, .size_bytes = page});
  const auto make = [in_memory, size_bytes = 2 * guard_count * page] {
    return in_memory ? touched(size_bytes) : acre::or_throw(mapping::anonymous(size_bytes));
  };
  row(
      what, "ns", how.guard_turns, guard_count,
      [&] {
        mapping made = make();
        return nanoseconds([&] {
          for (const byte_range& place : places) {
            if (::mprotect(made.data() + place.offset_bytes, place.size_bytes, PROT_NONE) != 0) {
              std::abort();
            }
          }
        });
      },
      [&] {
        mapping made = make();
        return nanoseconds([&] { second(made, places); });
      });
}

void all_guards(const sizes& how) {
  mapping probe = touched(page_size());
  if (probe.guard({}) != guard_kind::marker) {
    std::printf("guards: skipped, this kernel has no MADV_GUARD_INSTALL (Linux 6.13)\n");
    return;
  }
  const auto singly = [](mapping& made, const std::vector<byte_range>& places) {
    for (const byte_range& place : places) {
      if (made.guard(place) != guard_kind::marker) std::abort();
    }
  };
  const auto at_once = [](mapping& made, const std::vector<byte_range>& places) {
    if (made.guard_all(places) != guard_kind::marker) std::abort();
  };
  guards(how, false, "guard 1024 new places: mprotect, guard()", singly);
  guards(how, false, "guard 1024 new places: mprotect, guard_all()", at_once);
  guards(how, true, "guard 1024 used places: mprotect, guard()", singly);
  guards(how, true, "guard 1024 used places: mprotect, guard_all()", at_once);
}

/// Doubles a touched mapping by copying and by resize().
void resizing(const sizes& how) {
  row(
      "double a touched mapping: copy, resize()", "ns", how.resize_turns, 1,
      [&] {
        mapping made = touched(how.resize_bytes);
        return nanoseconds([&] {
          mapping larger = acre::or_throw(mapping::anonymous(2 * how.resize_bytes));
          std::memcpy(larger.data(), made.data(), made.size());
          made = std::move(larger);
          checksum += static_cast<std::size_t>(made.data()[0]);
        });
      },
      [&] {
        mapping made = touched(how.resize_bytes);
        return nanoseconds([&] {
          if (!made.resize(2 * how.resize_bytes, resize_policy::may_move)) std::abort();
          checksum += static_cast<std::size_t>(made.data()[0]);
        });
      });
}

void guarded_copies(const sizes& how, std::size_t size_bytes, const char* what) {
  const std::vector<std::byte> from(size_bytes, std::byte{1});
  std::vector<std::byte> to(size_bytes);
  const int copies = static_cast<int>(std::max<std::size_t>(1, mib / size_bytes / 4));
  row(
      what, "ns", how.turns, copies,
      [&] {
        return nanoseconds([&] {
          for (int i = 0; i < copies; ++i) {
            std::memcpy(to.data(), from.data(), size_bytes);
            asm volatile("" : : "r"(to.data()) : "memory");
          }
        });
      },
      [&] {
        return nanoseconds([&] {
          for (int i = 0; i < copies; ++i)
            checksum += guarded_copy(to, from).value_or(0);
        });
      });
}

void stack_buffers(const sizes& how) {
  row(
      "4 KiB buffer: malloc, with_stack_buffer()", "ns", how.turns, how.pairs,
      [&] {
        return nanoseconds([&] {
          for (int i = 0; i < how.pairs; ++i) {
            void* const buffer = std::malloc(4096);
            *static_cast<volatile char*>(buffer) = 1;
            std::free(buffer);
          }
        });
      },
      [&] {
        return nanoseconds([&] {
          for (int i = 0; i < how.pairs; ++i) {
            with_stack_buffer(4096, [](std::span<std::byte> buffer) {
              *static_cast<volatile std::byte*>(buffer.data()) = std::byte{1};
            });
          }
        });
      });
}

}  // namespace

int main(int argc, char** argv) {
  sizes how;
  if (argc == 2 && std::string_view(argv[1]) == "--smoke") {
    how = {.turns = 3, .pairs = 10, .guard_turns = 2, .resize_turns = 1, .resize_bytes = 4 * mib};
  } else if (argc != 1) {
    std::fprintf(stderr, "usage: acre-os-mapping [--smoke]\n");
    return 2;
  }
  std::printf("%-46s %12s %12s\n", "", "without", "with Acre");
  create_and_destroy(how, 4096, "create and destroy 4 KiB: mmap, mapping");
  create_and_destroy(how, 64 * 1024, "create and destroy 64 KiB: mmap, mapping");
  all_guards(how);
  resizing(how);
  guarded_copies(how, 64, "copy 64 B: memcpy, guarded_copy()");
  guarded_copies(how, 4096, "copy 4 KiB: memcpy, guarded_copy()");
  guarded_copies(how, 65536, "copy 64 KiB: memcpy, guarded_copy()");
  stack_buffers(how);
  std::printf("checksum %zu\n", checksum & 0xffffU);
  return 0;
}
