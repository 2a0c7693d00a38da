/// Goal: the limit that holds is the lowest on the way up, for both versions and for containers.
/// Method: folders that look like mounted hierarchies.
#include <acre/os/cgroup.hpp>

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include <gtest/gtest.h>

namespace {

using namespace acre::os;
namespace fs = std::filesystem;

class cgroup_folder : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (fs::temp_directory_path() / "acre-cgroup-XXXXXX").string();
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    root_ = pattern;
  }
  void TearDown() override { fs::remove_all(root_); }

  void write(const std::string& group, const char* file, const char* text) {
    fs::create_directories(root_ + group);
    std::ofstream(root_ + group + "/" + file) << text << '\n';
  }
  [[nodiscard]] std::vector<mount_entry> mounted(const char* type, const char* shown = "/") const {
    return {{"/", "/", "ext4", "rw"},
            {shown, root_, type, type == std::string("cgroup") ? "rw,memory" : "rw"}};
  }

  std::string root_;
};

TEST_F(cgroup_folder, version_2_takes_the_lowest_on_the_way_up) {
  write("/a", "memory.max", "1000000");
  write("/a", "memory.high", "max");
  write("/a/b", "memory.max", "max");
  write("/a/b", "memory.high", "500000");
  write("/a/b", "memory.current", "4096");
  write("/a/b", "memory.swap.max", "0");
  const auto memory = read_cgroup_memory(parse_cgroup("0::/a/b\n"), mounted("cgroup2"));
  ASSERT_TRUE(memory);
  EXPECT_EQ(memory->version, 2);
  EXPECT_EQ(memory->directory, root_ + "/a/b");
  EXPECT_EQ(memory->limit_bytes, 1000000U);
  EXPECT_EQ(memory->limit_directory, root_ + "/a");
  EXPECT_EQ(memory->high_bytes, 500000U);
  EXPECT_EQ(memory->swap_limit_bytes, 0U);
  EXPECT_EQ(memory->used_bytes, 4096U);
}

TEST_F(cgroup_folder, version_1_is_used_where_it_has_the_controller) {
  write("/job", "memory.limit_in_bytes", "2000000");
  write("/job", "memory.usage_in_bytes", "77");
  write("", "memory.limit_in_bytes", "9223372036854771712");
  const auto memory =
      read_cgroup_memory(parse_cgroup("3:cpu:/\n4:memory:/job\n0::/other\n"), mounted("cgroup"));
  ASSERT_TRUE(memory);
  EXPECT_EQ(memory->version, 1);
  EXPECT_EQ(memory->limit_bytes, 2000000U);
  EXPECT_EQ(memory->used_bytes, 77U);
  EXPECT_FALSE(memory->high_bytes);
}

TEST_F(cgroup_folder, a_container_sees_its_own_group_as_the_mount) {
  write("", "memory.max", "123456");
  for (const auto* path : {"0::/docker/abc\n", "0::/\n"}) {
    const auto memory = read_cgroup_memory(parse_cgroup(path), mounted("cgroup2", "/docker/abc"));
    ASSERT_TRUE(memory) << path;
    EXPECT_EQ(memory->limit_bytes, 123456U) << path;
  }
}

TEST_F(cgroup_folder, without_limits_there_are_none) {
  write("/a", "memory.current", "1");
  const auto memory = read_cgroup_memory(parse_cgroup("0::/a\n"), mounted("cgroup2"));
  ASSERT_TRUE(memory);
  EXPECT_FALSE(memory->limit_bytes || memory->high_bytes || memory->swap_limit_bytes);
}

TEST_F(cgroup_folder, what_cannot_be_seen_is_a_failure) {
  const auto number = [](const auto& answer) { return answer ? 0 : answer.error().number; };
  EXPECT_EQ(number(read_cgroup_memory({}, mounted("cgroup2"))), ENOENT);
  EXPECT_EQ(number(read_cgroup_memory(parse_cgroup("0::/a\n"), {})), ENOENT);
  EXPECT_EQ(number(read_cgroup_memory(parse_cgroup("0::/../x\n"), mounted("cgroup2"))), ENOENT);
}

}  // namespace
