#pragma once

#include <acre/bytes/view.hpp>

#include <cstring>
#include <type_traits>

namespace acre::bytes {

/// Sets every byte to zero, even when nothing reads them afterwards: the compiler must assume that
/// the empty assembly does. (`memset` before the end of a lifetime is removed as useless.)
///
/// Copies that the compiler keeps in registers or has spilled elsewhere are out of its reach.
inline void secure_zero(writable_view secret) noexcept {
  if (secret.size() == 0) return;
  std::memset(secret.data(), 0, secret.size());
  __asm__ volatile("" : : "r"(secret.data()) : "memory");
}

/// The same for an object whose bytes are all there is to it, such as a structure of keys.
template <class T>
  requires(std::is_trivially_copyable_v<T> && !std::is_pointer_v<T> && !byte_range<T>)
void secure_zero(T& secret) noexcept {
  std::memset(static_cast<void*>(&secret), 0, sizeof secret);
  __asm__ volatile("" : : "r"(&secret) : "memory");
}

}  // namespace acre::bytes
