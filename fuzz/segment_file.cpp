/// Fuzz target: the file of a shared segment, opened by its first user, is whatever the input makes
/// of it. It is refused, or it is sound and can be used.
///
/// An even first byte: the rest is the whole file. An odd one: the rest changes a good file, by
/// pieces of two bytes that say where (times 8), one that says how many, and the bytes.
#include <acre/region/shared_segment.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

namespace {

using acre::region::offset_ptr;
using acre::region::segment_recovery;
using acre::region::shared_segment;

void require(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "broken: %s\n", what);
  std::abort();
}

struct item {
  std::array<int, 20> numbers;
};

/// The file of a small segment with a bit of everything in it.
std::vector<std::byte> good_file() {
  auto made = acre::or_throw(
      shared_segment::unnamed("good", {.size_bytes = 48 * 1024, .limit_bytes = 64 * 1024}));
  for (int index = 0; index < 5; ++index)
    (void)acre::or_throw(made.construct<item>("item " + std::to_string(index)));
  auto& link = *acre::or_throw(made.construct<offset_ptr<item>>("link"));
  (void)acre::or_throw(made.construct_at(link));
  made.deallocate(acre::or_throw(made.try_allocate(300)));
  (void)acre::or_throw(made.try_allocate(9000));
  struct stat status{};
  require(fstat(made.descriptor(), &status) == 0, "fstat");
  const auto* const first = static_cast<const std::byte*>(made.base());
  return {first, first + status.st_size};
}

std::vector<std::byte> file_of(std::span<const std::uint8_t> input) {
  const bool is_whole = input.empty() || input[0] % 2 == 0;
  if (!input.empty()) input = input.subspan(1);
  if (is_whole) {
    const auto bytes = std::as_bytes(input);
    return {bytes.begin(), bytes.end()};
  }
  static const std::vector<std::byte> good = good_file();
  std::vector<std::byte> file = good;
  while (input.size() > 3) {
    const std::size_t at = (input[0] + 256U * input[1]) * 8U % file.size();
    const std::size_t count = std::min({std::size_t{input[2]}, input.size() - 3, file.size() - at});
    std::memcpy(file.data() + at, input.data() + 3, count);
    input = input.subspan(3 + count);
  }
  return file;
}

void use(shared_segment& segment) {
  std::vector<std::string> names;
  require(
      segment.for_each_name([&](std::string_view name, std::size_t) { names.emplace_back(name); })
          .has_value(),
      "names can be listed");
  for (const std::string& name : names) {
    if (segment.find<item>(name)) {
      require(segment.destroy<item>(name).has_value(), "what is found can be destroyed");
    }
  }
  std::vector<void*> blocks;
  for (std::size_t size = 16; size < 20'000; size += size / 2) {
    if (const auto block = segment.try_allocate(size)) {
      std::memset(*block, 1, size);
      blocks.push_back(*block);
    }
  }
  (void)segment.construct<item>("new item");
  for (void* const block : blocks)
    segment.deallocate(block);
  require(segment.sweep([](const void*, std::size_t) { return false; }).has_value(), "swept");
  const auto sound = segment.check_invariants();
  require(sound.has_value(), sound ? "" : sound.error().why);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::vector<std::byte> bytes = file_of({data, size});
  const int file = memfd_create("fuzz", MFD_CLOEXEC);
  require(write(file, bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size()), "write");
  acre::region::segment_use how;
  how.on_recovery = [](shared_segment& segment, const segment_recovery&) {
    require(segment.check_invariants().has_value(), "the segment is whole in the callback");
  };
  auto opened = shared_segment::of_descriptor(file, std::move(how));
  if (opened) {
    const auto sound = opened->check_invariants();
    require(sound.has_value(), sound ? "" : sound.error().why);
    use(*opened);
  }
  close(file);
  return 0;
}
