#include "tool/machine_tlb.hpp"

#include <algorithm>
#include <array>
#include <string>
#include <string_view>
#include <tuple>

namespace acre::tool {
namespace {

constexpr std::uint32_t vendor_amd = 0x68747541;    // "Auth", in ebx of leaf 0
constexpr std::uint32_t vendor_hygon = 0x6f677948;  // "Hygo"
constexpr std::uint32_t vendor_intel = 0x756e6547;  // "Genu"

constexpr std::uint32_t bits(std::uint32_t value, unsigned last, unsigned first) {
  return value >> first & ((1U << (last - first + 1)) - 1);
}

/// AMD's four-bit code of associativity.
int amd_ways(std::uint32_t code) {
  constexpr std::array<int, 16> ways{0, 1, 2, 3, 4, 6, 8, 0, 16, 0, 32, 48, 64, 96, 128, -1};
  return ways[code & 15];
}

void add(std::vector<tlb_facts>& list, tlb_facts facts) {
  if (facts.entries > 0) list.push_back(std::move(facts));
}

/// A register of leaf 0x80000005: ways and entries of data, then of instructions, in bytes.
void add_amd_first(std::vector<tlb_facts>& list, std::uint32_t value, const char* pages) {
  const auto ways = [](std::uint32_t byte) { return byte == 255 ? -1 : static_cast<int>(byte); };
  add(list, {1, "data", pages, bits(value, 23, 16), ways(bits(value, 31, 24))});
  add(list, {1, "instruction", pages, bits(value, 7, 0), ways(bits(value, 15, 8))});
}

/// A register of leaves 0x80000006 and 0x80000019: a code of four bits and a count of twelve.
void add_amd_coded(std::vector<tlb_facts>& list, std::uint32_t value, unsigned level,
                   const char* pages) {
  add(list, {level, "data", pages, bits(value, 27, 16), amd_ways(bits(value, 31, 28))});
  add(list, {level, "instruction", pages, bits(value, 11, 0), amd_ways(bits(value, 15, 12))});
}

std::vector<tlb_facts> read_amd(cpuid_source ask) {
  std::vector<tlb_facts> list;
  if (const auto first = ask(0x8000'0005, 0)) {
    add_amd_first(list, first->ebx, "4K");
    add_amd_first(list, first->eax, "2M");
  }
  if (const auto second = ask(0x8000'0006, 0)) {
    add_amd_coded(list, second->ebx, 2, "4K");
    add_amd_coded(list, second->eax, 2, "2M");
  }
  if (const auto giant = ask(0x8000'0019, 0)) {
    add_amd_coded(list, giant->eax, 1, "1G");
    add_amd_coded(list, giant->ebx, 2, "1G");
  }
  return list;
}

std::string intel_pages(std::uint32_t mask) {
  constexpr std::array names{"4K", "2M", "4M", "1G"};
  std::string text;
  for (std::size_t bit = 0; bit < names.size(); ++bit)
    if ((mask >> bit & 1) != 0) text += (text.empty() ? "" : "/") + std::string(names[bit]);
  return text;
}

std::vector<tlb_facts> read_intel_structured(cpuid_source ask) {
  std::vector<tlb_facts> list;
  const auto head = ask(0x18, 0);
  // A processor with the leaf but without content answers zeros; more than 64 would be nonsense.
  const std::uint32_t last = head ? std::min(head->eax, 64U) : 0;
  for (std::uint32_t subleaf = 0; head && subleaf <= last; ++subleaf) {
    const auto answer = ask(0x18, subleaf);
    if (!answer) break;
    const auto type = bits(answer->edx, 4, 0);
    if (type == 0) continue;
    // 1 data, 2 instruction, 3 both, 4 loads only, 5 stores only.
    const auto* const kind = type == 2 ? "instruction" : type == 3 ? "unified" : "data";
    const bool is_full = bits(answer->edx, 8, 8) != 0;
    const auto ways = bits(answer->ebx, 31, 16);
    add(list, {bits(answer->edx, 7, 5), kind, intel_pages(answer->ebx), ways * answer->ecx,
               is_full ? -1 : static_cast<int>(ways)});
  }
  return list;
}

struct intel_descriptor {
  std::uint8_t code;
  unsigned level;
  const char* kind;
  const char* pages;
  unsigned entries;
  int ways;
};

/// The descriptors that processors since Nehalem use.
constexpr std::array intel_descriptors{
    intel_descriptor{0x03, 1, "data", "4K", 64, 4},
    intel_descriptor{0x5a, 1, "data", "2M/4M", 32, 4},
    intel_descriptor{0x61, 1, "instruction", "4K", 48, -1},
    intel_descriptor{0x63, 1, "data", "2M/4M", 32, 4},
    intel_descriptor{0x63, 1, "data", "1G", 4, 4},
    intel_descriptor{0x64, 1, "data", "4K", 512, 4},
    intel_descriptor{0x6a, 1, "data", "4K", 64, 8},
    intel_descriptor{0x6b, 2, "data", "4K", 256, 8},
    intel_descriptor{0x6c, 2, "data", "2M/4M", 128, 8},
    intel_descriptor{0x6d, 2, "data", "1G", 16, -1},
    intel_descriptor{0x76, 1, "instruction", "2M/4M", 8, -1},
    intel_descriptor{0xb2, 1, "instruction", "4K", 64, 4},
    intel_descriptor{0xb5, 1, "instruction", "4K", 64, 8},
    intel_descriptor{0xb6, 1, "instruction", "4K", 128, 8},
    intel_descriptor{0xc0, 1, "data", "4K/4M", 8, 4},
    intel_descriptor{0xc1, 2, "unified", "4K/2M", 1024, 8},
    intel_descriptor{0xc2, 1, "data", "4K/2M", 16, 4},
    intel_descriptor{0xc3, 2, "unified", "4K/2M", 1536, 6},
    intel_descriptor{0xc3, 2, "unified", "1G", 16, 4},
    intel_descriptor{0xc4, 1, "data", "2M/4M", 32, 4},
    intel_descriptor{0xca, 2, "unified", "4K", 512, 4},
};

void add_descriptor(std::vector<tlb_facts>& list, std::uint32_t code) {
  for (const auto& each : intel_descriptors)
    if (each.code == code) add(list, {each.level, each.kind, each.pages, each.entries, each.ways});
}

std::vector<tlb_facts> read_intel_descriptors(cpuid_source ask) {
  std::vector<tlb_facts> list;
  const auto answer = ask(2, 0);
  if (!answer) return list;
  for (std::uint32_t value : {answer->eax & ~0xffU, answer->ebx, answer->ecx, answer->edx}) {
    if (bits(value, 31, 31) != 0) continue;  // no descriptors in this register
    for (; value != 0; value >>= 8)
      add_descriptor(list, value & 0xff);
  }
  return list;
}

/// By the smallest page that it holds.
int rank_of_pages(std::string_view pages) {
  const auto has = [&](char unit) { return pages.find(unit) != std::string_view::npos; };
  return has('K') ? 0 : has('M') ? 1 : 2;
}

}  // namespace

std::vector<tlb_facts> read_tlbs(cpuid_source ask) {
  std::vector<tlb_facts> list;
  const auto vendor = ask(0, 0);
  if (!vendor) return list;
  if (vendor->ebx == vendor_amd || vendor->ebx == vendor_hygon) list = read_amd(ask);
  if (vendor->ebx == vendor_intel) {
    list = read_intel_structured(ask);
    if (list.empty()) list = read_intel_descriptors(ask);
  }
  std::ranges::sort(list, {}, [](const tlb_facts& tlb) {
    return std::tuple(tlb.kind == "instruction", tlb.level, rank_of_pages(tlb.pages), tlb.entries);
  });
  return list;
}

std::vector<tlb_facts> describe_tlbs() {
  return read_tlbs(ask_cpuid);
}

}  // namespace acre::tool
