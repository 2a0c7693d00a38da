/// Goal: the class agrees with the kernel about real processes, and survives their end.
/// Method: this process and children whose memory is known.
#include <acre/os/process.hpp>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <string>

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

namespace {

using namespace acre::os;
using enum memory_field;

const std::size_t page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));

/// A private anonymous range between two pages without access, so that it is a mapping of its own.
class range {
 public:
  explicit range(std::size_t pages) : size_(pages * page) {
    start_ = static_cast<char*>(
        ::mmap(nullptr, size_ + 2 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    EXPECT_EQ(::mprotect(data(), size_, PROT_READ | PROT_WRITE), 0);
    ::madvise(data(), size_, MADV_NOHUGEPAGE);
  }
  range(const range&) = delete;
  range& operator=(const range&) = delete;
  ~range() { ::munmap(start_, size_ + 2 * page); }

  [[nodiscard]] char* data() const { return start_ + page; }
  [[nodiscard]] std::uint64_t address() const { return reinterpret_cast<std::uint64_t>(data()); }

 private:
  std::size_t size_;
  char* start_ = nullptr;
};

/// A child that sleeps until it is killed.
class sleeper {
 public:
  sleeper() : pid_(::fork()) {
    EXPECT_GE(pid_, 0);
    if (pid_ != 0) return;
    ::alarm(60);  // should the parent be killed
    for (;;)
      ::pause();
  }
  sleeper(const sleeper&) = delete;
  sleeper& operator=(const sleeper&) = delete;
  ~sleeper() {
    kill();
    reap();
  }
  /// Holds it still: until it first waits, it may still change its mappings.
  void stop() const {
    ::kill(pid_, SIGSTOP);
    ::waitpid(pid_, nullptr, WUNTRACED);
  }
  void kill() const {
    if (pid_ > 0) ::kill(pid_, SIGKILL);
  }
  /// Waits until it is a zombie.
  void await_end() const {
    siginfo_t facts;
    EXPECT_EQ(::waitid(P_PID, static_cast<id_t>(pid_), &facts, WEXITED | WNOWAIT), 0);
  }
  void reap() {
    if (pid_ > 0) ::waitpid(pid_, nullptr, 0);
    pid_ = -1;
  }
  [[nodiscard]] pid_t pid() const { return pid_; }

 private:
  pid_t pid_;
};

/// The maps of this process hold a mapping with exactly this start.
const mapping_usage* find(const process_usage& usage, std::uint64_t start) {
  const auto found = std::ranges::find(
      usage.mappings, start, [](const mapping_usage& each) { return each.mapping.start; });
  return found == usage.mappings.end() ? nullptr : &*found;
}

TEST(process, sees_its_own_mapping_and_what_is_resident_of_it) {
  const range memory(8);
  std::memset(memory.data(), 1, 3 * page);
  const auto self = process::self();
  ASSERT_TRUE(self);
  const auto usage = self->smaps();
  ASSERT_TRUE(usage);
  EXPECT_EQ(usage->unreadable_lines, 0U);
  const auto* const mapping = find(*usage, memory.address());
  ASSERT_NE(mapping, nullptr);
  EXPECT_EQ(mapping->memory[size], 8 * page);
  EXPECT_EQ(mapping->memory[rss], 3 * page);
  EXPECT_EQ(mapping->memory[private_dirty], 3 * page);
  EXPECT_TRUE(mapping->has_flag("wr"));
  EXPECT_STREQ(mapping->mapping.protection().data(), "rw-p");
}

TEST(process, knows_every_line_of_this_kernel) {
  const auto self = process::self();
  const auto maps = self->maps();
  ASSERT_TRUE(maps);
  EXPECT_EQ(maps->unreadable_lines, 0U);
  EXPECT_GT(maps->mappings.size(), 5U);
  const auto limits = self->limits();
  ASSERT_TRUE(limits);
  EXPECT_EQ(limits->unreadable_lines, 0U);
  EXPECT_NE(limits->find("Max locked memory"), nullptr);
}

TEST(process, maps_and_smaps_of_a_stopped_child_agree) {
  const sleeper child;
  child.stop();
  const auto other = process::open(child.pid());
  ASSERT_TRUE(other);
  const auto maps = other->maps();
  const auto usage = other->smaps();
  if (!maps)
    GTEST_SKIP() << "no permission to look into a child: " << maps.error().code().message();
  ASSERT_TRUE(usage);
  ASSERT_EQ(maps->mappings.size(), usage->mappings.size());
  for (std::size_t index = 0; index < maps->mappings.size(); ++index)
    EXPECT_EQ(maps->mappings[index], usage->mappings[index].mapping);
  const auto rollup = other->smaps_rollup();
  ASSERT_TRUE(rollup);
  EXPECT_EQ((*rollup)[anonymous], usage->total()[anonymous]);
}

TEST(process, tells_status_and_words) {
  const auto self = process::self();
  const auto status = self->status();
  ASSERT_TRUE(status);
  EXPECT_EQ(status->pid, ::getpid());
  EXPECT_EQ(status->parent, ::getppid());
  EXPECT_EQ(status->user, ::getuid());
  EXPECT_TRUE(status->has_memory());
  EXPECT_GT(status->rss.value_or(0), 0U);
  EXPECT_FALSE(status->kernel_thread);
  const auto words = self->command_line();
  ASSERT_TRUE(words);
  EXPECT_NE(words->at(0).find("process"), std::string::npos);
  EXPECT_NE(self->executable()->find("process"), std::string::npos);
  const auto threads = self->threads();
  ASSERT_TRUE(threads);
  EXPECT_EQ(threads->at(0).id, ::getpid());
}

TEST(process, of_no_such_number_does_not_exist) {
  for (const pid_t pid : {0, -1, 1 << 30}) {
    const auto none = process::open(pid);
    ASSERT_FALSE(none) << pid;
    EXPECT_EQ(none.error().number, ESRCH) << pid;
  }
}

TEST(process, that_became_a_zombie_is_told_from_an_empty_one) {
  sleeper child;
  const auto other = process::open(child.pid());
  ASSERT_TRUE(other);
  child.kill();
  child.await_end();
  const auto status = other->status();
  ASSERT_TRUE(status);
  EXPECT_TRUE(status->has_ended());
  EXPECT_FALSE(other->is_alive());
  const auto maps = other->maps();
  ASSERT_FALSE(maps);
  const int number = maps.error().number;
  EXPECT_TRUE(number == ESRCH || number == EACCES) << number;
}

TEST(process, that_is_gone_answers_so_everywhere) {
  sleeper child;
  const auto other = process::open(child.pid());
  ASSERT_TRUE(other);
  child.kill();
  child.reap();
  const auto number = [](const auto& answer) { return answer ? 0 : answer.error().number; };
  EXPECT_EQ(number(other->status()), ESRCH);
  EXPECT_EQ(number(other->maps()), ESRCH);
  EXPECT_EQ(number(other->smaps()), ESRCH);
  EXPECT_EQ(number(other->smaps_rollup()), ESRCH);
  EXPECT_EQ(number(other->limits()), ESRCH);
  EXPECT_EQ(number(other->cgroup()), ESRCH);
  EXPECT_EQ(number(other->pages()), ESRCH);
  EXPECT_EQ(number(other->threads()), ESRCH);
  EXPECT_EQ(number(other->executable()), ESRCH);
  EXPECT_EQ(number(other->command_line()), ESRCH);
  std::byte byte{};
  EXPECT_EQ(number(other->read_memory(0x1000, {&byte, 1})), ESRCH);
}

TEST(process, moved_from_answers_that_it_is_empty) {
  auto self = process::self();
  ASSERT_TRUE(self);
  const process taken = std::move(*self);
  EXPECT_TRUE(taken.status());
  const auto status = self->status();
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().number, EBADF);
}

TEST(process, a_missing_file_of_a_live_process_is_not_its_end) {
  const auto text = process::self()->read("no_such_file");
  ASSERT_FALSE(text);
  EXPECT_EQ(text.error().number, ENOENT);
  EXPECT_STREQ(text.error().call, "no_such_file");
}

TEST(process, copies_memory_up_to_where_it_ends) {
  const range memory(2);
  std::memset(memory.data(), 7, 2 * page);
  const auto self = process::self();
  std::string copy(4 * page, '\0');
  const auto bytes = std::as_writable_bytes(std::span(copy));
  const auto count = self->read_memory(memory.address(), bytes);
  ASSERT_TRUE(count) << count.error().code().message();
  ASSERT_GE(*count, 2 * page);
  EXPECT_EQ(copy.substr(0, 2 * page), std::string(2 * page, 7));
  EXPECT_FALSE(self->read_memory(8, bytes.first(1)));
}

TEST(page_map, shows_which_pages_are_present) {
  const range memory(4);
  memory.data()[0] = 1;
  memory.data()[2 * page] = 1;
  const auto map = process::self()->pages();
  ASSERT_TRUE(map);
  std::array<page_entry, 4> entries;
  const auto count = map->read(memory.address(), entries);
  ASSERT_TRUE(count);
  ASSERT_EQ(*count, 4U);
  EXPECT_TRUE(entries[0].present() && entries[2].present());
  EXPECT_FALSE(entries[1].present() || entries[3].present());
  EXPECT_FALSE(entries[0].of_file());
  EXPECT_TRUE(entries[0].exclusive());
}

TEST(page_map, scans_a_hole_of_terabytes_at_once) {
  const range memory(4);
  memory.data()[page] = 1;
  static_cast<void>(*const_cast<volatile const char*>(memory.data() + 3 * page));
  const auto map = process::self()->pages();
  const auto spans = map->scan(0, (std::uint64_t{1} << 47U) - page);
  if (!spans && spans.error().number == ENOTTY) GTEST_SKIP() << "no PAGEMAP_SCAN before Linux 6.7";
  ASSERT_TRUE(spans) << spans.error().code().message();
  const auto at = [&](std::uint64_t address) {
    const auto found = std::ranges::find_if(
        *spans, [&](const page_span& span) { return address >= span.start && address < span.end; });
    return found == spans->end() ? page_span{} : *found;
  };
  EXPECT_TRUE(at(memory.address() + page).is(page_category::present));
  EXPECT_FALSE(at(memory.address() + page).is(page_category::zero_page));
  EXPECT_FALSE(at(memory.address()).is(page_category::present));
  EXPECT_TRUE(at(memory.address() + 3 * page).is(page_category::zero_page));
}

TEST(page_map, scan_finds_more_spans_than_fit_one_call) {
  constexpr std::size_t pages = 5000;
  const range memory(pages);
  for (std::size_t index = 0; index < pages; index += 2)
    memory.data()[index * page] = 1;
  const auto spans =
      process::self()->pages()->scan(memory.address(), memory.address() + pages * page,
                                     static_cast<std::uint64_t>(page_category::present));
  if (!spans) GTEST_SKIP() << "no PAGEMAP_SCAN before Linux 6.7";
  EXPECT_EQ(spans->size(), pages / 2);
}

TEST(page_map, frames_have_flags_for_those_who_may_see_them) {
  const range memory(1);
  memory.data()[0] = 1;
  page_entry entry;
  ASSERT_TRUE(process::self()->pages()->read(memory.address(), {&entry, 1}));
  if (entry.frame() == 0) GTEST_SKIP() << "frame numbers need CAP_SYS_ADMIN";
  const std::array frames{entry.frame()};
  std::array<std::uint64_t, 1> flags{};
  const auto got = read_frame_flags(frames, flags);
  if (!got) GTEST_SKIP() << "kpageflags: " << got.error().code().message();
  EXPECT_TRUE(flags[0] >> static_cast<unsigned>(frame_flag::anon) & 1U);
}

TEST(process, references_can_be_forgotten_and_counted_anew) {
  const range memory(16);
  std::memset(memory.data(), 1, 16 * page);
  const auto self = process::self();
  const auto forgotten = self->clear_references(process::forget::referenced);
  if (!forgotten) GTEST_SKIP() << "clear_refs: " << forgotten.error().code().message();
  // A processor that has the page's entry cached does not mark it again; a change of protection
  // makes it forget the entry.
  ASSERT_EQ(::mprotect(memory.data(), 16 * page, PROT_READ), 0);
  ASSERT_EQ(::mprotect(memory.data(), 16 * page, PROT_READ | PROT_WRITE), 0);
  memory.data()[5 * page] = 2;
  const auto usage = self->smaps();
  ASSERT_TRUE(usage);
  const auto* const mapping = find(*usage, memory.address());
  ASSERT_NE(mapping, nullptr);
  EXPECT_GE(mapping->memory[referenced], page);
  EXPECT_LT(mapping->memory[referenced], 16 * page);
}

TEST(cgroup, limits_are_read_where_there_are_any) {
  const auto memory = process::self()->cgroup();
  if (!memory)
    GTEST_SKIP() << "no memory controller to be seen: " << memory.error().code().message();
  EXPECT_TRUE(memory->version == 1 || memory->version == 2);
  EXPECT_EQ(memory->limit_bytes.has_value(), !memory->limit_directory.empty());
}

TEST(pressure, of_memory_is_read_where_the_kernel_keeps_it) {
  const auto memory = read_pressure("memory");
  if (!memory) GTEST_SKIP() << "no pressure information: " << memory.error().code().message();
  ASSERT_TRUE(memory->some);
  EXPECT_LE(memory->some->average_10s, 100.0);
  EXPECT_EQ(read_pressure("no_such_resource").error().number, ENOENT);
}

}  // namespace
