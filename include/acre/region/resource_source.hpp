#pragma once

#include <acre/heap/heap.hpp>
#include <acre/region/source.hpp>

#include <memory_resource>

namespace acre::region {

/// A source over any `std::pmr::memory_resource`; another region may be one, too.
///
/// Lifetime:       the resource outlives the source.
/// Thread-safety:  that of the resource.
/// Fails:          ENOMEM when the resource throws.
class ACRE_API resource_source final : public source {
 public:
  explicit resource_source(std::pmr::memory_resource& resource) noexcept : resource_(&resource) {}

  [[nodiscard]] std::size_t granularity() const noexcept override { return 1; }
  [[nodiscard]] source_report report() const noexcept override {
    return {.kind = "memory_resource"};
  }

 private:
  [[nodiscard]] result<block> do_take(std::size_t size_bytes,
                                      std::size_t alignment) noexcept override;
  void do_give_back(block taken) noexcept override;

  std::pmr::memory_resource* resource_;
};

/// A source over an `acre::heap`.
///
/// Lifetime:       the heap outlives the source and is not released before the regions are done.
/// Thread-safety:  any thread.
/// Fails:          ENOMEM when memory or the heap's limit runs out; nothing is thrown.
class ACRE_API heap_source final : public source {
 public:
  explicit heap_source(heap& from) noexcept : heap_(&from) {}

  [[nodiscard]] std::size_t granularity() const noexcept override { return 1; }
  [[nodiscard]] source_report report() const noexcept override { return {.kind = "heap"}; }

 private:
  [[nodiscard]] result<block> do_take(std::size_t size_bytes,
                                      std::size_t alignment) noexcept override;
  void do_give_back(block taken) noexcept override;

  heap* heap_;
};

}  // namespace acre::region
