#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>

namespace acre::tool {

/// What the headers of an executable or a shared library say about how it is loaded.
struct elf_file {
  bool is_64_bit = false;
  bool is_little_endian = false;
  std::uint16_t machine = 0;  ///< EM_X86_64 and its like
  std::string loader;         ///< the program interpreter; empty when it is statically linked
};

enum class elf_problem : std::uint8_t {
  unreadable,  ///< could not be opened or read
  not_elf,     ///< does not begin with the ELF magic
  damaged,     ///< begins with it, and what follows is cut off or makes no sense
};

/// Reads the headers of the file at `path`. Nothing in the file is trusted.
[[nodiscard]] std::expected<elf_file, elf_problem> read_elf_file(const std::string& path);

enum class symbol_table : std::uint8_t {
  dynamic,  ///< what the loader sees
  all,      ///< what strip(1) takes away
};

/// Whether the 64-bit file at `path` defines a symbol of that name; false where it cannot be read,
/// too. Nothing in the file is trusted.
[[nodiscard]] bool defines_symbol(const std::string& path, symbol_table table,
                                  std::string_view name);

/// The machine's name as people know it: "x86-64", "32-bit ARM"; a number when it is rare.
[[nodiscard]] std::string describe_machine(const elf_file& file);

}  // namespace acre::tool
