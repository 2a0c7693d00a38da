#include "tool/elf_file.hpp"

#include "tool/file_descriptor.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstring>
#include <type_traits>
#include <vector>

#include <elf.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

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

/// All that a section holds; empty when it does not lie in the file.
template <class T>
std::vector<T> read_section(int file, const Elf64_Shdr& section) {
  struct stat status{};
  // Before the memory is taken: the size may be any number.
  if (::fstat(file, &status) != 0 || section.sh_size > static_cast<std::uint64_t>(status.st_size) ||
      section.sh_offset > static_cast<std::uint64_t>(status.st_size))
    return {};
  std::vector<T> items(section.sh_size / sizeof(T));
  const auto size = items.size() * sizeof(T);
  if (::pread(file, items.data(), size, static_cast<off_t>(section.sh_offset)) !=
      static_cast<ssize_t>(size))
    return {};
  return items;
}

bool has_symbol(int file, const Elf64_Shdr& symbols, const Elf64_Shdr& texts,
                std::string_view name) {
  const auto bytes = read_section<char>(file, texts);
  const std::string_view names(bytes.data(), bytes.size());
  const auto is_it = [&](const Elf64_Sym& symbol) {
    if (symbol.st_shndx == SHN_UNDEF || symbol.st_name >= names.size()) return false;
    const auto rest = names.substr(symbol.st_name);
    return rest.starts_with(name) && rest.size() > name.size() && rest[name.size()] == '\0';
  };
  return std::ranges::any_of(read_section<Elf64_Sym>(file, symbols), is_it);
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

bool defines_symbol(const std::string& path, symbol_table table, std::string_view name) {
  const file_descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  Elf64_Ehdr header;
  if (!file.is_open() || !read_at(file.get(), 0, header)) return false;
  if (std::memcmp(header.e_ident, ELFMAG, SELFMAG) != 0 || header.e_ident[EI_CLASS] != ELFCLASS64 ||
      header.e_shentsize != sizeof(Elf64_Shdr))
    return false;
  const auto section = [&](std::uint64_t index, Elf64_Shdr& into) {
    return index < header.e_shnum &&
           read_at(file.get(), header.e_shoff + index * sizeof(Elf64_Shdr), into);
  };
  const auto type = table == symbol_table::dynamic ? SHT_DYNSYM : SHT_SYMTAB;
  Elf64_Shdr symbols;
  for (std::uint64_t index = 0; section(index, symbols); ++index) {
    if (symbols.sh_type != static_cast<Elf64_Word>(type)) continue;
    Elf64_Shdr texts;
    return section(symbols.sh_link, texts) && has_symbol(file.get(), symbols, texts, name);
  }
  return false;
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
