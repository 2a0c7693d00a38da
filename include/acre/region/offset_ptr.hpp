#pragma once

#include <compare>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <iterator>
#include <memory>
#include <type_traits>

namespace acre::region {

class shared_segment;

/// A pointer that holds the distance from itself to its target, so that it means the same object in
/// every process that maps both, at whatever address.
///
/// A distance of 1 is null, since no object starts at the second byte of its own pointer. Copying
/// computes the distance anew; copying the bytes, as by memcpy, does not. It is eight bytes long
/// and of random access, and may be the pointer type of an allocator.
///
/// Lifetime:       pointer and target lie in one segment; else it is good in this process only.
/// Thread-safety:  that of a plain pointer.
template <class T>
class offset_ptr {
 public:
  using element_type = T;
  using value_type = std::remove_cv_t<T>;
  using difference_type = std::ptrdiff_t;
  using pointer = T*;
  using reference = std::add_lvalue_reference_t<T>;
  using iterator_category = std::random_access_iterator_tag;
  // Not a contiguous_iterator by concept: libstdc++ would then strip it to a raw pointer.

  template <class U>
  using rebind = offset_ptr<U>;

  offset_ptr() noexcept = default;
  // NOLINTNEXTLINE(google-explicit-constructor): as a plain pointer converts.
  offset_ptr(T* target) noexcept : distance_(distance_to(target)) {}
  offset_ptr(const offset_ptr& other) noexcept : distance_(distance_to(other.get())) {}
  template <class U>
    requires(std::convertible_to<U*, T*> && !std::same_as<U, T>)
  // NOLINTNEXTLINE(google-explicit-constructor): as a plain pointer converts.
  offset_ptr(const offset_ptr<U>& other) noexcept
      : distance_(distance_to(static_cast<T*>(other.get()))) {}
  /// The conversions that a plain pointer has by static_cast, such as from `void`.
  template <class U>
    requires(!std::convertible_to<U*, T*> && requires(U* from) { static_cast<T*>(from); })
  explicit offset_ptr(const offset_ptr<U>& other) noexcept
      : distance_(distance_to(static_cast<T*>(other.get()))) {}
  ~offset_ptr() = default;

  offset_ptr& operator=(const offset_ptr& other) noexcept { return *this = other.get(); }
  offset_ptr& operator=(T* target) noexcept {
    distance_ = distance_to(target);
    return *this;
  }

  [[nodiscard]] T* get() const noexcept {
    if (distance_ == null_distance) return nullptr;
    return reinterpret_cast<T*>(place() + static_cast<std::uintptr_t>(distance_));
  }
  [[nodiscard]] reference operator*() const noexcept
    requires(!std::is_void_v<T>)
  {
    return *get();
  }
  [[nodiscard]] T* operator->() const noexcept { return get(); }
  template <class U = T>
    requires(!std::is_void_v<U>)
  [[nodiscard]] U& operator[](difference_type index) const noexcept {
    return get()[index];
  }
  [[nodiscard]] explicit operator bool() const noexcept { return distance_ != null_distance; }

  /// For std::pointer_traits, which makes pointers from objects with it.
  template <class U = T>
    requires(!std::is_void_v<U>)
  [[nodiscard]] static offset_ptr pointer_to(U& target) noexcept {
    return offset_ptr(std::addressof(target));
  }

  offset_ptr& operator+=(difference_type count) noexcept { return *this = get() + count; }
  offset_ptr& operator-=(difference_type count) noexcept { return *this = get() - count; }
  offset_ptr& operator++() noexcept { return *this += 1; }
  offset_ptr& operator--() noexcept { return *this -= 1; }
  offset_ptr operator++(int) noexcept {
    const offset_ptr before = *this;
    ++*this;
    return before;
  }
  offset_ptr operator--(int) noexcept {
    const offset_ptr before = *this;
    --*this;
    return before;
  }
  [[nodiscard]] friend offset_ptr operator+(const offset_ptr& left,
                                            difference_type count) noexcept {
    return offset_ptr(left.get() + count);
  }
  [[nodiscard]] friend offset_ptr operator+(difference_type count,
                                            const offset_ptr& right) noexcept {
    return offset_ptr(right.get() + count);
  }
  [[nodiscard]] friend offset_ptr operator-(const offset_ptr& left,
                                            difference_type count) noexcept {
    return offset_ptr(left.get() - count);
  }
  [[nodiscard]] friend difference_type operator-(const offset_ptr& left,
                                                 const offset_ptr& right) noexcept {
    return left.get() - right.get();
  }

  template <class U>
  [[nodiscard]] friend bool operator==(const offset_ptr& left,
                                       const offset_ptr<U>& right) noexcept {
    return left.get() == right.get();
  }
  [[nodiscard]] friend bool operator==(const offset_ptr& left, const T* right) noexcept {
    return left.get() == right;
  }
  [[nodiscard]] friend auto operator<=>(const offset_ptr& left, const offset_ptr& right) noexcept {
    return std::compare_three_way()(left.get(), right.get());
  }

 private:
  friend class shared_segment;

  static constexpr std::int64_t null_distance = 1;

  [[nodiscard]] std::uintptr_t place() const noexcept {
    return reinterpret_cast<std::uintptr_t>(this);
  }
  [[nodiscard]] std::int64_t distance_to(const volatile void* target) const noexcept {
    if (target == nullptr) return null_distance;
    return static_cast<std::int64_t>(reinterpret_cast<std::uintptr_t>(target) - place());
  }

  std::int64_t distance_ = null_distance;
};

}  // namespace acre::region

template <class T>
struct std::hash<acre::region::offset_ptr<T>> {
  [[nodiscard]] std::size_t operator()(const acre::region::offset_ptr<T>& pointer) const noexcept {
    return std::hash<T*>()(pointer.get());
  }
};
