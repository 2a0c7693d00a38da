// Processes that are killed within operations on a shared segment.
//
// Two methods. One kills writers at random moments, lets the others and a verifier go on, and
// compares what is in the segment with a ledger that the writers keep outside it: each object is as
// before or as after the operation, no block is lost, the invariants hold. ACRE_KILL_ROUNDS sets
// how many writers die. The other stops a writer after every single instruction and opens a copy of
// the segment as it is at that moment, which is what a kill would leave: no moment is missed.
#include <acre/region/robust_mutex.hpp>
#include <acre/region/shared_segment.hpp>

#include "support/child.hpp"
#include "support/pattern.hpp"
#include "support/random.hpp"
#include "support/sanitizer.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <memory>
#include <new>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

namespace {

using acre::region::offset_ptr;
using acre::region::segment_recovery;
using acre::region::segment_use;
using acre::region::shared_segment;

constexpr std::size_t kib = 1024;

/// An object whose first and last bytes follow from its value; those between are not written, since
/// the time within operations is for the segment's own instructions.
template <std::size_t Size>
struct cell {
  explicit cell(std::uint64_t of) noexcept : value(of) {
    acre_test::fill_pattern(payload.data(), edge, of);
    acre_test::fill_pattern(payload.data() + Size - edge, edge, of + 1);
  }
  [[nodiscard]] bool is_whole() const noexcept {
    return acre_test::holds_pattern(payload.data(), edge, value) &&
           acre_test::holds_pattern(payload.data() + Size - edge, edge, value + 1);
  }
  static constexpr std::size_t edge = 16;
  std::uint64_t value;
  std::array<std::byte, Size> payload;
};

using small_cell = cell<24>;
using middle_cell = cell<1100>;
using large_cell = cell<20'000>;  // granules of its own

constexpr unsigned slots_per_kind = 4;
constexpr unsigned names_per_writer = 4;
constexpr unsigned slots_per_writer = 3 * slots_per_kind + names_per_writer;

/// What one writer's links are, in the segment.
struct links {
  std::array<offset_ptr<small_cell>, slots_per_kind> small;
  std::array<offset_ptr<middle_cell>, slots_per_kind> middle;
  std::array<offset_ptr<large_cell>, slots_per_kind> large;
};

/// What a writer says of its slots, outside the segment; 0 is no object.
struct ledger {
  std::array<std::atomic<std::uint64_t>, slots_per_writer> values;
  std::atomic<unsigned> pending_slot;  ///< which slot is being changed
  std::atomic<std::uint64_t> pending_value;
  std::atomic<bool> is_pending;
  std::atomic<std::uint64_t> operations;
};

constexpr unsigned writer_count = 2;

struct shared_ledgers {
  std::array<ledger, writer_count> of;
  std::atomic<std::uint64_t> recoveries_in_writers;
};

/// Memory that children share, and that no segment is in.
template <class T>
T* share() {
  void* const data =
      mmap(nullptr, sizeof(T), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  return data == MAP_FAILED ? nullptr : new (data) T();
}

std::string name_of(unsigned writer, unsigned index) {
  return "object " + std::to_string(writer) + "." + std::to_string(index);
}

/// Changes one slot to the value: makes, replaces or destroys the object.
template <class Cell>
void change(shared_segment& segment, offset_ptr<Cell>& link, std::uint64_t value) {
  const bool is_done = value == 0 ? segment.destroy_at(link).has_value()
                       : link     ? segment.replace_at(link, value).has_value()
                                  : segment.construct_at(link, value).has_value();
  if (!is_done) _exit(3);
}

void change_slot(shared_segment& segment, links& own, unsigned writer, unsigned slot,
                 std::uint64_t value) {
  const unsigned index = slot % slots_per_kind;
  switch (slot / slots_per_kind) {
    case 0:
      return change(segment, own.small[index], value);
    case 1:
      return change(segment, own.middle[index], value);
    case 2:
      return change(segment, own.large[index], value);
    default:
      break;
  }
  const std::string name = name_of(writer, index);
  const bool is_done = value == 0 ? segment.destroy<middle_cell>(name).has_value()
                                  : segment.construct<middle_cell>(name, value).has_value();
  if (!is_done) _exit(4);
}

/// The value in a slot; 0 for none, and ~0 for an object that is not whole.
template <class Cell>
std::uint64_t value_of(const Cell* object) {
  if (object == nullptr) return 0;
  return object->is_whole() ? object->value : ~std::uint64_t{0};
}

std::uint64_t value_in(shared_segment& segment, const links& own, unsigned writer, unsigned slot) {
  const unsigned index = slot % slots_per_kind;
  switch (slot / slots_per_kind) {
    case 0:
      return value_of(own.small[index].get());
    case 1:
      return value_of(own.middle[index].get());
    case 2:
      return value_of(own.large[index].get());
    default:
      break;
  }
  const auto found = segment.find<middle_cell>(name_of(writer, index));
  return found ? value_of(*found) : 0;
}

/// Works until it is killed.
[[noreturn]] void write_for_ever(shared_segment& segment, links& own, ledger& said, unsigned writer,
                                 std::uint64_t stream) {
  acre_test::random_source random(stream);
  while (true) {
    const unsigned slot = static_cast<unsigned>(random.below(slots_per_writer));
    const std::uint64_t before = said.values[slot].load();
    const bool is_named = slot >= 3 * slots_per_kind;
    // A name is not replaced.
    const bool ends = before != 0 && (is_named || random.below(2) == 0);
    const std::uint64_t after = ends ? 0 : (random.next() >> 8U) + 1;
    said.pending_slot = slot;
    said.pending_value = after;
    said.is_pending = true;
    change_slot(segment, own, writer, slot, after);
    said.values[slot] = after;
    said.is_pending = false;
    ++said.operations;
  }
}

/// Compares a dead writer's slots with its ledger, and takes over what is there.
void verify_writer(shared_segment& segment, const links& own, ledger& said, unsigned writer) {
  for (unsigned slot = 0; slot < slots_per_writer; ++slot) {
    const std::uint64_t there = value_in(segment, own, writer, slot);
    const std::uint64_t before = said.values[slot].load();
    const bool is_pending = said.is_pending.load() && said.pending_slot.load() == slot;
    const bool is_after = is_pending && there == said.pending_value.load();
    ASSERT_TRUE(there == before || is_after)
        << "slot " << slot << " holds " << there << ", said " << before;
    said.values[slot] = there;
  }
  said.is_pending = false;
}

/// The blocks that the ledgers account for, and their bytes after rounding.
struct account {
  std::size_t blocks = 0;
  std::size_t bytes = 0;
};

/// What one object of each kind takes.
std::array<std::size_t, 4> sizes_of_kinds() {
  shared_segment segment =
      acre::or_throw(shared_segment::unnamed("sizes", {.size_bytes = 256 * kib}));
  auto& own = *acre::or_throw(segment.construct<links>("links"));
  std::array<std::size_t, 4> sizes{};
  for (unsigned kind = 0; kind < 4; ++kind) {
    const auto before = acre::or_throw(segment.statistics()).live_bytes;
    change_slot(segment, own, 0, kind * slots_per_kind, 1);
    sizes[kind] = acre::or_throw(segment.statistics()).live_bytes - before;
  }
  return sizes;
}

int kill_rounds() {
  const char* const given = std::getenv("ACRE_KILL_ROUNDS");
  if (given != nullptr) return std::atoi(given);
  return acre_test::is_sanitized ? 60 : 200;
}

void sleep_ns(long time_ns) {
  const timespec time{.tv_sec = 0, .tv_nsec = time_ns};
  nanosleep(&time, nullptr);
}

TEST(segment_kill, leaves_every_object_as_before_or_after) {
  std::uint64_t callbacks = 0;
  std::uint64_t undone = 0;
  std::uint64_t completed = 0;
  bool is_pid_known = true;
  auto* const said = share<shared_ledgers>();
  ASSERT_NE(said, nullptr);
  const pid_t verifier = getpid();
  const segment_use use{.layout = {},
                        .on_recovery = [&](shared_segment& segment, const segment_recovery& found) {
                          if (getpid() != verifier) {
                            ++said->recoveries_in_writers;
                            return;
                          }
                          ++callbacks;
                          undone += found.undone;
                          completed += found.completed;
                          is_pid_known = is_pid_known && found.dead_process != verifier;
                          // The segment can be used from here.
                          EXPECT_TRUE(segment.check_invariants());
                        }};
  shared_segment segment = acre::or_throw(
      shared_segment::unnamed("kill", {.size_bytes = 128 * kib, .limit_bytes = 1024 * kib}, use));
  std::array<links*, writer_count> own{};
  for (unsigned writer = 0; writer < writer_count; ++writer)
    own[writer] = acre::or_throw(segment.construct<links>("links " + std::to_string(writer)));
  const auto base = acre::or_throw(segment.statistics());
  const auto sizes = sizes_of_kinds();

  acre_test::random_source random(7);
  std::array<pid_t, writer_count> children{};
  const auto start = [&](unsigned writer, std::uint64_t stream) {
    children[writer] = fork();
    if (children[writer] == 0) {
      write_for_ever(segment, *own[writer], said->of[writer], writer, stream);
    }
  };
  const auto end = [&](unsigned writer) {
    kill(children[writer], SIGKILL);
    int status = 0;
    ASSERT_EQ(waitpid(children[writer], &status, 0), children[writer]);
    ASSERT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL)
        << "writer " << writer << " ended by itself: " << status;
    verify_writer(segment, *own[writer], said->of[writer], writer);
  };
  const int rounds = kill_rounds();
  for (unsigned writer = 0; writer < writer_count; ++writer)
    start(writer, writer);
  for (int round = 0; round < rounds && !testing::Test::HasFailure(); ++round) {
    sleep_ns(static_cast<long>(random.below(400'000)) + 20'000);
    const unsigned writer = static_cast<unsigned>(round) % writer_count;
    end(writer);
    // Now and then nobody writes, and everything can be counted.
    if (round % 10 == 9) {
      end(1 - writer);
      account expected{.blocks = base.live_blocks, .bytes = base.live_bytes};
      for (const ledger& one : said->of) {
        for (unsigned slot = 0; slot < slots_per_writer; ++slot) {
          if (one.values[slot].load() == 0) continue;
          ++expected.blocks;
          expected.bytes += sizes[slot / slots_per_kind];
        }
      }
      const auto now = acre::or_throw(segment.statistics());
      EXPECT_EQ(now.live_blocks, expected.blocks);
      EXPECT_EQ(now.live_bytes, expected.bytes);
      const auto sound = segment.check_invariants();
      EXPECT_TRUE(sound) << sound.error().message();
      start(1 - writer, static_cast<std::uint64_t>(round) + 2'000'000);
    }
    start(writer, static_cast<std::uint64_t>(round) + 1'000'000);
  }
  for (const pid_t child : children) {
    kill(child, SIGKILL);
    waitpid(child, nullptr, 0);
  }
  const std::uint64_t all = callbacks + said->recoveries_in_writers.load();
  const std::uint64_t operations = said->of[0].operations.load() + said->of[1].operations.load();
  std::printf(
      "%d writers killed in %llu operations; %llu died within one (%llu found by other "
      "writers); %llu blocks undone, %llu completed by the verifier\n",
      rounds + rounds / 10, static_cast<unsigned long long>(operations),
      static_cast<unsigned long long>(all),
      static_cast<unsigned long long>(said->recoveries_in_writers.load()),
      static_cast<unsigned long long>(undone), static_cast<unsigned long long>(completed));
  EXPECT_GT(all, 0U);
  EXPECT_TRUE(is_pid_known);
  munmap(said, sizeof *said);
}

// --- what the dead process was in --------------------------------------------------------------

/// Kills itself in its constructor, after it has allocated.
struct suicidal {
  explicit suicidal(shared_segment& segment) {
    static_cast<void>(segment.construct_at(inner, std::uint64_t{5}));
    kill(getpid(), SIGKILL);
  }
  offset_ptr<small_cell> inner;
};

/// Runs `body` in a child that is killed in it, and tells what the next to lock hears.
segment_recovery recovery_after(shared_segment& segment, segment_recovery& heard,
                                const std::function<void()>& body, pid_t* child = nullptr) {
  heard = {};
  const pid_t made = fork();
  if (made == 0) {
    body();
    _exit(0);
  }
  if (child != nullptr) *child = made;
  int status = 0;
  waitpid(made, &status, 0);
  EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
  EXPECT_TRUE(segment.statistics());
  return heard;
}

TEST(segment_kill, tells_what_the_dead_process_was_in) {
  segment_recovery heard;
  shared_segment segment = acre::or_throw(shared_segment::unnamed(
      "recovery", {.size_bytes = 256 * kib},
      {.layout = {},
       .on_recovery = [&](shared_segment&, const segment_recovery& found) { heard = found; }}));
  const auto before = acre::or_throw(segment.statistics());
  pid_t child = 0;

  const auto in_section = recovery_after(
      segment, heard,
      [&] {
        const auto held = segment.lock();
        kill(getpid(), SIGKILL);
      },
      &child);
  EXPECT_TRUE(in_section.in_section);
  EXPECT_FALSE(in_section.in_object);
  EXPECT_EQ(in_section.dead_process, child);
  EXPECT_EQ(in_section.undone, 0U);

  const auto in_object = recovery_after(
      segment, heard, [&] { static_cast<void>(segment.construct<suicidal>("suicidal", segment)); });
  EXPECT_FALSE(in_object.in_section);
  EXPECT_TRUE(in_object.in_object);
  EXPECT_EQ(in_object.undone, 1U);
  EXPECT_GE(in_object.recovered_bytes, sizeof(suicidal));
  EXPECT_EQ(segment.find<suicidal>("suicidal").error().number, ENOENT);
  // What the object had allocated itself is without an owner, and swept.
  EXPECT_EQ(acre::or_throw(segment.statistics()).live_blocks, before.live_blocks + 1);
  EXPECT_TRUE(segment.sweep([](const void*, std::size_t) { return false; }));
  const auto after = acre::or_throw(segment.statistics());
  EXPECT_EQ(after.live_blocks, before.live_blocks);
  EXPECT_EQ(after.recoveries, 2U);
  EXPECT_TRUE(segment.check_invariants());
}

TEST(segment_kill, tells_the_next_process_when_the_first_dies_in_its_callback) {
  auto* const calls = share<std::atomic<int>>();
  ASSERT_NE(calls, nullptr);
  segment_recovery heard;
  shared_segment segment = acre::or_throw(shared_segment::unnamed(
      "twice", {.size_bytes = 256 * kib},
      {.layout = {}, .on_recovery = [&](shared_segment&, const segment_recovery& found) {
         if (++*calls == 1) kill(getpid(), SIGKILL);
         heard = found;
       }}));
  const pid_t first = fork();
  if (first == 0) {
    const auto held = segment.lock();
    kill(getpid(), SIGKILL);
  }
  waitpid(first, nullptr, 0);
  const pid_t second = fork();
  if (second == 0) _exit(segment.statistics() ? 0 : 1);
  waitpid(second, nullptr, 0);
  EXPECT_TRUE(segment.statistics());
  EXPECT_EQ(*calls, 2);
  EXPECT_TRUE(heard.in_section);
  munmap(calls, sizeof *calls);
}

TEST(segment_kill, tells_the_next_with_a_callback_what_one_without_repaired) {
  int calls = 0;
  segment_recovery heard;
  const segment_use listening{
      .layout = {}, .on_recovery = [&](shared_segment& own, const segment_recovery& found) {
        ++calls;
        heard = found;
        EXPECT_TRUE(own.check_invariants());
      }};
  shared_segment listener =
      acre::or_throw(shared_segment::unnamed("untold", {.size_bytes = 256 * kib}, listening));
  auto deaf = acre::or_throw(shared_segment::of_descriptor(listener.descriptor()));
  const auto die_in_section = [&] {
    const pid_t child = fork();
    if (child == 0) {
      const auto held = deaf.lock();
      kill(getpid(), SIGKILL);
    }
    waitpid(child, nullptr, 0);
    EXPECT_TRUE(deaf.statistics());
  };
  die_in_section();
  EXPECT_EQ(calls, 0);
  EXPECT_TRUE(listener.statistics());  // takes the lock
  EXPECT_EQ(calls, 1);
  EXPECT_TRUE(heard.in_section);
  EXPECT_TRUE(listener.statistics());
  EXPECT_EQ(calls, 1);

  die_in_section();
  heard = {};
  EXPECT_TRUE(shared_segment::of_descriptor(listener.descriptor()));  // hears nothing either
  auto opener = shared_segment::of_descriptor(listener.descriptor(), listening);
  ASSERT_TRUE(opener) << opener.error().message();
  EXPECT_EQ(calls, 2);
  EXPECT_TRUE(heard.in_section);
  EXPECT_TRUE(listener.statistics());
  EXPECT_EQ(calls, 2);
  EXPECT_EQ(acre::or_throw(listener.statistics()).recoveries, 2U);
}

TEST(segment_kill, repairs_at_opening_what_the_last_user_left) {
  const std::string name = "/acre-segment-kill-" + std::to_string(getpid());
  const auto place = acre::region::segment_place::in_memory(name);
  const pid_t child = fork();
  if (child == 0) {
    auto segment = shared_segment::create(place, {.size_bytes = 256 * kib});
    if (!segment) _exit(1);
    static_cast<void>(segment->construct<small_cell>("kept", std::uint64_t{77}));
    const auto held = segment->lock();
    static_cast<void>(segment->construct<suicidal>("suicidal", *segment));
  }
  waitpid(child, nullptr, 0);
  segment_recovery heard;
  const auto segment = shared_segment::open(
      place, {.layout = {}, .on_recovery = [&](shared_segment& own, const segment_recovery& found) {
                heard = found;
                EXPECT_TRUE(own.sweep([](const void*, std::size_t) { return false; }));
              }});
  EXPECT_TRUE(shared_segment::remove(place));
  ASSERT_TRUE(segment) << segment.error().message();
  EXPECT_TRUE(heard.in_section);
  EXPECT_TRUE(heard.in_object);
  EXPECT_EQ(heard.dead_process, child);
  EXPECT_EQ(acre::or_throw(segment->find<small_cell>("kept"))->value, 77U);
  EXPECT_EQ(acre::or_throw(segment->statistics()).live_blocks, 1U);
  EXPECT_TRUE(segment->check_invariants());
}

/// Runs `body` in a child that is killed at its end.
void in_killed_child(const std::function<void()>& body) {
  const pid_t child = fork();
  if (child == 0) {
    body();
    kill(getpid(), SIGKILL);
  }
  waitpid(child, nullptr, 0);
}

TEST(segment_kill, refuses_what_a_dead_process_left_beyond_repair) {
  shared_segment segment =
      acre::or_throw(shared_segment::unnamed("broken", {.size_bytes = 256 * kib}));
  void* const data = segment.allocate(100);
  in_killed_child([&] {
    const auto held = segment.lock();
    // Wild writes over the head's neighbours, where the descriptors are.
    std::fill_n(static_cast<std::byte*>(segment.base()) + 4096, 8192, std::byte{0x5a});
    kill(getpid(), SIGKILL);
  });
  EXPECT_EQ(segment.statistics().error().number, EBADMSG);
  EXPECT_EQ(segment.statistics().error().number, ENOTRECOVERABLE);
  EXPECT_EQ(segment.try_allocate(1).error().number, ENOTRECOVERABLE);
  EXPECT_DEATH(segment.deallocate(data), "nobody repaired it");
}

TEST(robust_mutex, tells_of_a_dead_owner_until_repaired_or_given_up) {
  using acre::region::lock_state;
  using acre::region::robust_mutex;
  auto* const mutex = share<robust_mutex>();
  ASSERT_NE(mutex, nullptr);
  const auto die_with_it = [&] { in_killed_child([&] { static_cast<void>(mutex->lock()); }); };
  EXPECT_EQ(*mutex->lock(), lock_state::clean);
  EXPECT_EQ(*mutex->lock(), lock_state::clean);  // recursive
  EXPECT_EQ(mutex->holds(), 2U);
  mutex->unlock();
  mutex->unlock();
  die_with_it();
  EXPECT_EQ(*mutex->lock(), lock_state::owner_died);
  mutex->mark_repaired();
  mutex->unlock();
  EXPECT_EQ(*mutex->lock(), lock_state::clean);
  mutex->unlock();
  die_with_it();
  EXPECT_EQ(*mutex->lock(), lock_state::owner_died);
  mutex->unlock();
  // For other threads, too, and again.
  EXPECT_EQ(mutex->lock().error().number, ENOTRECOVERABLE);
  std::thread([&] { EXPECT_EQ(mutex->lock().error().number, ENOTRECOVERABLE); }).join();
  EXPECT_EQ(mutex->lock().error().number, ENOTRECOVERABLE);
  munmap(mutex, sizeof *mutex);
}

// --- every instruction -------------------------------------------------------------------------

/// The script that a stepped process runs, one operation a line.
using operation = void (*)(shared_segment& segment, links& own);
constexpr std::array<operation, 13> script{
    [](shared_segment& s, links& own) { change_slot(s, own, 0, 0, 11); },   // a new slab
    [](shared_segment& s, links& own) { change_slot(s, own, 0, 1, 12); },   // the same slab
    [](shared_segment& s, links& own) { change_slot(s, own, 0, 0, 13); },   // replaced
    [](shared_segment& s, links& own) { change_slot(s, own, 0, 12, 14); },  // named
    [](shared_segment& s, links& own) { change_slot(s, own, 0, 13, 15); },  // named
    [](shared_segment& s, links& own) { change_slot(s, own, 0, 8, 16); },   // large
    [](shared_segment& s, links& own) { change_slot(s, own, 0, 9, 17); },   // large, after growth
    [](shared_segment& s, links& own) { change_slot(s, own, 0, 12, 0); },   // a name goes
    [](shared_segment& s, links& own) { change_slot(s, own, 0, 8, 18); },   // large, replaced
    [](shared_segment& s, links& own) { change_slot(s, own, 0, 0, 0); },
    [](shared_segment& s, links& own) { change_slot(s, own, 0, 1, 0); },  // the slab is empty
    [](shared_segment& s, links& own) { change_slot(s, own, 0, 9, 0); },
    [](shared_segment& s, links& own) { change_slot(s, own, 0, 13, 0); },
};

/// Everything that counts in a segment.
std::string signature(shared_segment& segment) {
  const links& own = *acre::or_throw(segment.find<links>("links"));
  std::string text;
  for (unsigned slot = 0; slot < slots_per_writer; ++slot)
    text += std::to_string(value_in(segment, own, 0, slot)) + ' ';
  const auto now = acre::or_throw(segment.statistics());
  return text + std::to_string(now.live_blocks) + ' ' + std::to_string(now.live_bytes);
}

/// A copy of the segment's file as it is now, which a kill of all its users would leave.
class snapshot {
 public:
  explicit snapshot(int of) : file_(memfd_create("snapshot", MFD_CLOEXEC)) {
    struct stat status{};
    EXPECT_EQ(fstat(of, &status), 0);
    std::vector<std::byte> bytes(static_cast<std::size_t>(status.st_size));
    EXPECT_EQ(pread(of, bytes.data(), bytes.size(), 0), status.st_size);
    EXPECT_EQ(write(file_, bytes.data(), bytes.size()), status.st_size);
  }
  snapshot(const snapshot&) = delete;
  snapshot& operator=(const snapshot&) = delete;
  ~snapshot() { close(file_); }

  [[nodiscard]] int descriptor() const { return file_; }
  /// Opens it as somebody does who comes after all users have died.
  [[nodiscard]] acre::result<shared_segment> open() const {
    return shared_segment::of_descriptor(file_);
  }

 private:
  int file_;
};

/// Runs `body` in a child, instruction by instruction, and calls `look(count)` after each
/// `every`th. Returns: whether the child ran to its end; nothing when ptrace(2) is not allowed
/// here.
std::optional<bool> step_through(const std::function<void()>& body, std::uint64_t every,
                                 const std::function<void(std::uint64_t)>& look) {
  const pid_t child = fork();
  if (child == 0) {
    if (ptrace(PTRACE_TRACEME, 0, nullptr, nullptr) != 0) _exit(1);
    raise(SIGSTOP);
    body();
    _exit(0);
  }
  int status = 0;
  if (waitpid(child, &status, 0) != child || !WIFSTOPPED(status)) return std::nullopt;
  for (std::uint64_t count = 1; ptrace(PTRACE_SINGLESTEP, child, nullptr, nullptr) == 0; ++count) {
    if (waitpid(child, &status, 0) != child || !WIFSTOPPED(status)) break;
    if (count % every == 0) look(count);
    if (testing::Test::HasFailure()) {
      kill(child, SIGKILL);
      waitpid(child, &status, 0);
      break;
    }
  }
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/// What the script's segment holds after each of its operations.
std::vector<std::string> signatures_of_script(shared_segment model) {
  std::vector<std::string> expected;
  links& own = *acre::or_throw(model.find<links>("links"));
  expected.push_back(signature(model));
  for (const operation step : script) {
    step(model, own);
    expected.push_back(signature(model));
  }
  return expected;
}

shared_segment segment_for_script() {
  auto made = acre::or_throw(
      shared_segment::unnamed("stepped", {.size_bytes = 48 * kib, .limit_bytes = 128 * kib}));
  static_cast<void>(acre::or_throw(made.construct<links>("links")));
  return made;
}

/// ACRE_KILL_EVERY, or what fits into a second.
std::uint64_t look_every(std::uint64_t otherwise) {
  const char* const given = std::getenv("ACRE_KILL_EVERY");
  return given != nullptr ? std::strtoull(given, nullptr, 0) : otherwise;
}

TEST(segment_kill, loses_nothing_after_any_instruction) {
  if (acre_test::is_sanitized) GTEST_SKIP() << "a sanitizer's own instructions are too many";
  const std::vector<std::string> expected = signatures_of_script(segment_for_script());
  shared_segment segment = segment_for_script();
  auto* const done = share<std::atomic<std::size_t>>();
  ASSERT_NE(done, nullptr);
  std::uint64_t instructions = 0;
  std::uint64_t torn = 0;
  std::uint64_t opened_again = 0;
  const auto look = [&](std::uint64_t count) {
    const snapshot left(segment.descriptor());
    auto after = left.open();
    ASSERT_TRUE(after) << "after instruction " << count << ": " << after.error().message();
    const std::size_t finished = done->load();
    const std::string there = signature(*after);
    EXPECT_TRUE(there == expected[finished] ||
                (finished < script.size() && there == expected[finished + 1]))
        << "after instruction " << count << ", in operation " << finished << ": " << there;
    const auto sound = after->check_invariants();
    EXPECT_TRUE(sound) << sound.error().message();
    torn += acre::or_throw(after->statistics()).recoveries;
    instructions = count;
    ++opened_again;
  };
  const auto is_done = step_through(
      [&] {
        links& own = *acre::or_throw(segment.find<links>("links"));
        for (const operation step : script) {
          step(segment, own);
          ++*done;
        }
      },
      look_every(23), look);
  if (!is_done) GTEST_SKIP() << "ptrace is not allowed here";
  EXPECT_TRUE(*is_done);
  EXPECT_EQ(done->load(), script.size());
  std::printf("%llu instructions, %llu snapshots opened, %llu of them within an operation\n",
              static_cast<unsigned long long>(instructions),
              static_cast<unsigned long long>(opened_again), static_cast<unsigned long long>(torn));
  munmap(done, sizeof *done);
}

TEST(segment_kill, loses_nothing_when_the_repair_is_killed_too) {
  if (acre_test::is_sanitized) GTEST_SKIP() << "a sanitizer's own instructions are too many";
  // Torn segments: what the script leaves at a few moments, and what is right for each.
  std::vector<std::pair<std::unique_ptr<snapshot>, std::string>> torn;
  shared_segment segment = segment_for_script();
  const auto keep_torn = [&](std::uint64_t) {
    auto left = std::make_unique<snapshot>(segment.descriptor());
    const snapshot copy(left->descriptor());
    auto after = acre::or_throw(copy.open());
    if (acre::or_throw(after.statistics()).recoveries > 0)
      torn.emplace_back(std::move(left), signature(after));
  };
  const auto is_done = step_through(
      [&] {
        links& own = *acre::or_throw(segment.find<links>("links"));
        for (const operation step : script)
          step(segment, own);
      },
      1499, keep_torn);
  if (!is_done) GTEST_SKIP() << "ptrace is not allowed here";
  ASSERT_FALSE(torn.empty());
  std::uint64_t looks = 0;
  for (const auto& [left, expected] : torn) {
    const auto look = [&, at = left.get(), &is = expected](std::uint64_t count) {
      const snapshot again(at->descriptor());
      int told = 0;
      auto after = shared_segment::of_descriptor(
          again.descriptor(),
          {.layout = {}, .on_recovery = [&](shared_segment&, const segment_recovery&) { ++told; }});
      EXPECT_EQ(told, 1) << "after instruction " << count;
      ASSERT_TRUE(after) << "after instruction " << count << ": " << after.error().message();
      EXPECT_EQ(signature(*after), is);
      EXPECT_TRUE(after->check_invariants());
      ++looks;
    };
    const auto is_repaired = step_through(
        [&] {
          if (!left->open()) _exit(1);
        },
        look_every(307), look);
    EXPECT_EQ(is_repaired, true);
  }
  std::printf("%zu torn segments, their repair looked at %llu times\n", torn.size(),
              static_cast<unsigned long long>(looks));
  EXPECT_GT(looks, 0U);
}

}  // namespace
