#pragma once

#include <acre/export.h>
#include <acre/result.hpp>

#include <new>

namespace acre::region {

/// Thrown by regions that have no memory to give: a `std::bad_alloc` that tells which limit was
/// met.
///
/// `why().call` names it: "budget", "frozen", "exhaustion::fail", a system call, a resource.
class ACRE_API refused final : public std::bad_alloc {
 public:
  explicit refused(failure why) noexcept;

  [[nodiscard]] failure why() const noexcept { return why_; }
  [[nodiscard]] const char* what() const noexcept override { return text_; }

 private:
  failure why_;
  char text_[96];
};

}  // namespace acre::region
