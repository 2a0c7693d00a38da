#include "tool/elf_file.hpp"

#include "tool/file_descriptor.hpp"

#include <array>
#include <bit>
#include <cstddef>
#include <cstring>
#include <type_traits>

#include <elf.h>
#include <fcntl.h>
#include <fmt/format.h>

namespace acre::tool {
namespace {

/// Reads one plain structure at an offset; false when the file ends before its end.
template <class T>
bool read_at(int file, std::uint64_t offset, T& into) {
  static_assert(std::is_trivially_copyable_v<T>);
  if (offset > static_cast<std::uint64_t>(INT64_MAX) - sizeof(T)) return false;
  return ::pread(file, &into, sizeof(T), static_cast<off_t>(offset)) ==
         static_cast<ssize_t>(sizeof(T));
}

/// Follows the program headers to PT_INTERP; the two ELF classes differ in the widths alone.
template <class Header, class Segment>
bool read_loader(int file, std::string& loader) {
  Header header;
  if (!read_at(file, 0, header)) return false;
  if (header.e_phnum > 0 && header.e_phentsize != sizeof(Segment)) return false;
  for (std::uint64_t index = 0; index < header.e_phnum; ++index) {
    Segment segment;
    if (!read_at(file, header.e_phoff + index * sizeof(Segment), segment)) return false;
    if (segment.p_type != PT_INTERP) continue;
    std::array<char, 4096> path{};
    if (segment.p_filesz == 0 || segment.p_filesz >= path.size()) return false;
    const auto read =
        ::pread(file, path.data(), segment.p_filesz, static_cast<off_t>(segment.p_offset));
    if (read != static_cast<ssize_t>(segment.p_filesz)) return false;
    loader = path.data();  // stops at the null that the format asks for
    return !loader.empty();
  }
  return true;
}

}  // namespace

std::expected<elf_file, elf_problem> read_elf_file(const std::string& path) {
  const file_descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file.is_open()) return std::unexpected(elf_problem::unreadable);
  std::array<unsigned char, SELFMAG> magic;
  if (!read_at(file.get(), 0, magic) || std::memcmp(magic.data(), ELFMAG, SELFMAG) != 0)
    return std::unexpected(elf_problem::not_elf);
  std::array<unsigned char, EI_NIDENT> ident;
  if (!read_at(file.get(), 0, ident)) return std::unexpected(elf_problem::damaged);

  elf_file result;
  result.is_64_bit = ident[EI_CLASS] == ELFCLASS64;
  result.is_little_endian = ident[EI_DATA] == ELFDATA2LSB;
  // e_type and e_machine lie at the same place in both classes.
  std::uint16_t machine = 0;
  if (!read_at(file.get(), offsetof(Elf64_Ehdr, e_machine), machine))
    return std::unexpected(elf_problem::damaged);
  const bool is_native_order =
      result.is_little_endian == (std::endian::native == std::endian::little);
  result.machine =
      is_native_order ? machine : static_cast<std::uint16_t>(machine << 8 | machine >> 8);
  // A file of the other byte order is refused by its machine; its segments are not needed.
  if (!is_native_order) return result;
  const bool ok = result.is_64_bit ? read_loader<Elf64_Ehdr, Elf64_Phdr>(file.get(), result.loader)
                                   : read_loader<Elf32_Ehdr, Elf32_Phdr>(file.get(), result.loader);
  if (!ok) return std::unexpected(elf_problem::damaged);
  return result;
}

std::string describe_machine(const elf_file& file) {
  switch (file.machine) {
    case EM_X86_64:
      return file.is_64_bit ? "x86-64" : "x32";
    case EM_386:
      return "32-bit x86";
    case EM_AARCH64:
      return "ARM 64";
    case EM_ARM:
      return "32-bit ARM";
    case EM_RISCV:
      return file.is_64_bit ? "RISC-V 64" : "RISC-V 32";
    case EM_PPC64:
      return "POWER";
    case EM_S390:
      return "S/390";
    case EM_LOONGARCH:
      return "LoongArch";
    default:
      return fmt::format("ELF machine {}", file.machine);
  }
}

}  // namespace acre::tool
