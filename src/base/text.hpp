#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace acre::base {

/// Not starts_with(), which unoptimized code turns into a call to the C++ run-time library.
[[nodiscard]] inline bool begins_with(std::string_view word, std::string_view start) noexcept {
  return word.size() >= start.size() && std::string_view(word.data(), start.size()) == start;
}

/// Builds a text in a buffer of fixed size; what does not fit is cut off.
///
/// Async-signal-safe and allocation-free, so that reports can be written from inside malloc.
template <std::size_t Capacity>
class text {
 public:
  void clear() noexcept { size_ = 0; }

  text& add(std::string_view piece) noexcept {
    for (const char c : piece) {
      if (size_ == Capacity) break;
      data_[size_++] = c;
    }
    return *this;
  }

  text& add_number(std::uint64_t value) noexcept { return add_digits(value, 10); }
  text& add_hex(std::uint64_t value) noexcept { return add("0x").add_digits(value, 16); }

  [[nodiscard]] std::string_view view() const noexcept { return {data_, size_}; }
  [[nodiscard]] std::size_t size() const noexcept { return size_; }

 private:
  text& add_digits(std::uint64_t value, unsigned base) noexcept {
    char digits[20];
    std::size_t count = 0;
    do {
      digits[count++] = "0123456789abcdef"[value % base];
      value /= base;
    } while (value != 0);
    while (count > 0)
      add({&digits[--count], 1});
    return *this;
  }

  char data_[Capacity]{};
  std::size_t size_ = 0;
};

}  // namespace acre::base
