#pragma once

#include <acre/region/source.hpp>

namespace acre::region {

/// A source of fresh anonymous mappings with the machine's base pages (4 KiB on x86-64).
///
/// Each block is a mapping of its own: dear to take (a system call, and a fault per touched page),
/// and gone at once when given back. Contents read as zero.
///
/// Thread-safety:  any thread.
/// Fails:          ENOMEM when address space or the count of mappings runs out.
class ACRE_API mapping_source final : public source {
 public:
  [[nodiscard]] std::size_t granularity() const noexcept override;
  [[nodiscard]] source_report report() const noexcept override;

 private:
  [[nodiscard]] result<block> do_take(std::size_t size_bytes,
                                      std::size_t alignment) noexcept override;
  void do_give_back(block taken) noexcept override;
};

/// A source of mappings that ask for transparent huge pages (2 MiB on x86-64).
///
/// Blocks are whole huge pages and aligned to them, so that one fault brings 2 MiB: for memory that
/// is filled, hundreds of times fewer faults. Memory that is only partly touched costs more.
///
/// Thread-safety:  any thread.
/// Fails:          ENOMEM when address space runs out. Whether the kernel really gives a huge page
///                 is decided page by page at the first touch.
class ACRE_API huge_page_source final : public source {
 public:
  [[nodiscard]] std::size_t granularity() const noexcept override;
  [[nodiscard]] source_report report() const noexcept override;

 private:
  [[nodiscard]] result<block> do_take(std::size_t size_bytes,
                                      std::size_t alignment) noexcept override;
  void do_give_back(block taken) noexcept override;
};

}  // namespace acre::region
