#pragma once

#include <acre/export.h>

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <memory_resource>
#include <new>
#include <string_view>
#include <type_traits>
#include <utility>

#if defined(__clang__)
#define ACRE_LIFETIMEBOUND [[clang::lifetimebound]]
#else
#define ACRE_LIFETIMEBOUND
#endif

namespace acre::region {

/// Whether containers and owners tell their region of each block they hold, so that a region that
/// is reset or destroyed before them ends the program with a message. On when the including program
/// defines ACRE_CHECKS as 1, the same in all its files.
#if defined(ACRE_CHECKS) && ACRE_CHECKS
inline constexpr bool are_leases_checked = true;
#else
inline constexpr bool are_leases_checked = false;
#endif

/// What a typed allocator needs of its region.
template <class Region>
concept allocating_region = requires(Region& region, void* data, std::size_t size_bytes) {
  { region.allocate(size_bytes, size_bytes) } -> std::same_as<void*>;
  region.deallocate(data, size_bytes, size_bytes);
};

/// A region that counts what containers and owners hold of it.
template <class Region>
concept leasing_region = requires(Region& region) { region.change_leases(1); };

namespace detail {

template <class Region>
void change_leases(Region& region, std::ptrdiff_t by) noexcept {
  if constexpr (are_leases_checked && leasing_region<Region>) region.change_leases(by);
}

template <class Region>
std::string_view name_of(const Region& region) noexcept {
  if constexpr (requires { region.name(); }) {
    return region.name();
  } else {
    return "resource";
  }
}

/// Ends the program: a container was about to take over the memory of another region.
[[noreturn]] ACRE_API void refuse_other_region(std::string_view own,
                                               std::string_view other) noexcept;

}  // namespace detail

/// A standard allocator over one region, without a virtual call.
///
/// A container with it belongs to its region for life:
/// - there is no default region, so a container without one does not compile;
/// - containers of regions of different types cannot be assigned to each other;
/// - a copy-constructed container stays in the region of its original;
/// - copy assignment copies the elements into the target's own region;
/// - moving or swapping between two regions of one type ends the program in every build. With
///   `std::pmr` it would copy in silence, or be undefined. Copy, or construct anew.
///
/// Lifetime:       the region outlives the container and is not reset while the container holds
///                 memory; see `are_leases_checked`.
/// Thread-safety:  that of the region.
template <class T, allocating_region Region>
class region_allocator {
 public:
  using value_type = T;
  using propagate_on_container_copy_assignment = std::false_type;
  // True so that the container assigns the allocator, and operator= sees both regions.
  using propagate_on_container_move_assignment = std::true_type;
  using propagate_on_container_swap = std::true_type;
  using is_always_equal = std::false_type;

  template <class U>
  struct rebind {
    using other = region_allocator<U, Region>;
  };

  // NOLINTNEXTLINE(google-explicit-constructor): a container's constructor is given the region.
  region_allocator(Region& region ACRE_LIFETIMEBOUND) noexcept : region_(&region) {}
  template <class U>
  // NOLINTNEXTLINE(google-explicit-constructor): allocators convert to their rebound kin.
  region_allocator(const region_allocator<U, Region>& other) noexcept
      : region_(&other.resource()) {}
  region_allocator(const region_allocator&) noexcept = default;
  ~region_allocator() = default;

  region_allocator& operator=(const region_allocator& other) noexcept {
    if (region_ != other.region_) [[unlikely]] {
      detail::refuse_other_region(detail::name_of(*region_), detail::name_of(*other.region_));
    }
    return *this;
  }

  [[nodiscard]] T* allocate(std::size_t count) {
    if (count > static_cast<std::size_t>(PTRDIFF_MAX) / sizeof(T))
      throw std::bad_array_new_length();
    T* const data = static_cast<T*>(region_->allocate(count * sizeof(T), alignof(T)));
    detail::change_leases(*region_, 1);
    return data;
  }

  void deallocate(T* data, std::size_t count) noexcept {
    region_->deallocate(data, count * sizeof(T), alignof(T));
    detail::change_leases(*region_, -1);
  }

  [[nodiscard]] region_allocator select_on_container_copy_construction() const noexcept {
    return *this;
  }

  [[nodiscard]] Region& resource() const noexcept { return *region_; }

  template <class U>
  [[nodiscard]] friend bool operator==(const region_allocator& left,
                                       const region_allocator<U, Region>& right) noexcept {
    return &left.resource() == &right.resource();
  }

 private:
  Region* region_;
};

/// Destroys an object and gives its memory back to its region.
///
/// It does not convert: a `region_ptr<derived>` cannot become a `region_ptr<base>`, whose size and
/// alignment would be wrong at the end.
template <class T, allocating_region Region>
class region_delete {
 public:
  region_delete() = default;
  explicit region_delete(Region& region ACRE_LIFETIMEBOUND) noexcept : region_(&region) {}

  void operator()(T* object) const noexcept {
    std::destroy_at(object);
    region_->deallocate(object, sizeof(T), alignof(T));
    detail::change_leases(*region_, -1);
  }

 private:
  Region* region_ = nullptr;
};

/// The only owner of an object in a region. Lifetime: ends before the region does.
template <class T, allocating_region Region>
using region_ptr = std::unique_ptr<T, region_delete<T, Region>>;

/// A new object in `region` and its owner. A `T` that takes an allocator is given the region where
/// it can take it.
///
/// Fails: throws what the region or the constructor throws; nothing stays allocated.
template <class T, allocating_region Region, class... Args>
[[nodiscard]] region_ptr<T, Region> make_unique(Region& region ACRE_LIFETIMEBOUND, Args&&... args) {
  region_allocator<T, Region> allocator(region);
  T* const storage = allocator.allocate(1);
  try {
    using bytes = region_allocator<std::byte, Region>;
    if constexpr (std::uses_allocator_v<T, bytes>) {
      std::uninitialized_construct_using_allocator(storage, bytes(region),
                                                   std::forward<Args>(args)...);
    } else if constexpr (std::is_base_of_v<std::pmr::memory_resource, Region>) {
      std::uninitialized_construct_using_allocator(
          storage, std::pmr::polymorphic_allocator<std::byte>(&region),
          std::forward<Args>(args)...);
    } else {
      std::construct_at(storage, std::forward<Args>(args)...);
    }
  } catch (...) {
    allocator.deallocate(storage, 1);
    throw;
  }
  return region_ptr<T, Region>(storage, region_delete<T, Region>(region));
}

}  // namespace acre::region
