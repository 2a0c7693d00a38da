/// malloc_trim, mallinfo2, malloc_stats, malloc_info and mallopt: what they say is true.
#include "support/family.hpp"

#include <cerrno>
#include <cstring>
#include <string>
#include <vector>

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

namespace {

constexpr std::size_t mebibyte = std::size_t{1} << 20U;

/// Sends standard error into a file while it lives.
class captured_stderr {
 public:
  captured_stderr() : file_(std::tmpfile()), saved_(dup(STDERR_FILENO)) {
    dup2(fileno(file_), STDERR_FILENO);
  }
  captured_stderr(const captured_stderr&) = delete;
  captured_stderr& operator=(const captured_stderr&) = delete;
  ~captured_stderr() {
    restore();
    std::fclose(file_);
  }

  std::string text() {
    restore();
    std::string read(static_cast<std::size_t>(lseek(fileno(file_), 0, SEEK_END)), '\0');
    const ssize_t got = pread(fileno(file_), read.data(), read.size(), 0);
    read.resize(got < 0 ? 0 : static_cast<std::size_t>(got));
    return read;
  }

 private:
  void restore() {
    if (saved_ < 0) return;
    dup2(saved_, STDERR_FILENO);
    close(saved_);
    saved_ = -1;
  }

  std::FILE* file_;
  int saved_;
};

std::size_t bytes_in_use() {
  const auto info = family::mallinfo2();
  return info.uordblks + info.hblkhd;
}

TEST(inspect, mallinfo2_follows_what_the_program_holds) {
  const std::size_t before = bytes_in_use();
  std::vector<void*> blocks(8 * mebibyte / 1024);
  for (void*& block : blocks)
    block = family::malloc(1024);
  void* large = family::malloc(16 * mebibyte);
  const std::size_t held = bytes_in_use();
  EXPECT_GE(held, before + 24 * mebibyte);
  EXPECT_LE(held, before + 28 * mebibyte);
  for (void* block : blocks)
    family::free(block);
  family::free(large);
  EXPECT_LE(bytes_in_use(), before + mebibyte);
}

TEST(inspect, mallinfo2_adds_up) {
  void* block = family::malloc(100'000);
  const auto info = family::mallinfo2();
  EXPECT_EQ(info.arena, info.uordblks + info.fordblks);
  EXPECT_LE(info.keepcost, info.fordblks);
  family::free(block);
}

/// 20 MB, written to.
void take_and_free_much() {
  std::vector<void*> blocks(20'000);
  for (void*& block : blocks) {
    block = family::malloc(1000);
    std::memset(block, 1, 1000);
  }
  for (void* block : blocks)
    family::free(block);
}

TEST(inspect, malloc_trim_tells_whether_memory_went_back) {
  // Acre's purging thread may come first where the system does not let this thread run for a while.
  constexpr int attempts = 20;
  int told = 0;
  for (int i = 0; i < attempts && told == 0; ++i) {
    take_and_free_much();
    told = family::malloc_trim(0);
  }
  EXPECT_EQ(told, 1);
  const int again = family::malloc_trim(0);
  EXPECT_TRUE(again == 0 || again == 1);
}

TEST(inspect, malloc_stats_writes_to_standard_error) {
  std::string text;
  {
    captured_stderr captured;
    family::malloc_stats();
    text = captured.text();
  }
  EXPECT_FALSE(text.empty());
  EXPECT_EQ(text.back(), '\n');
}

TEST(inspect, malloc_info_writes_glibc_s_root_element) {
  std::FILE* file = std::tmpfile();
  ASSERT_NE(file, nullptr);
  EXPECT_EQ(family::malloc_info(0, file), 0);
  std::rewind(file);
  char text[4096] = {};
  EXPECT_GT(std::fread(text, 1, sizeof text - 1, file), 0U);
  EXPECT_EQ(std::strncmp(text, "<malloc version=\"1\">", 20), 0) << text;
  std::fclose(file);
}

TEST(inspect, malloc_info_refuses_options) {
  std::FILE* file = std::tmpfile();
  errno = 0;
  const int answer = family::malloc_info(1, file);
  // glibc returns EINVAL itself, its manual page promises -1 with errno; both are refusals.
  EXPECT_TRUE(answer == EINVAL || (answer == -1 && errno == EINVAL)) << answer;
  EXPECT_EQ(std::ftell(file), 0);
  std::fclose(file);
}

#if !ACRE_TEST_OWN_NAMES
TEST(inspect, mallopt_accepts_the_parameters_of_glibc) {
  EXPECT_EQ(mallopt(M_TRIM_THRESHOLD, 256 * 1024), 1);
  EXPECT_EQ(mallopt(M_MMAP_THRESHOLD, 256 * 1024), 1);
  EXPECT_EQ(mallopt(M_ARENA_MAX, 2), 1);
  const int unknown = mallopt(-12345, 0);
  EXPECT_TRUE(unknown == 0 || unknown == 1);
}

// The old form with int fields; glibc's own header marks it as deprecated.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
TEST(inspect, mallinfo_agrees_with_mallinfo2) {
  void* block = family::malloc(300'000);
  const struct mallinfo narrow = mallinfo();
  const auto wide = family::mallinfo2();
  // The int fields wrap.
  EXPECT_EQ(narrow.uordblks, static_cast<int>(wide.uordblks));
  EXPECT_EQ(narrow.hblkhd, static_cast<int>(wide.hblkhd));
  EXPECT_EQ(narrow.arena, static_cast<int>(wide.arena));
  family::free(block);
}
#pragma GCC diagnostic pop
#endif

}  // namespace
