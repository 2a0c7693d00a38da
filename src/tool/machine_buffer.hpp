#pragma once

#include <acre/os/mapping.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

namespace acre::tool {

enum class page_wish : std::uint8_t { small, huge };

/// Memory to measure on: anonymous, private and present.
class test_buffer {
 public:
  /// `node`: where its pages must lie.
  ///
  /// Throws:  error when there is not so much memory, or not on that node.
  test_buffer(std::size_t size_bytes, page_wish wish, std::optional<unsigned> node = {});

  [[nodiscard]] std::span<std::byte> bytes() const noexcept { return mapping_.bytes(); }
  /// Bytes on transparent huge pages; a wish may not be granted.
  [[nodiscard]] std::uint64_t huge_bytes() const;

 private:
  os::mapping mapping_;
};

}  // namespace acre::tool
