#pragma once

#include <cstddef>
#include <cstring>
#include <stdexcept>
#include <string_view>

#include <sys/mman.h>
#include <unistd.h>

namespace bytes_test {

/// Memory between two pages that nobody may touch: an access one byte outside ends the test.
class guarded_memory {
 public:
  explicit guarded_memory(std::size_t size_bytes)
      : page_bytes_(static_cast<std::size_t>(sysconf(_SC_PAGESIZE))),
        size_bytes_((size_bytes + page_bytes_ - 1) / page_bytes_ * page_bytes_) {
    void* start =
        mmap(nullptr, size_bytes_ + 2 * page_bytes_, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (start == MAP_FAILED) throw std::runtime_error("guarded_memory: mmap failed");
    start_ = static_cast<char*>(start);
    if (mprotect(start_ + page_bytes_, size_bytes_, PROT_READ | PROT_WRITE) != 0)
      throw std::runtime_error("guarded_memory: mprotect failed");
  }
  ~guarded_memory() { munmap(start_, size_bytes_ + 2 * page_bytes_); }
  guarded_memory(const guarded_memory&) = delete;
  guarded_memory& operator=(const guarded_memory&) = delete;

  /// `size_bytes` right behind the page before.
  [[nodiscard]] char* front() const noexcept { return start_ + page_bytes_; }
  /// `size_bytes` right before the page behind.
  [[nodiscard]] char* back(std::size_t size_bytes) const noexcept {
    return start_ + page_bytes_ + size_bytes_ - size_bytes;
  }

  /// A copy that begins right behind the page before.
  std::string_view at_front(std::string_view text) const noexcept {
    if (!text.empty()) std::memcpy(front(), text.data(), text.size());
    return {front(), text.size()};
  }
  /// A copy that ends right before the page behind.
  std::string_view at_back(std::string_view text) const noexcept {
    char* const to = back(text.size());
    if (!text.empty()) std::memcpy(to, text.data(), text.size());
    return {to, text.size()};
  }

 private:
  std::size_t page_bytes_;
  std::size_t size_bytes_;
  char* start_ = nullptr;
};

}  // namespace bytes_test
