// Parts of `acre machine` that judge figures, on figures that are known: steps of curves, decoding
// of CPUID and control groups of other machines than this one.

#include "tool/machine_chase.hpp"
#include "tool/machine_figure.hpp"
#include "tool/machine_kernel_files.hpp"
#include "tool/machine_latency.hpp"
#include "tool/machine_levels.hpp"
#include "tool/machine_stream.hpp"
#include "tool/machine_text.hpp"
#include "tool/machine_tlb.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>
#include <sstream>

#include <gtest/gtest.h>
namespace acre::tool {
namespace {

constexpr std::uint64_t kib = 1024;
constexpr std::uint64_t mib = 1024 * kib;

figure fixed(double ns) {
  return {ns, ns, ns, 1};
}

cache_facts cache(const char* name, std::uint64_t size_bytes) {
  cache_facts facts;
  facts.name = name;
  facts.kind = "unified";
  facts.size_bytes = size_bytes;
  facts.line_bytes = 64;
  facts.is_here = true;
  return facts;
}

/// A curve as a processor with these caches gives it: the parts that do not fit come from behind.
std::vector<curve_point> curve_of(const std::vector<std::pair<std::uint64_t, double>>& levels,
                                  double memory_ns, int points_per_octave) {
  std::vector<curve_point> points;
  for (const auto size : set_sizes(4 * kib, 256 * mib, 128, points_per_octave)) {
    double ns = memory_ns;
    for (auto level = levels.rbegin(); level != levels.rend(); ++level) {
      const double fits = std::min(1.0, double(level->first) / double(size));
      const double hits =
          fits < 1 ? std::max(0.0, 2 * fits - 1) : 1;  // most lines are evicted early
      ns = hits * level->second + (1 - hits) * ns;
    }
    points.push_back({size, fixed(ns)});
  }
  return points;
}

TEST(machine_steps, are_found_at_the_ends_of_caches) {
  const std::vector<cache_facts> caches{cache("L1d", 48 * kib), cache("L2", 2 * mib),
                                        cache("L3", 36 * mib)};
  for (const int density : {2, 4}) {
    auto steps =
        find_steps(curve_of({{48 * kib, 1.0}, {2 * mib, 4.0}, {36 * mib, 20.0}}, 100, density));
    name_steps(steps, caches);
    ASSERT_EQ(steps.size(), 3U);
    for (std::size_t index = 0; index < 3; ++index) {
      EXPECT_EQ(steps[index].cause, caches[index].name);
      EXPECT_FALSE(steps[index].is_part);
      const double ratio = double(steps[index].size_bytes) / double(caches[index].size_bytes);
      EXPECT_GT(ratio, 0.7);
      EXPECT_LT(ratio, 1.9);
    }
  }
}

TEST(machine_steps, of_a_part_of_a_cache_name_it_as_a_part) {
  auto steps = find_steps(curve_of({{32 * kib, 1.0}, {1 * mib, 4.0}, {6 * mib, 15.0}}, 150, 4));
  name_steps(steps, {cache("L1d", 32 * kib), cache("L2", mib), cache("L3", 32 * mib)});
  ASSERT_EQ(steps.size(), 3U);
  EXPECT_EQ(steps[2].cause, "L3");
  EXPECT_TRUE(steps[2].is_part);
  EXPECT_EQ(steps[2].described, 32 * mib);
}

TEST(machine_steps, share_no_cache) {
  std::vector<curve_step> steps(2);
  steps[0].size_bytes = 700 * kib;
  steps[1].size_bytes = 1900 * kib;
  name_steps(steps, {cache("L2", mib), cache("L3", 32 * mib)});
  EXPECT_EQ(steps[0].cause, "L2");
  EXPECT_EQ(steps[1].cause, "L3");
  EXPECT_TRUE(steps[1].is_part);
}

TEST(machine_steps, are_none_on_a_flat_or_slowly_growing_curve) {
  std::vector<curve_point> points;
  double ns = 5;
  for (const auto size : set_sizes(4 * kib, 64 * mib, 128, 4)) {
    points.push_back({size, fixed(ns)});
    ns *= points.size() % 2 == 0 ? 1.06 : 0.99;
  }
  EXPECT_TRUE(find_steps(points).empty());
  EXPECT_TRUE(find_steps({}).empty());
}

TEST(machine_steps, of_pages_are_told_from_those_of_lines) {
  machine_description machine;
  machine.memory.page_bytes = 4096;
  machine.caches = {cache("L1d", 32 * kib)};
  machine.tlbs = {{1, "data", "4K", 64, -1}, {1, "instruction", "4K", 500, 4}};
  std::vector<curve_step> steps(2);
  steps[0].size_bytes = 70 * 4096;
  steps[1].size_bytes = 500 * 4096;
  name_page_steps(steps, machine);
  EXPECT_EQ(steps[0].cause, "entries of the TLB of level 1");
  EXPECT_EQ(steps[0].described, 64U);
  EXPECT_EQ(steps[1].cause, "lines of L1d");
  EXPECT_EQ(steps[1].described, 512U);
}

TEST(machine_steps, of_pages_take_each_cause_once) {
  machine_description machine;
  machine.memory.page_bytes = 4096;
  machine.caches = {cache("L1d", 32 * kib)};
  machine.tlbs = {{1, "data", "4K", 64, -1}};
  std::vector<curve_step> steps(2);
  steps[0].size_bytes = 500 * 4096;
  steps[1].size_bytes = 900 * 4096;
  name_page_steps(steps, machine);
  EXPECT_EQ(steps[0].cause, "lines of L1d");
  EXPECT_EQ(steps[1].cause, "");
}

TEST(machine_steps, of_pages_have_no_cause_where_no_tlb_is_described) {
  machine_description machine;
  machine.memory.page_bytes = 4096;
  machine.caches = {cache("L1d", 32 * kib)};
  std::vector<curve_step> steps(1);
  steps[0].size_bytes = 500 * 4096;
  name_page_steps(steps, machine);
  EXPECT_EQ(steps[0].cause, "");
}

TEST(machine_levels, take_the_middle_of_each_plateau) {
  const std::vector<cache_facts> caches{cache("L1d", 32 * kib), cache("L2", mib)};
  const auto points = curve_of({{32 * kib, 1.0}, {mib, 4.0}}, 100, 4);
  const auto levels = find_levels(points, {}, caches);
  ASSERT_EQ(levels.size(), 3U);
  EXPECT_NEAR(levels[0].ns.value(), 1.0, 0.01);
  EXPECT_NEAR(levels[1].ns.value(), 4.0, 0.01);
  EXPECT_NEAR(levels[2].ns.value(), 100, 1);
  EXPECT_FALSE(find_levels({}, {}, caches)[0].ns);
}

TEST(machine_figure, summarizes) {
  const auto odd = summarize({3, 1, 2});
  EXPECT_EQ((std::array{odd.minimum, odd.median, odd.maximum}), (std::array{1.0, 2.0, 3.0}));
  EXPECT_EQ(odd.spread(), 1.0);
  EXPECT_EQ(summarize({4, 2}).median, 3.0);
  EXPECT_EQ(summarize({}).repetitions, 0U);
}

TEST(machine_sets, are_evenly_spaced_and_whole) {
  const auto sizes = set_sizes(4096, 65536, 128, 4);
  EXPECT_EQ(sizes.front(), 4096U);
  EXPECT_EQ(sizes.back(), 65536U);
  EXPECT_EQ(sizes.size(), 17U);
  for (const auto size : sizes)
    EXPECT_EQ(size % 128, 0U);
}

TEST(machine_chase, visits_every_place_once_before_it_returns) {
  alignas(4096) static std::array<std::byte, 64 * 4096> memory;
  for (const std::size_t stride : {std::size_t{64}, std::size_t{4096}}) {
    memory.fill(std::byte{});
    chase cycle(memory, memory.size(), {stride, 64});
    EXPECT_EQ(cycle.places(), memory.size() / stride);
    // Follow the links by hand from any of them.
    std::vector<std::size_t> seen;
    const auto* const words = reinterpret_cast<const std::byte* const*>(memory.data());
    std::size_t at = 0;
    while (words[at] == nullptr)
      ++at;
    const auto first = at;
    do {
      seen.push_back(at * sizeof(void*) / stride);
      at = static_cast<std::size_t>(words[at] - memory.data()) / sizeof(void*);
    } while (at != first && seen.size() <= cycle.places());
    std::ranges::sort(seen);
    std::vector<std::size_t> all(cycle.places());
    std::iota(all.begin(), all.end(), std::size_t{0});
    EXPECT_EQ(seen, all);
    EXPECT_GT(cycle.walk(1000), 0);
  }
}

TEST(machine_stream, every_kernel_reads_writes_and_copies_all_of_it) {
  constexpr std::size_t size = 8 * stream_block_bytes;
  for (const auto* kernels : {&portable_stream_kernels(), &widest_stream_kernels()}) {
    alignas(64) std::array<std::byte, size> source{};
    alignas(64) std::array<std::byte, size> target{};
    EXPECT_EQ(kernels->read(source.data(), size, 2), 0U) << kernels->name;
    for (std::size_t index = 0; index < size; ++index) {
      source[index] = std::byte{1};
      EXPECT_NE(kernels->read(source.data(), size, 1), 0U) << kernels->name << index;
      source[index] = std::byte{};
    }
    for (std::size_t index = 0; index < size; ++index)
      source[index] = static_cast<std::byte>(index * 7);
    kernels->copy(target.data(), source.data(), size, 1);
    EXPECT_EQ(source, target) << kernels->name;
    kernels->write(target.data(), size, 5);
    for (std::size_t index = 0; index < size; index += 8) {
      std::uint64_t word = 0;
      std::memcpy(&word, &target[index], 8);
      EXPECT_EQ(word, 5U) << kernels->name << index;
    }
  }
}

std::optional<cpuid_answer> zen_4(std::uint32_t leaf, std::uint32_t /*subleaf*/) {
  switch (leaf) {
    case 0:
      return cpuid_answer{16, 0x68747541, 0x444d4163, 0x69746e65};
    case 0x8000'0005:
      return cpuid_answer{0xff48ff40, 0xff48ff40, 0x20080140, 0x20080140};
    case 0x8000'0006:
      return cpuid_answer{0x5c002200, 0x6c004200, 0x04006140, 0x00800000};
    case 0x8000'0019:
      return cpuid_answer{0xf048f040, 0, 0, 0};
    default:
      return {};
  }
}

/// Skylake-SP: descriptors 63, 76, b5, c3 and 03.
std::optional<cpuid_answer> skylake(std::uint32_t leaf, std::uint32_t /*subleaf*/) {
  if (leaf == 0) return cpuid_answer{0x16, 0x756e6547, 0, 0};
  if (leaf == 2) return cpuid_answer{0x76036301, 0x00f0b5ff, 0, 0x00c30000};
  return {};
}

/// Leaf 0x18 with 16-way data and unified TLBs, then a hole.
std::optional<cpuid_answer> newer_intel(std::uint32_t leaf, std::uint32_t subleaf) {
  if (leaf == 0) return cpuid_answer{0x20, 0x756e6547, 0, 0};
  if (leaf != 0x18) return {};
  switch (subleaf) {
    case 0:
      return cpuid_answer{3, 0, 0, 0};
    case 1:
      return cpuid_answer{0, 0x0006'0001, 16, 0x0000'0021};
    case 2:
      return cpuid_answer{0, 0x0008'0007, 256, 0x0000'0043};
    default:
      return cpuid_answer{0, 0x0001'0001, 0x40, 0x0000'0122};
  }
}

bool has(const std::vector<tlb_facts>& list, const tlb_facts& wanted) {
  return std::ranges::any_of(list, [&](const tlb_facts& each) {
    return each.level == wanted.level && each.kind == wanted.kind && each.pages == wanted.pages &&
           each.entries == wanted.entries && each.ways == wanted.ways;
  });
}

TEST(machine_tlb, decodes_amd) {
  const auto list = read_tlbs(zen_4);
  EXPECT_TRUE(has(list, {1, "data", "4K", 72, -1}));
  EXPECT_TRUE(has(list, {1, "instruction", "4K", 64, -1}));
  EXPECT_TRUE(has(list, {2, "data", "4K", 3072, 8}));
  EXPECT_TRUE(has(list, {2, "instruction", "2M", 512, 2}));
  EXPECT_TRUE(has(list, {1, "data", "1G", 72, -1}));
}

TEST(machine_tlb, decodes_descriptors_of_intel) {
  const auto list = read_tlbs(skylake);
  EXPECT_TRUE(has(list, {1, "data", "4K", 64, 4}));
  EXPECT_TRUE(has(list, {1, "instruction", "4K", 64, 8}));
  EXPECT_TRUE(has(list, {2, "unified", "4K/2M", 1536, 6}));
  EXPECT_TRUE(has(list, {1, "data", "1G", 4, 4}));
}

TEST(machine_tlb, decodes_leaf_24_of_intel) {
  const auto list = read_tlbs(newer_intel);
  ASSERT_EQ(list.size(), 3U);
  EXPECT_TRUE(has(list, {1, "data", "4K", 96, 6}));
  EXPECT_TRUE(has(list, {2, "unified", "4K/2M/4M", 2048, 8}));
  EXPECT_TRUE(has(list, {1, "instruction", "4K", 64, -1}));
}

TEST(machine_tlb, knows_nothing_where_the_processor_tells_nothing) {
  EXPECT_TRUE(read_tlbs([](std::uint32_t, std::uint32_t) -> std::optional<cpuid_answer> {
                return {};
              }).empty());
}

/// Three caches, and both curves.
std::pair<machine_description, machine_measurement> known_machine() {
  machine_description machine;
  machine.caches = {cache("L1d", 32 * kib), cache("L2", mib), cache("L3", 32 * mib)};
  machine_measurement measurement;
  measurement.huge_pages = {"huge pages",
                            curve_of({{32 * kib, 1.0}, {mib, 4.0}, {32 * mib, 15.0}}, 100, 4), ""};
  measurement.small_pages = {"small pages", {}, "time ran out"};
  return {machine, measurement};
}

TEST(machine_curve, is_plain_text_where_the_locale_has_no_unicode) {
  const auto [machine, measurement] = known_machine();
  const auto text = draw_curve(machine, measurement, {}, {.columns = 70, .has_unicode = false});
  EXPECT_TRUE(
      std::ranges::all_of(text, [](char letter) { return letter == '\n' || letter >= ' '; }));
  EXPECT_NE(text.find("L1d"), std::string::npos);
  EXPECT_NE(text.find("100 ns|"), std::string::npos);
  EXPECT_NE(text.find("|***"), std::string::npos);
  EXPECT_NE(text.find("no curve on small pages: time ran out"), std::string::npos);
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);)
    EXPECT_LE(line.size(), 70U) << line;
}

TEST(machine_curve, is_nothing_where_nothing_was_measured) {
  EXPECT_EQ(draw_curve({}, {}, {}, {}), "");
}

TEST(machine_canvas, sets_the_dots_of_braille) {
  dot_canvas canvas(2, 1);
  const dot_canvas empty(2, 1);
  canvas.line(0, 0, 0, 3, 1);  // the left column of the first character
  EXPECT_TRUE(canvas.has(0, 0));
  EXPECT_FALSE(canvas.has(1, 0));
  EXPECT_EQ(canvas.character(0, 0, empty, true), "\u2847");
  EXPECT_EQ(canvas.character(0, 0, empty, false), "*");
  EXPECT_EQ(empty.character(0, 0, canvas, false), "o");
  canvas.line(3, 3, 99, 99, 1);  // what is outside is left out
  EXPECT_EQ(canvas.character(1, 0, empty, true), "\u2880");
}

TEST(machine_words, suit_the_size) {
  EXPECT_EQ(format_ns(1.084), "1.08 ns");
  EXPECT_EQ(format_ns(99.94), "99.9 ns");
  EXPECT_EQ(format_ns(1870), "1.87 us");
  EXPECT_EQ(format_ns(41.2e6), "41.2 ms");
  noise_report noise;
  EXPECT_EQ(describe_trust(noise), "quiet enough to trust the figures");
  noise.reasons = {"a", "b"};
  EXPECT_NE(describe_trust(noise).find("TOO NOISY to trust the figures: a; b"), std::string::npos);
}

TEST(machine_kernel_files, are_read_with_care) {
  EXPECT_EQ(read_kernel_file("/nowhere"), "");
  EXPECT_EQ(find_number("MemTotal:   12 kB\nMemFree: 3 kB\n", "MemFree"), 3U);
  EXPECT_EQ(find_number("MemTotal:   12 kB\n", "Mem"), std::nullopt);
  EXPECT_EQ(find_number("MemTotal: many\n", "MemTotal"), std::nullopt);
  EXPECT_EQ(find_chosen("always [madvise] never"), "madvise");
  EXPECT_EQ(find_chosen("] ["), "");
}

}  // namespace
}  // namespace acre::tool
