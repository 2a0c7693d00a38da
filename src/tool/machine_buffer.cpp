#include "tool/machine_buffer.hpp"

#include "tool/error.hpp"
#include "tool/machine_kernel_files.hpp"
#include "tool/units.hpp"

#include <array>
#include <cerrno>
#include <cstring>
#include <sstream>

#include <fmt/format.h>
#include <linux/mempolicy.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace acre::tool {
namespace {

constexpr std::size_t huge_page_bytes = std::size_t{2} << 20;

[[noreturn]] void refuse(const char* call, std::size_t size_bytes) {
  throw error(exit_code::misuse, fmt::format("no {} to measure on: {}: {}; --quick needs less",
                                             format_bytes(size_bytes), call, std::strerror(errno)));
}

void bind_to_node(void* start, std::size_t size_bytes, unsigned node) {
  constexpr std::size_t node_max = 1024;
  constexpr std::size_t word_bits = 8 * sizeof(unsigned long);
  std::array<unsigned long, node_max / word_bits> nodes{};
  nodes.at(node / word_bits) = 1UL << node % word_bits;
  if (::syscall(SYS_mbind, start, size_bytes, MPOL_BIND, nodes.data(), node_max, 0) != 0)
    refuse("mbind", size_bytes);
}

}  // namespace

test_buffer::test_buffer(std::size_t size_bytes, page_wish wish, std::optional<unsigned> node)
    : size_bytes_(size_bytes), mapping_bytes_(size_bytes + huge_page_bytes) {
  constexpr int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
  mapping_ = ::mmap(nullptr, mapping_bytes_, PROT_READ | PROT_WRITE, flags, -1, 0);
  if (mapping_ == MAP_FAILED) refuse("mmap", size_bytes);
  const auto address = reinterpret_cast<std::uintptr_t>(mapping_);
  start_ = static_cast<std::byte*>(mapping_) + (-address & (huge_page_bytes - 1));
  // A kernel without transparent huge pages refuses both, and gives small ones.
  ::madvise(start_, size_bytes_, wish == page_wish::huge ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
  if (node) bind_to_node(start_, size_bytes_, *node);
  std::memset(start_, 1, size_bytes_);
}

test_buffer::~test_buffer() {
  ::munmap(mapping_, mapping_bytes_);
}

std::uint64_t test_buffer::huge_bytes() const {
  // The advice has made the buffer a mapping of its own, so its line begins with its address.
  const auto head = fmt::format("{:08x}-", reinterpret_cast<std::uintptr_t>(start_));
  std::istringstream lines(read_kernel_file("/proc/self/smaps"));
  bool is_ours = false;
  for (std::string line; std::getline(lines, line);) {
    if (line.find('-') < line.find(' ')) is_ours = line.starts_with(head);
    if (is_ours && line.starts_with("AnonHugePages:"))
      return find_number(line, "AnonHugePages").value_or(0) * 1024;
  }
  return 0;
}

}  // namespace acre::tool
