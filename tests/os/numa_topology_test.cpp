// The topology read from this machine, and from trees of files that stand for other machines.
#include <acre/os/numa.hpp>

#include "os/fake_kernel.hpp"

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <unistd.h>

namespace {

using acre::os::cpu_set;
using acre::os::node_set;
using acre::os::numa_topology;
namespace calls = acre::os::calls;

TEST(index_set, reads_and_writes_the_kernels_lists) {
  const auto set = node_set::parse("0-3,8,10-11\n");
  ASSERT_TRUE(set);
  EXPECT_EQ(set->size(), 7U);
  EXPECT_TRUE(set->contains(8));
  EXPECT_FALSE(set->contains(9));
  EXPECT_EQ(set->to_string(), "0-3,8,10-11");
  EXPECT_EQ(node_set::parse("\n"), node_set());
  EXPECT_EQ(node_set().to_string(), "");
  EXPECT_EQ(node_set({1023}).to_string(), "1023");
}

TEST(index_set, refuses_what_is_no_list) {
  for (const char* text :
       {"a", "1-", "-1", "3-1", "1,,2", "1,", "1024", "0-1024", "1 2", "99999999999"}) {
    EXPECT_FALSE(node_set::parse(text)) << text;
  }
  node_set set;
  EXPECT_FALSE(set.insert(1024));
  EXPECT_TRUE(set.empty());
  EXPECT_FALSE(set.contains(1024));
}

TEST(index_set, is_a_set) {
  const node_set a{1, 2, 64};
  const node_set b{2, 65};
  EXPECT_EQ((a | b), (node_set{1, 2, 64, 65}));
  EXPECT_EQ((a & b), node_set{2});
  EXPECT_EQ((a - b), (node_set{1, 64}));
  EXPECT_EQ(std::vector<unsigned>(a.begin(), a.end()), (std::vector<unsigned>{1, 2, 64}));
  EXPECT_EQ(a.front(), 1U);
  node_set c = a;
  c.erase(1);
  EXPECT_EQ(c, (node_set{2, 64}));
}

/// A tree of files like /sys, below a directory that goes with it.
class machine {
 public:
  machine() {
    std::string pattern = (std::filesystem::temp_directory_path() / "acre-sys-XXXXXX").string();
    root_ = mkdtemp(pattern.data());
  }
  ~machine() { std::filesystem::remove_all(root_); }
  machine(const machine&) = delete;
  machine& operator=(const machine&) = delete;

  machine& file(const std::string& path, const std::string& text) {
    const std::filesystem::path full = root_ + "/" + path;
    std::filesystem::create_directories(full.parent_path());
    std::ofstream(full) << text;
    return *this;
  }

  machine& node(unsigned index, const std::string& cpus, unsigned mib,
                const std::string& distance) {
    const std::string n = std::to_string(index);
    const std::string kib = std::to_string(mib * 1024);
    const std::string directory = "devices/system/node/node" + n + "/";
    file(directory + "cpulist", cpus + "\n");
    file(directory + "distance", distance + "\n");
    return file(directory + "meminfo", "Node " + n + " MemTotal:       " + kib + " kB\nNode " + n +
                                           " MemFree:        " + kib + " kB\n");
  }

  machine& online(const std::string& list) {
    return file("devices/system/node/online", list + "\n");
  }

  [[nodiscard]] acre::result<numa_topology> read() const {
    return numa_topology::read(root_.c_str());
  }

 private:
  std::string root_;
};

TEST(numa_topology, shows_this_machine) {
  const auto topology = numa_topology::read();
  ASSERT_TRUE(topology) << topology.error().message();
  ASSERT_FALSE(topology->nodes().empty());
  EXPECT_FALSE(topology->with_cpus().empty());
  EXPECT_FALSE(topology->with_memory().empty());
  for (const auto& node : topology->nodes()) {
    EXPECT_EQ(topology->distance(node.index, node.index), 10U);
    EXPECT_LE(node.free_bytes, node.memory_bytes);
  }
  const auto here = acre::os::current_place();
  ASSERT_TRUE(here);
  const auto* const node = topology->node_of_cpu(here->cpu);
  ASSERT_NE(node, nullptr);
  EXPECT_TRUE(topology->nearest(node->index).size() == topology->with_memory().size());
}

TEST(numa_topology, shows_two_sockets_and_memory_on_a_bus) {
  machine made;
  made.online("0-2")
      .node(0, "0-3,8-11", 4096, "10 21 17")
      .node(1, "4-7,12-15", 4096, "21 10 28")
      .node(2, "", 16384, "17 28 10")
      .file("devices/virtual/memory_tiering/memory_tier4/nodelist", "0-1\n")
      .file("devices/virtual/memory_tiering/memory_tier22/nodelist", "2\n")
      .file("devices/virtual/memory_tiering/power/control", "auto\n")
      .file("kernel/mm/mempolicy/weighted_interleave/node0", "5\n")
      .file("kernel/mm/mempolicy/weighted_interleave/node2", "2\n")
      .file("devices/system/node/node2/access0/initiators/read_latency", "250\n")
      .file("devices/system/node/node2/access0/initiators/read_bandwidth", "30000\n");
  const auto topology = made.read();
  ASSERT_TRUE(topology) << topology.error().message();
  EXPECT_TRUE(topology->is_numa_kernel());
  EXPECT_EQ(topology->online(), (node_set{0, 1, 2}));
  EXPECT_EQ(topology->with_cpus(), (node_set{0, 1}));
  EXPECT_EQ(topology->memory_only(), node_set{2});
  EXPECT_TRUE(topology->node(2)->is_memory_only());
  EXPECT_EQ(topology->node(1)->cpus, cpu_set::parse("4-7,12-15"));
  EXPECT_EQ(topology->node(2)->memory_bytes, 16384ULL << 20);
  EXPECT_EQ(topology->node_of_cpu(13)->index, 1U);
  EXPECT_EQ(topology->node_of_cpu(16), nullptr);
  EXPECT_EQ(topology->distance(0, 1), 21U);
  EXPECT_EQ(topology->distance(1, 2), 28U);
  EXPECT_EQ(topology->distance(0, 3), std::nullopt);
  EXPECT_EQ(topology->nearest(0), (std::vector<unsigned>{0, 2, 1}));
  EXPECT_EQ(topology->nearest(1), (std::vector<unsigned>{1, 0, 2}));
  ASSERT_EQ(topology->tiers().size(), 2U);
  EXPECT_EQ(topology->tiers()[0].rank, 4U);
  EXPECT_EQ(topology->tiers()[1].nodes, node_set{2});
  EXPECT_EQ(topology->node(0)->interleave_weight, 5U);
  EXPECT_EQ(topology->node(1)->interleave_weight, std::nullopt);
  ASSERT_TRUE(topology->node(2)->speed);
  EXPECT_EQ(topology->node(2)->speed->read_latency_ns, 250U);
  EXPECT_EQ(topology->node(2)->speed->read_bandwidth_mib_s, 30000U);
  EXPECT_FALSE(topology->node(0)->speed);
}

TEST(numa_topology, knows_holes_in_the_numbers_and_nodes_without_memory) {
  machine made;
  made.online("0,3").node(0, "0-1", 1024, "10 40").node(3, "2-3", 0, "40 10");
  const auto topology = made.read();
  ASSERT_TRUE(topology) << topology.error().message();
  EXPECT_EQ(topology->online(), (node_set{0, 3}));
  EXPECT_EQ(topology->node(1), nullptr);
  EXPECT_EQ(topology->distance(0, 3), 40U);
  EXPECT_EQ(topology->with_memory(), node_set{0});
  EXPECT_EQ(topology->nearest(3), std::vector<unsigned>{0});
}

TEST(numa_topology, leaves_out_a_node_that_vanished) {
  machine made;
  // Node 1 is listed and gone: the others' rows still have its column.
  made.online("0-2").node(0, "0", 64, "10 20 30").node(2, "1", 64, "30 20 10");
  const auto topology = made.read();
  ASSERT_TRUE(topology) << topology.error().message();
  EXPECT_EQ(topology->online(), (node_set{0, 2}));
  EXPECT_EQ(topology->distance(0, 2), 30U);
  EXPECT_EQ(topology->distance(2, 2), 10U);
}

TEST(numa_topology, is_one_node_without_numa_in_the_kernel) {
  machine made;
  made.file("devices/system/cpu/online", "0-7\n");
  const auto topology = made.read();
  ASSERT_TRUE(topology) << topology.error().message();
  EXPECT_FALSE(topology->is_numa_kernel());
  ASSERT_EQ(topology->nodes().size(), 1U);
  EXPECT_EQ(topology->nodes()[0].cpus.size(), 8U);
  EXPECT_GT(topology->nodes()[0].memory_bytes, 0U);
  EXPECT_EQ(topology->distance(0, 0), 10U);
}

TEST(numa_topology, names_the_file_that_makes_no_sense) {
  const auto refused = [](machine& made) {
    const auto topology = made.read();
    return topology ? acre::failure{} : topology.error();
  };
  machine bad_online;
  bad_online.online("zero");
  EXPECT_EQ(refused(bad_online).number, EBADMSG);
  EXPECT_STREQ(refused(bad_online).call, "/sys/devices/system/node/online");
  machine bad_cpus;
  bad_cpus.online("0").node(0, "0-x", 64, "10");
  EXPECT_STREQ(refused(bad_cpus).call, "/sys/devices/system/node/node*/cpulist");
  machine bad_distance;
  bad_distance.online("0-1").node(0, "0", 64, "10").node(1, "1", 64, "20 10");
  EXPECT_STREQ(refused(bad_distance).call, "/sys/devices/system/node/node*/distance");
  machine bad_memory;
  bad_memory.online("0").node(0, "0", 64, "10").file("devices/system/node/node0/meminfo", "none\n");
  EXPECT_STREQ(refused(bad_memory).call, "/sys/devices/system/node/node*/meminfo");
  machine nothing;
  EXPECT_EQ(refused(nothing).number, ENOENT);
  EXPECT_STREQ(refused(nothing).call, "/sys/devices/system/cpu/online");
}

TEST(numa_topology, passes_on_what_the_kernel_refuses) {
  {
    acre_test::fake_kernel kernel;
    kernel.fail(calls::openat, EMFILE);
    const auto topology = numa_topology::read();
    ASSERT_FALSE(topology);
    EXPECT_EQ(topology.error().number, EMFILE);
  }
  {
    acre_test::fake_kernel kernel;
    kernel.fail(calls::read, EIO);
    EXPECT_EQ(numa_topology::read().error().number, EIO);
  }
  {
    acre_test::fake_kernel kernel;
    kernel.fail(calls::read, EINTR, 1);
    EXPECT_TRUE(numa_topology::read());
  }
}

TEST(numa, tells_where_the_thread_may_run_and_have_memory) {
  const auto cpus = acre::os::thread_cpus();
  ASSERT_TRUE(cpus);
  const auto here = acre::os::current_place();
  ASSERT_TRUE(here);
  EXPECT_TRUE(cpus->contains(here->cpu));
  EXPECT_TRUE(acre::os::set_thread_cpus(*cpus));
  EXPECT_EQ(acre::os::set_thread_cpus({}).error().number, EINVAL);
  const auto nodes = acre::os::allowed_nodes();
  if (!nodes && nodes.error().number == EPERM) GTEST_SKIP() << nodes.error().message();
  ASSERT_TRUE(nodes);
  EXPECT_FALSE(nodes->empty());
}

TEST(numa, tells_when_it_cannot_be_known) {
  acre_test::fake_kernel kernel;
  kernel.fail(calls::getcpu, EFAULT);
  kernel.fail(calls::sched_getaffinity, EINVAL);
  kernel.fail(calls::get_mempolicy, EPERM, 1);
  kernel.fail(calls::get_mempolicy, ENOSYS, 2);
  EXPECT_EQ(acre::os::current_place().error().number, EFAULT);
  EXPECT_EQ(acre::os::thread_cpus().error().number, EINVAL);
  EXPECT_EQ(acre::os::allowed_nodes().error().number, EPERM);
  EXPECT_EQ(acre::os::allowed_nodes(), node_set{0});
}

}  // namespace
