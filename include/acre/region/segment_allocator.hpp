#pragma once

#include <acre/region/offset_ptr.hpp>
#include <acre/region/shared_segment.hpp>

#include <cstddef>
#include <cstdint>
#include <new>
#include <string_view>
#include <type_traits>

namespace acre::region {

namespace detail {

/// Whether the type is a node of a container of libstdc++ that links nodes by raw pointers,
/// whatever the allocator's pointer is. They are known by their names, since the library has no
/// trait.
template <class T>
[[nodiscard]] consteval bool links_by_raw_pointers() noexcept {
  constexpr std::string_view name = __PRETTY_FUNCTION__;
  return name.contains("_List_node<") || name.contains("_Rb_tree_node<") ||
         name.contains("_Fwd_list_node<") || name.contains("_Hash_node<");
}

}  // namespace detail

/// A standard allocator over a segment, whose pointers mean the same in every process.
///
///     using numbers = std::vector<int, segment_allocator<int>>;
///     auto* shared = *segment.construct<numbers>("numbers", segment_allocator<int>(segment));
///
/// The container lies in the segment, too, and is used in a section. Whoever is killed within a
/// change of a container leaves it half-changed; see `segment_recovery::in_section`.
///
/// Which containers: those of Boost.Container, and libstdc++'s `vector` and `deque`. libstdc++'s
/// lists, sets, maps and strings rely on raw pointers, and do not compile.
///
/// Lifetime:       of the mapping that it was made from or is in.
/// Thread-safety:  any thread of any process.
/// Fails:          throws `refused`.
template <class T>
class segment_allocator {
 public:
  using value_type = T;
  using pointer = offset_ptr<T>;
  using const_pointer = offset_ptr<const T>;
  using void_pointer = offset_ptr<void>;
  using const_void_pointer = offset_ptr<const void>;
  using size_type = std::size_t;
  using difference_type = std::ptrdiff_t;
  using propagate_on_container_copy_assignment = std::false_type;
  using propagate_on_container_move_assignment = std::true_type;
  using propagate_on_container_swap = std::true_type;
  using is_always_equal = std::false_type;

  // NOLINTNEXTLINE(google-explicit-constructor): a container's constructor is given the segment.
  segment_allocator(const shared_segment& segment) noexcept
      : base_(static_cast<std::byte*>(segment.base())) {}
  template <class U>
  // NOLINTNEXTLINE(google-explicit-constructor): allocators convert to their rebound kin.
  segment_allocator(const segment_allocator<U>& other) noexcept : base_(other.base()) {}

  [[nodiscard]] pointer allocate(std::size_t count) {
    static_assert(!detail::links_by_raw_pointers<T>(),
                  "this container stores raw pointers, which mean nothing in another process: take "
                  "one of Boost.Container");
    if (count > static_cast<std::size_t>(PTRDIFF_MAX) / sizeof(T))
      throw std::bad_array_new_length();
    return pointer(
        static_cast<T*>(detail::allocate_in_segment(base(), count * sizeof(T), alignof(T))));
  }

  void deallocate(const pointer& data, std::size_t) noexcept {
    detail::deallocate_in_segment(base(), data.get());
  }

  /// Where the segment starts in this process.
  [[nodiscard]] std::byte* base() const noexcept { return base_.get(); }

  template <class U>
  [[nodiscard]] friend bool operator==(const segment_allocator& left,
                                       const segment_allocator<U>& right) noexcept {
    return left.base() == right.base();
  }

 private:
  offset_ptr<std::byte> base_;
};

}  // namespace acre::region
