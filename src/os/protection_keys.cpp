#include "os/protection_keys.hpp"

#include <sys/mman.h>

#if defined(__x86_64__)
#include <cpuid.h>
#endif

namespace acre::os {

#if defined(__x86_64__)

bool processor_has_protection_keys() noexcept {
  static const bool has = [] {
    unsigned a = 0, b = 0, c = 0, d = 0;
    // Leaf 7, ECX bit 4, OSPKE: the operating system has switched them on.
    return __get_cpuid_count(7, 0, &a, &b, &c, &d) != 0 && (c >> 4U & 1U) != 0;
  }();
  return has;
}

void set_key_access(int key, bool open) noexcept {
  // It fails for numbers that cannot be keys only.
  static_cast<void>(::pkey_set(key, open ? 0U : static_cast<unsigned>(PKEY_DISABLE_ACCESS)));
}

#else

bool processor_has_protection_keys() noexcept {
  return false;
}

void set_key_access(int /*key*/, bool /*open*/) noexcept {}

#endif

}  // namespace acre::os
