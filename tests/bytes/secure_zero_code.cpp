/// Compiled with -O3 for `secure_zero_code.py`, never run: a key that nobody reads after it was
/// wiped.
#include <acre/bytes/secure_zero.hpp>

#include <array>
#include <cstring>

void use(std::byte* key);

/// The wiping must survive.
void with_secure_zero();
void with_secure_zero() {
  std::array<std::byte, 32> key;
  use(key.data());
  acre::bytes::secure_zero(key);
}

/// The compiler removes this wiping; if it did not, the other function would prove nothing.
void with_memset();
void with_memset() {
  std::array<std::byte, 32> key;
  use(key.data());
  std::memset(key.data(), 0, sizeof key);
}
