// Policies and placement on the real kernel, with one node or, in the guest, with several; and a
// kernel that refuses. Suites named numa_nodes need two nodes at least.
#include <acre/os/mapping.hpp>
#include <acre/os/numa_placement.hpp>
#include <acre/os/numa_policy.hpp>

#include "os/fake_kernel.hpp"

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <span>
#include <vector>

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

namespace {

using acre::os::existing_pages;
using acre::os::node_set;
using acre::os::numa_mode;
using acre::os::numa_policy;
using acre::os::numa_topology;
using acre::os::placement;
using acre::os::set_range_policy;
using acre::os::set_thread_policy;
namespace calls = acre::os::calls;

const std::size_t page_bytes = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));

/// Private memory without huge pages, which would be one page on one node.
class pages {
 public:
  explicit pages(std::size_t count) : size_(count * page_bytes) {
    data_ = static_cast<std::byte*>(
        mmap(nullptr, size_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    (void)madvise(data_, size_, MADV_NOHUGEPAGE);
  }
  ~pages() { munmap(data_, size_); }
  pages(const pages&) = delete;
  pages& operator=(const pages&) = delete;

  [[nodiscard]] std::span<std::byte> bytes() const { return {data_, size_}; }
  void touch() const { std::memset(data_, 0x5a, size_); }
  [[nodiscard]] bool is_touched() const {
    return std::ranges::all_of(bytes(), [](std::byte one) { return one == std::byte{0x5a}; });
  }

 private:
  std::size_t size_;
  std::byte* data_;
};

/// Skips where a container forbids the calls.
#define NEEDS_POLICIES()                                                               \
  do {                                                                                 \
    const auto probe = acre::os::thread_policy();                                      \
    if (!probe) GTEST_SKIP() << "policies are forbidden: " << probe.error().message(); \
  } while (false)

#define NEEDS_NODES(topology, count)                                               \
  NEEDS_POLICIES();                                                                \
  const numa_topology topology = *numa_topology::read();                           \
  if (topology.with_memory().size() < (count)) {                                   \
    GTEST_SKIP() << "needs " << (count) << " nodes with memory; this machine has " \
                 << topology.with_memory().size();                                 \
  }                                                                                \
  static_assert(true)

TEST(numa_policy, is_a_value) {
  EXPECT_EQ(numa_policy::bind({1}), numa_policy::bind({1}));
  EXPECT_NE(numa_policy::bind({1}), numa_policy::interleaved({1}));
  EXPECT_NE(numa_policy::bind({1}), numa_policy::bind({1}).with_home(1));
  EXPECT_EQ(numa_policy::preferred(3).nodes(), node_set{3});
}

TEST(numa_policy, of_every_kind_holds_on_the_first_node) {
  NEEDS_POLICIES();
  const node_set one{numa_topology::read()->with_memory().front()};
  const numa_topology topology = *numa_topology::read();
  for (const numa_policy& policy : {numa_policy::bind(one), numa_policy::preferred(one.front()),
                                    numa_policy::interleaved(one)}) {
    const pages memory(16);
    const auto applied = set_range_policy(memory.bytes(), {policy});
    ASSERT_TRUE(applied) << applied.error().message();
    EXPECT_TRUE(applied->is_first_choice());
    EXPECT_EQ(applied->refusal.number, 0);
    EXPECT_EQ(acre::os::range_policy(memory.bytes().data()), policy);
    memory.touch();
    const auto where = placement::of(memory.bytes());
    ASSERT_TRUE(where);
    EXPECT_EQ(where->resident(), 16U);
    EXPECT_EQ(where->fraction_as_asked(policy, topology), 1.0);
  }
}

TEST(numa_policy, that_the_kernel_lacks_gives_way_to_the_next_and_says_so) {
  NEEDS_POLICIES();
  const node_set one{numa_topology::read()->with_memory().front()};
  const pages memory(4);
  const auto applied = set_range_policy(
      memory.bytes(), {numa_policy::weighted_interleaved(one), numa_policy::interleaved(one)});
  ASSERT_TRUE(applied) << applied.error().message();
  if (applied->is_first_choice()) {
    EXPECT_EQ(acre::os::range_policy(memory.bytes().data())->mode(),
              numa_mode::weighted_interleaved);
  } else {
    EXPECT_EQ(applied->refusal.number, EINVAL);
    EXPECT_STREQ(applied->refusal.call, "mbind");
    EXPECT_EQ(acre::os::range_policy(memory.bytes().data())->mode(), numa_mode::interleaved);
  }
}

TEST(numa_policy, without_a_possible_choice_is_a_failure) {
  NEEDS_POLICIES();
  const pages memory(1);
  const auto absent = set_range_policy(memory.bytes(), {numa_policy::bind({1000})});
  ASSERT_FALSE(absent);
  EXPECT_EQ(absent.error().number, EINVAL);
  const auto none = set_range_policy(memory.bytes(), std::span<const numa_policy>());
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().message(), "mbind: Invalid argument (no policy was given)");
  EXPECT_EQ(acre::os::range_policy(memory.bytes().data())->mode(), numa_mode::inherited);
}

TEST(numa_policy, does_not_try_further_when_the_range_is_not_there) {
  acre_test::fake_kernel kernel;
  kernel.fail(calls::mbind, EFAULT);
  const pages memory(1);
  const auto applied =
      set_range_policy(memory.bytes(), {numa_policy::bind({0}), numa_policy::local()});
  ASSERT_FALSE(applied);
  EXPECT_EQ(applied.error().number, EFAULT);
  EXPECT_EQ(kernel.seen(calls::mbind), 1);
}

TEST(numa_policy, has_a_home_where_the_kernel_knows_homes) {
  NEEDS_POLICIES();
  const unsigned node = numa_topology::read()->with_memory().front();
  const pages memory(4);
  const auto homed = set_range_policy(memory.bytes(), {numa_policy::bind({node}).with_home(node)});
  if (!homed && homed.error().number == ENOSYS) GTEST_SKIP() << homed.error().message();
  EXPECT_TRUE(homed) << homed.error().message();
  const auto on_interleaved =
      set_range_policy(memory.bytes(), {numa_policy::interleaved({node}).with_home(node)});
  ASSERT_FALSE(on_interleaved);
  EXPECT_EQ(on_interleaved.error().number, EOPNOTSUPP);
  EXPECT_EQ(acre::os::range_policy(memory.bytes().data())->mode(), numa_mode::inherited);
}

TEST(numa_policy, reports_a_refused_home_and_a_refused_return) {
  acre_test::fake_kernel kernel;
  kernel.answer(calls::mbind, 0, 1);
  kernel.fail(calls::mbind, EPERM, 2);
  kernel.fail(calls::set_mempolicy_home_node, EINVAL);
  const pages memory(1);
  const auto applied = set_range_policy(memory.bytes(), {numa_policy::bind({0}).with_home(0)});
  ASSERT_FALSE(applied);
  EXPECT_EQ(applied.error().number, EPERM);
}

TEST(numa_policy, of_a_thread_lasts_as_long_as_its_scope) {
  NEEDS_POLICIES();
  const unsigned node = numa_topology::read()->with_memory().front();
  const auto before = *acre::os::thread_policy();
  {
    auto scope = acre::os::scoped_thread_policy::set({numa_policy::bind({node})});
    ASSERT_TRUE(scope) << scope.error().message();
    EXPECT_EQ(acre::os::thread_policy(), numa_policy::bind({node}));
    const auto moved = std::move(*scope);
    EXPECT_EQ(acre::os::thread_policy(), numa_policy::bind({node}));
    EXPECT_EQ(moved.applied().policy, numa_policy::bind({node}));
  }
  EXPECT_EQ(acre::os::thread_policy(), before);
  auto scope = acre::os::scoped_thread_policy::set({numa_policy::preferred(node)});
  ASSERT_TRUE(scope);
  EXPECT_TRUE(scope->restore());
  EXPECT_EQ(acre::os::thread_policy(), before);
  EXPECT_TRUE(scope->restore());
}

TEST(numa_policy, of_a_thread_reports_refusals) {
  const auto home = set_thread_policy({numa_policy::bind({0}).with_home(0)});
  ASSERT_FALSE(home);
  EXPECT_EQ(home.error().number, ENOTSUP);
  acre_test::fake_kernel kernel;
  kernel.answer(calls::get_mempolicy, 0, 1);
  kernel.fail(calls::get_mempolicy, EPERM, 2);
  kernel.answer(calls::set_mempolicy, 0, 1);
  kernel.fail(calls::set_mempolicy, EPERM, 2);
  auto scope = acre::os::scoped_thread_policy::set({numa_policy::bind({0})});
  ASSERT_TRUE(scope);
  EXPECT_EQ(scope->restore().error().number, EPERM);
  EXPECT_EQ(acre::os::scoped_thread_policy::set({numa_policy::local()}).error().number, EPERM);
}

TEST(numa_policy, holds_on_a_kernel_without_numa) {
  acre_test::fake_kernel kernel;
  kernel.fail(calls::mbind, ENOSYS);
  kernel.fail(calls::set_mempolicy, ENOSYS);
  kernel.fail(calls::get_mempolicy, ENOSYS);
  kernel.fail(calls::move_pages, ENOSYS);
  const pages memory(600);
  EXPECT_TRUE(set_range_policy(memory.bytes(), {numa_policy::bind({0}).with_home(0)}));
  EXPECT_EQ(set_range_policy(memory.bytes(), {numa_policy::bind({1})}).error().number, ENOSYS);
  EXPECT_TRUE(set_thread_policy({numa_policy::interleaved({0})}));
  EXPECT_EQ(acre::os::thread_policy(), numa_policy::inherited());
  std::memset(memory.bytes().data(), 1, 8 * page_bytes);
  const auto where = placement::of(memory.bytes());
  ASSERT_TRUE(where);
  EXPECT_EQ(where->on(0), 8U);
  EXPECT_EQ(where->absent(), 592U);
  const auto moved = acre::os::migrate(memory.bytes(), 0);
  ASSERT_TRUE(moved);
  EXPECT_EQ(moved->refused, 0U);
  EXPECT_EQ(acre::os::migrate(memory.bytes(), 1).error().number, ENOSYS);
}

TEST(numa_policy, unknown_here_is_named) {
  acre_test::fake_kernel kernel;
  kernel.listen(calls::get_mempolicy, [](long, const acre::os::call_arguments& arguments) noexcept {
    *reinterpret_cast<int*>(arguments[0]) = 77;
    return 0L;
  });
  const auto policy = acre::os::thread_policy();
  ASSERT_FALSE(policy);
  EXPECT_EQ(policy.error().number, ENOTSUP);
  EXPECT_EQ(policy.error().value, 77U);
}

TEST(numa_placement, counts_what_is_there_and_what_is_not) {
  NEEDS_POLICIES();
  const pages memory(1500);
  std::memset(memory.bytes().data(), 1, 1000 * page_bytes);
  const auto where = placement::of(memory.bytes());
  if (!where && where.error().number == EPERM) GTEST_SKIP() << where.error().message();
  ASSERT_TRUE(where) << where.error().message();
  EXPECT_EQ(where->pages(), 1500U);
  EXPECT_EQ(where->resident(), 1000U);
  EXPECT_EQ(where->absent(), 500U);
  EXPECT_EQ(where->fraction_on(where->nodes()), 1.0);
  EXPECT_EQ(where->on(5000), 0U);
  EXPECT_EQ(placement().fraction_on({0}), 0.0);
}

TEST(numa_placement, holds_interleaving_to_its_proportions) {
  // Every page on node 0: half of them are where two nodes in turn would have them.
  acre_test::fake_kernel kernel;
  kernel.listen(calls::move_pages, [](long, const acre::os::call_arguments& arguments) noexcept {
    auto* const status = reinterpret_cast<int*>(arguments[4]);
    std::fill_n(status, arguments[1], 0);
    return 0L;
  });
  const pages memory(64);
  const auto where = placement::of(memory.bytes());
  ASSERT_TRUE(where);
  const numa_topology topology = *numa_topology::read();
  EXPECT_DOUBLE_EQ(where->fraction_as_asked(numa_policy::interleaved({0, 1}), topology), 0.5);
  EXPECT_DOUBLE_EQ(where->fraction_as_asked(numa_policy::interleaved({0}), topology), 1.0);
  EXPECT_DOUBLE_EQ(where->fraction_as_asked(numa_policy::bind({1}), topology), 0.0);
  EXPECT_DOUBLE_EQ(where->fraction_as_asked(numa_policy::inherited(), topology), 1.0);
}

TEST(numa_placement, tells_why_pages_do_not_move) {
  acre_test::fake_kernel kernel;
  kernel.listen(calls::move_pages, [](long, const acre::os::call_arguments& arguments) noexcept {
    auto* const status = reinterpret_cast<int*>(arguments[4]);
    const bool is_query = arguments[3] == 0;
    std::fill_n(status, arguments[1], is_query ? 0 : -EBUSY);
    return is_query ? 0L : arguments[1];
  });
  const pages memory(4);
  const auto moved = acre::os::migrate(memory.bytes(), 1);
  ASSERT_TRUE(moved);
  EXPECT_EQ(moved->refused, 4U);
  EXPECT_EQ(moved->refusal.number, EBUSY);
}

TEST(numa_placement, passes_on_what_the_kernel_refuses) {
  acre_test::fake_kernel kernel;
  kernel.fail(calls::move_pages, EPERM, 1);
  kernel.fail(calls::move_pages, ENODEV, 2);
  kernel.answer(calls::move_pages, 0, 3);
  kernel.fail(calls::move_pages, EACCES, 4);
  kernel.fail(calls::migrate_pages, EPERM);
  const pages memory(4);
  EXPECT_EQ(placement::of(memory.bytes()).error().number, EPERM);
  EXPECT_EQ(acre::os::migrate(memory.bytes(), 9).error().number, ENODEV);
  EXPECT_EQ(acre::os::migrate(memory.bytes(), 0).error().number, EACCES);
  EXPECT_EQ(acre::os::migrate_process(0, {0}, {0}).error().number, EPERM);
}

TEST(numa_nodes, take_bound_pages_each) {
  NEEDS_NODES(topology, 2U);
  for (const unsigned node : topology.with_memory()) {
    const pages memory(64);
    ASSERT_TRUE(set_range_policy(memory.bytes(), {numa_policy::bind({node})}));
    memory.touch();
    const auto where = placement::of(memory.bytes());
    ASSERT_TRUE(where);
    EXPECT_EQ(where->on(node), 64U) << "node " << node;
    EXPECT_EQ(where->nodes(), node_set{node});
  }
}

TEST(numa_nodes, share_interleaved_pages_evenly) {
  NEEDS_NODES(topology, 2U);
  const numa_policy policy = numa_policy::interleaved(topology.with_memory());
  const pages memory(64 * topology.with_memory().size());
  ASSERT_TRUE(set_range_policy(memory.bytes(), {policy}));
  memory.touch();
  const auto where = placement::of(memory.bytes());
  ASSERT_TRUE(where);
  for (const unsigned node : topology.with_memory())
    EXPECT_EQ(where->on(node), 64U);
  EXPECT_EQ(where->fraction_as_asked(policy, topology), 1.0);
}

TEST(numa_nodes, take_moved_pages_with_their_contents) {
  NEEDS_NODES(topology, 2U);
  const pages memory(64);
  ASSERT_TRUE(
      set_range_policy(memory.bytes(), {numa_policy::bind({topology.with_memory().front()})}));
  memory.touch();
  for (const unsigned node : topology.with_memory()) {
    const auto moved = acre::os::migrate(memory.bytes(), node);
    ASSERT_TRUE(moved) << moved.error().message();
    EXPECT_EQ(moved->refused, 0U);
    EXPECT_EQ(moved->refusal.number, 0);
    EXPECT_EQ(moved->after.on(node), 64U);
    EXPECT_TRUE(memory.is_touched());
  }
}

TEST(numa_nodes, take_present_pages_when_a_policy_moves_them) {
  NEEDS_NODES(topology, 2U);
  const auto order = topology.nearest(topology.with_memory().front());
  const pages memory(32);
  ASSERT_TRUE(set_range_policy(memory.bytes(), {numa_policy::bind({order[0]})}));
  memory.touch();
  const numa_policy other = numa_policy::bind({order[1]});
  ASSERT_TRUE(set_range_policy(memory.bytes(), {other}, existing_pages::stay));
  EXPECT_EQ(placement::of(memory.bytes())->fraction_as_asked(other, topology), 0.0);
  ASSERT_TRUE(set_range_policy(memory.bytes(), {other}, existing_pages::must_move));
  EXPECT_EQ(placement::of(memory.bytes())->fraction_as_asked(other, topology), 1.0);
  EXPECT_TRUE(memory.is_touched());
}

TEST(numa_nodes, take_reserved_huge_pages_where_they_are_bound) {
  NEEDS_NODES(topology, 2U);
  constexpr std::size_t huge_bytes = 2U << 20U;
  for (const unsigned node : topology.with_memory()) {
    auto made =
        acre::os::mapping::anonymous(huge_bytes, {.pages = acre::os::page_kind::huge_2_mib});
    if (!made) GTEST_SKIP() << made.error().message();
    ASSERT_TRUE(set_range_policy(made->bytes(), {numa_policy::bind({node})}));
    made->data()[0] = std::byte{1};
    const auto where = placement::of(made->bytes());
    ASSERT_TRUE(where);
    EXPECT_EQ(where->on(node), huge_bytes / page_bytes) << "node " << node;
  }
}

TEST(numa_nodes, follow_preferences_and_homes) {
  NEEDS_NODES(topology, 3U);
  const auto order = topology.nearest(topology.with_memory().front());
  const node_set two{order[1], order[2]};
  const pages many(16);
  ASSERT_TRUE(set_range_policy(many.bytes(), {numa_policy::preferred_many(two)}));
  many.touch();
  EXPECT_EQ(placement::of(many.bytes())->fraction_on(two), 1.0);
  for (const unsigned home : two) {
    const pages homed(16);
    const auto applied = set_range_policy(homed.bytes(), {numa_policy::bind(two).with_home(home)});
    ASSERT_TRUE(applied) << applied.error().message();
    homed.touch();
    EXPECT_EQ(placement::of(homed.bytes())->on(home), 16U);
  }
  const pages one(16);
  ASSERT_TRUE(set_range_policy(one.bytes(), {numa_policy::preferred(order[2])}));
  one.touch();
  EXPECT_EQ(placement::of(one.bytes())->on(order[2]), 16U);
}

TEST(numa_nodes, are_local_to_the_processors_that_touch) {
  NEEDS_NODES(topology, 2U);
  const auto before = *acre::os::thread_cpus();
  for (const unsigned node : topology.with_cpus() & topology.with_memory()) {
    const auto cpus = topology.node(node)->cpus & before;
    if (cpus.empty()) continue;
    ASSERT_TRUE(acre::os::set_thread_cpus(cpus));
    EXPECT_EQ(acre::os::current_place()->node, node);
    const pages memory(32);
    ASSERT_TRUE(set_range_policy(memory.bytes(), {numa_policy::local()}));
    memory.touch();
    EXPECT_EQ(placement::of(memory.bytes())->on(node), 32U);
    EXPECT_EQ(placement::of(memory.bytes())->fraction_as_asked(numa_policy::local(), topology),
              1.0);
  }
  ASSERT_TRUE(acre::os::set_thread_cpus(before));
}

TEST(numa_nodes, follow_a_threads_policy) {
  NEEDS_NODES(topology, 2U);
  for (const unsigned node : topology.with_memory()) {
    const auto scope = acre::os::scoped_thread_policy::set({numa_policy::bind({node})});
    ASSERT_TRUE(scope);
    const pages memory(16);
    memory.touch();
    EXPECT_EQ(placement::of(memory.bytes())->on(node), 16U);
  }
}

TEST(numa_nodes, swap_a_processes_pages) {
  NEEDS_NODES(topology, 2U);
  const auto order = topology.nearest(topology.with_memory().front());
  const pages memory(16);
  ASSERT_TRUE(set_range_policy(memory.bytes(), {numa_policy::preferred(order[0])}));
  memory.touch();
  const auto left = acre::os::migrate_process(0, {order[0]}, {order[1]});
  ASSERT_TRUE(left) << left.error().message();
  EXPECT_EQ(placement::of(memory.bytes())->on(order[1]), 16U);
  EXPECT_TRUE(memory.is_touched());
}

TEST(numa_nodes, have_distances_tiers_and_memory_without_processors) {
  NEEDS_NODES(topology, 2U);
  for (const unsigned a : topology.online()) {
    for (const unsigned b : topology.online()) {
      ASSERT_TRUE(topology.distance(a, b));
      EXPECT_EQ(*topology.distance(a, b) == 10U, a == b);
    }
  }
  EXPECT_EQ(acre::os::allowed_nodes(), topology.with_memory());
  // The guest is booted with three nodes of one processor each and one of memory alone.
  if (std::getenv("ACRE_TEST_GUEST") != nullptr) {
    EXPECT_EQ(topology.with_cpus(), (node_set{0, 1, 2}));
    EXPECT_EQ(topology.memory_only(), node_set{3});
    EXPECT_EQ(topology.distance(0, 3), 30U);
    EXPECT_EQ(topology.nearest(3), (std::vector<unsigned>{3, 2, 1, 0}));
  }
}

}  // namespace
