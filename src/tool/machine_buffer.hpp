#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

namespace acre::tool {

enum class page_wish { small, huge };

/// Memory to measure on: anonymous, private, present, begins at a multiple of 2 MiB.
class test_buffer {
 public:
  /// `node`: where its pages must lie.
  ///
  /// Throws:  error when there is not so much memory, or not on that node.
  test_buffer(std::size_t size_bytes, page_wish wish, std::optional<unsigned> node = {});
  test_buffer(const test_buffer&) = delete;
  test_buffer& operator=(const test_buffer&) = delete;
  ~test_buffer();

  [[nodiscard]] std::span<std::byte> bytes() const noexcept { return {start_, size_bytes_}; }
  /// Bytes on transparent huge pages; a wish may not be granted.
  [[nodiscard]] std::uint64_t huge_bytes() const;

 private:
  std::byte* start_ = nullptr;
  std::size_t size_bytes_ = 0;
  void* mapping_ = nullptr;
  std::size_t mapping_bytes_ = 0;
};

}  // namespace acre::tool
