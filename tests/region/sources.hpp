#pragma once

#include <acre/heap/heap.hpp>
#include <acre/region/buffer_source.hpp>
#include <acre/region/mapping_source.hpp>
#include <acre/region/resource_source.hpp>
#include <acre/region/segment_source.hpp>

#include <cerrno>
#include <functional>
#include <memory>
#include <memory_resource>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>
#include <unistd.h>

/// Every kind of source, for tests that hold under each of them.
namespace region_test {

/// A source and what it stands on.
struct made_source {
  std::shared_ptr<void> backing;
  std::unique_ptr<acre::region::source> source;
};

struct source_kind {
  std::string name;
  std::function<made_source()> make;  ///< an empty source when the machine has none
};

inline made_source make_buffer() {
  constexpr std::size_t size_bytes = std::size_t{24} << 20U;
  auto buffer = std::make_shared<std::vector<std::byte>>(size_bytes);
  auto source = std::make_unique<acre::region::buffer_source>(*buffer);
  return {buffer, std::move(source)};
}

/// The program's `operator new`, with counts that begin at 0.
inline made_source make_default() {
  return {nullptr,
          std::make_unique<acre::region::resource_source>(*std::pmr::new_delete_resource())};
}

inline made_source make_heap() {
  auto heap = std::make_shared<acre::heap>();
  auto source = std::make_unique<acre::region::heap_source>(*heap);
  return {heap, std::move(source)};
}

inline made_source make_resource() {
  auto resource = std::make_shared<std::pmr::unsynchronized_pool_resource>();
  auto source = std::make_unique<acre::region::resource_source>(*resource);
  return {resource, std::move(source)};
}

/// Empty where the kernel does not allow this kind of memory, as some containers do.
inline made_source make_mapping(const acre::region::mapping_source_options& options) {
  auto source = std::make_unique<acre::region::mapping_source>(options);
  const auto tried = source->take(1, 1);
  if (!tried) return {};
  source->give_back(*tried);
  return {nullptr, std::make_unique<acre::region::mapping_source>(options)};
}

inline constexpr std::size_t segment_bytes = std::size_t{16} << 20U;

/// Empty where the kernel refuses the memory.
template <class Segment>
made_source make_segment(acre::result<Segment> made) {
  if (!made) return {};
  return {nullptr, std::make_unique<acre::region::segment_source<Segment>>(std::move(*made))};
}

inline std::vector<source_kind> source_kinds() {
  return {{"buffer", make_buffer},
          {"default", make_default},
          {"heap", make_heap},
          {"resource", make_resource},
          {"mapping", [] { return make_mapping({}); }},
          {"transparent_huge_pages",
           [] {
             return make_mapping(
                 {.pages = {acre::os::page_kind::transparent_huge, acre::os::page_kind::ordinary}});
           }},
          {"reserved_huge_pages_or_others",
           [] {
             return make_mapping(
                 {.pages = {acre::os::page_kind::huge_2_mib, acre::os::page_kind::transparent_huge,
                            acre::os::page_kind::ordinary}});
           }},
          {"shared_memory",
           [] {
             return make_segment(acre::os::shared_memory::unnamed(
                 "test", {.size_bytes = segment_bytes, .layout = {}}));
           }},
          {"posix_shared_memory",
           [] {
             // Unnamed at once, so that nothing stays when a test ends early.
             const std::string name = "/acre-region-test-" + std::to_string(getpid());
             auto made = acre::os::shared_memory::create(
                 name.c_str(), {.size_bytes = segment_bytes, .layout = {}});
             if (made) (void)acre::os::shared_memory::remove(name.c_str());
             return make_segment(std::move(made));
           }},
          {"secret_memory",
           [] {
             return make_segment(acre::os::secret_memory::create(
                 segment_bytes, {.required = acre::os::secret_level::guarded}));
           }},
          {"program_break",
           [] {
             return make_segment(acre::os::program_break::claim(
                 segment_bytes, acre::os::break_users::caller_vouches));
           }},
          {"node_0", [] { return make_mapping({.placement = acre::os::numa_policy::bind({0})}); }}};
}

/// For INSTANTIATE_TEST_SUITE_P.
inline std::string name_of_kind(const testing::TestParamInfo<source_kind>& tested) {
  return tested.param.name;
}

/// Passes requests on and fails from the n-th on, until told otherwise.
class failing_source final : public acre::region::source {
 public:
  explicit failing_source(acre::region::source& real) : real_(&real) {}

  void fail_after(std::size_t good_takes) { good_takes_ = good_takes; }
  void never_fail() { good_takes_ = SIZE_MAX; }

  [[nodiscard]] std::size_t granularity() const noexcept override { return real_->granularity(); }
  [[nodiscard]] acre::region::source_report report() const noexcept override {
    return {.kind = "failing"};
  }

 private:
  acre::result<acre::region::block> do_take(std::size_t size_bytes,
                                            std::size_t alignment) noexcept override {
    if (good_takes_ == 0) return std::unexpected(acre::failure{ENOMEM, "injected"});
    if (good_takes_ != SIZE_MAX) --good_takes_;
    return real_->take(size_bytes, alignment);
  }
  void do_give_back(acre::region::block taken) noexcept override { real_->give_back(taken); }

  acre::region::source* real_;
  std::size_t good_takes_ = SIZE_MAX;
};

/// The fixture of tests that run over every kind of source.
class over_each_source : public testing::TestWithParam<source_kind> {
 protected:
  void SetUp() override {
    made_ = GetParam().make();
    if (made_.source == nullptr) GTEST_SKIP() << "this machine has no " << GetParam().name;
  }
  acre::region::source& tested() { return *made_.source; }

 private:
  made_source made_;
};

}  // namespace region_test
