#pragma once

#include <acre/export.h>
#include <acre/region/refused.hpp>

#include <atomic>
#include <concepts>
#include <cstddef>
#include <memory_resource>
#include <mutex>
#include <string_view>

/// Memory resources over memory resources. They compose: a limit over a tracker over a pool is
///
///     tracking_resource counted("cache", nodes);
///     limited_resource at_most(counted, 1 << 20);
///
/// Each outlives what is above it, and owns nothing but its counts.
namespace acre::region {

/// Refuses what would take its user above a number of bytes.
///
/// Units:          bytes as requested, before any rounding below.
/// Thread-safety:  that of the resource below; the count itself may be used from any thread.
/// Fails:          throws `refused` with "limit".
class ACRE_API limited_resource final : public std::pmr::memory_resource {
 public:
  limited_resource(std::pmr::memory_resource& below, std::size_t limit_bytes) noexcept
      : below_(&below), limit_bytes_(limit_bytes) {}

  [[nodiscard]] std::size_t live_bytes() const noexcept {
    return live_bytes_.load(std::memory_order_relaxed);
  }
  [[nodiscard]] std::size_t limit_bytes() const noexcept { return limit_bytes_; }
  [[nodiscard]] std::pmr::memory_resource* upstream_resource() const noexcept { return below_; }

 private:
  void* do_allocate(std::size_t size_bytes, std::size_t alignment) override;
  void do_deallocate(void* data, std::size_t size_bytes, std::size_t alignment) override;
  [[nodiscard]] bool do_is_equal(const memory_resource& other) const noexcept override {
    return this == &other;
  }

  std::pmr::memory_resource* below_;
  std::size_t limit_bytes_;
  /// Changed by every user; a sum, so no ordering is needed.
  std::atomic<std::size_t> live_bytes_{0};
};

/// A resource that can tell its own blocks: all of this library's regions, and `acre::heap`.
template <class Resource>
concept owning_resource = std::derived_from<Resource, std::pmr::memory_resource> &&
                          requires(const Resource& resource, const void* address) {
                            { resource.owns(address) } -> std::convertible_to<bool>;
                          };

/// Takes from the first resource while that gives, then from the second.
///
/// Thread-safety:  that of the two.
/// Cost:           an `owns` of the first at every release.
template <owning_resource Primary>
class fallback_resource final : public std::pmr::memory_resource {
 public:
  fallback_resource(Primary& primary, std::pmr::memory_resource& secondary) noexcept
      : primary_(&primary), secondary_(&secondary) {}

  /// How many requests the first resource could not serve.
  [[nodiscard]] std::size_t fallbacks() const noexcept {
    return fallbacks_.load(std::memory_order_relaxed);
  }

 private:
  void* do_allocate(std::size_t size_bytes, std::size_t alignment) override {
    if (void* const data = try_primary(size_bytes, alignment); data != nullptr) return data;
    fallbacks_.fetch_add(1, std::memory_order_relaxed);
    return secondary_->allocate(size_bytes, alignment);
  }

  [[nodiscard]] void* try_primary(std::size_t size_bytes, std::size_t alignment) {
    if constexpr (requires { primary_->try_allocate(size_bytes, alignment); }) {
      return primary_->try_allocate(size_bytes, alignment);
    } else {
      try {
        return static_cast<std::pmr::memory_resource*>(primary_)->allocate(size_bytes, alignment);
      } catch (const std::bad_alloc&) {
        return nullptr;
      }
    }
  }

  void do_deallocate(void* data, std::size_t size_bytes, std::size_t alignment) override {
    std::pmr::memory_resource& owner =
        primary_->owns(data) ? static_cast<std::pmr::memory_resource&>(*primary_) : *secondary_;
    owner.deallocate(data, size_bytes, alignment);
  }
  [[nodiscard]] bool do_is_equal(const memory_resource& other) const noexcept override {
    return this == &other;
  }

  Primary* primary_;
  std::pmr::memory_resource* secondary_;
  std::atomic<std::size_t> fallbacks_{0};
};

/// Counts of one tracking resource. Bytes are as requested.
struct tracking_statistics {
  std::size_t live_bytes = 0;
  std::size_t live_bytes_peak = 0;
  std::size_t live_blocks = 0;
  std::size_t allocations = 0;
  std::size_t refusals = 0;  ///< requests at which the resource below threw
};

/// Counts what passes through it, under a name; all of a program's can be listed.
///
/// Thread-safety:  that of the resource below; the counts may be read from any thread at any time.
class ACRE_API tracking_resource final : public std::pmr::memory_resource {
 public:
  /// The first 31 bytes of the name are kept.
  tracking_resource(std::string_view name, std::pmr::memory_resource& below) noexcept;
  tracking_resource(const tracking_resource&) = delete;
  tracking_resource& operator=(const tracking_resource&) = delete;
  ~tracking_resource() override;

  [[nodiscard]] std::string_view name() const noexcept { return name_; }
  [[nodiscard]] tracking_statistics statistics() const noexcept;
  [[nodiscard]] std::pmr::memory_resource* upstream_resource() const noexcept { return below_; }

  /// Calls `visit(tracked, context)` for every tracking resource of the program, the newest first.
  /// `visit` may neither make nor destroy one.
  static void for_each(void (*visit)(const tracking_resource& tracked, void* context),
                       void* context);

 private:
  void* do_allocate(std::size_t size_bytes, std::size_t alignment) override;
  void do_deallocate(void* data, std::size_t size_bytes, std::size_t alignment) override;
  [[nodiscard]] bool do_is_equal(const memory_resource& other) const noexcept override {
    return this == &other;
  }

  std::pmr::memory_resource* below_;
  tracking_resource* next_ = nullptr;  ///< in the program's list, under its lock; as is `previous_`
  tracking_resource* previous_ = nullptr;
  // Changed by every user, read by statistics(); each for itself, so no ordering is needed.
  std::atomic<std::size_t> live_bytes_{0};
  std::atomic<std::size_t> live_bytes_peak_{0};
  std::atomic<std::size_t> live_blocks_{0};
  std::atomic<std::size_t> allocations_{0};
  std::atomic<std::size_t> refusals_{0};
  char name_[32] = {};
};

/// Lets many threads use a resource that only one may use. For blocks of one size, `shared_pool` is
/// many times faster.
///
/// Thread-safety:  any thread.
class ACRE_API synchronized_resource final : public std::pmr::memory_resource {
 public:
  explicit synchronized_resource(std::pmr::memory_resource& below) noexcept : below_(&below) {}

  [[nodiscard]] std::pmr::memory_resource* upstream_resource() const noexcept { return below_; }

 private:
  void* do_allocate(std::size_t size_bytes, std::size_t alignment) override {
    const std::lock_guard guard(lock_);
    return below_->allocate(size_bytes, alignment);
  }
  void do_deallocate(void* data, std::size_t size_bytes, std::size_t alignment) override {
    const std::lock_guard guard(lock_);
    below_->deallocate(data, size_bytes, alignment);
  }
  [[nodiscard]] bool do_is_equal(const memory_resource& other) const noexcept override {
    return this == &other;
  }

  std::mutex lock_;
  std::pmr::memory_resource* below_;
};

/// Has nothing to give: for regions and containers that must not allocate. Throws `std::bad_alloc`.
[[nodiscard]] inline std::pmr::memory_resource& null_resource() noexcept {
  return *std::pmr::null_memory_resource();
}

/// What a guarded resource does beside its guard pages.
struct guarded_options {
  /// Freed blocks whose addresses are kept without access, so that their use is a fault.
  std::size_t quarantine_blocks = 256;
};

/// Ends each block at a page without access, for tests: an overflow by one byte, or of up to the
/// alignment less one more, is a fault where it happens, and so is the use of a freed block.
///
///     | block, as far right as its alignment lets it be | guard page |
///
/// Thread-safety:  any thread.
/// Fails:          throws `refused` with what the kernel said. A process has about 65 530 mappings
///                 and each block takes two.
/// Cost:           some system calls and at least two pages of address space a block.
class ACRE_API guarded_resource final : public std::pmr::memory_resource {
 public:
  explicit guarded_resource(const guarded_options& options = {}) : options_(options) {}
  guarded_resource(const guarded_resource&) = delete;
  guarded_resource& operator=(const guarded_resource&) = delete;
  ~guarded_resource() override;

  [[nodiscard]] std::size_t live_blocks() const noexcept {
    return live_blocks_.load(std::memory_order_relaxed);
  }

 private:
  struct quarantined;

  void* do_allocate(std::size_t size_bytes, std::size_t alignment) override;
  void do_deallocate(void* data, std::size_t size_bytes, std::size_t alignment) override;
  [[nodiscard]] bool do_is_equal(const memory_resource& other) const noexcept override {
    return this == &other;
  }

  guarded_options options_;
  std::atomic<std::size_t> live_blocks_{0};
  std::mutex lock_;  ///< guards the quarantine, oldest first
  quarantined* oldest_ = nullptr;
  quarantined* newest_ = nullptr;
  std::size_t quarantined_blocks_ = 0;
};

}  // namespace acre::region
