#pragma once

#include "os/kernel.hpp"

#include <utility>

namespace acre::os {

/// A file descriptor with one owner; -1 is none. For descriptors whose close cannot lose data.
class unique_descriptor {
 public:
  unique_descriptor() noexcept = default;
  explicit unique_descriptor(int descriptor) noexcept : descriptor_(descriptor) {}
  unique_descriptor(unique_descriptor&& other) noexcept
      : descriptor_(std::exchange(other.descriptor_, -1)) {}
  unique_descriptor& operator=(unique_descriptor&& other) noexcept {
    std::swap(descriptor_, other.descriptor_);
    return *this;
  }
  ~unique_descriptor() {
    if (descriptor_ >= 0) static_cast<void>(ask(calls::close, descriptor_));
  }

  [[nodiscard]] int get() const noexcept { return descriptor_; }
  [[nodiscard]] int detach() noexcept { return std::exchange(descriptor_, -1); }

 private:
  int descriptor_ = -1;
};

}  // namespace acre::os
