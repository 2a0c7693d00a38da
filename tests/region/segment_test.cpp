// The managed shared segment: objects, links and bare blocks against models, through two mappings
// at different addresses, between processes and threads; and every refusal. What is killed within
// an operation has its own file, segment_kill_test.cpp.
#include <acre/region/refused.hpp>
#include <acre/region/segment_allocator.hpp>
#include <acre/region/shared_segment.hpp>

#include "support/child.hpp"
#include "support/pattern.hpp"
#include "support/random.hpp"
#include "support/sanitizer.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <deque>
#include <map>
#include <random>
#include <set>
#include <string>
#include <thread>
#include <vector>

#if __has_include(<boost/container/map.hpp>)
#include <boost/container/map.hpp>
#include <boost/container/string.hpp>
#endif

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

namespace {

using acre::region::offset_ptr;
using acre::region::refused;
using acre::region::segment_allocator;
using acre::region::segment_extent;
using acre::region::segment_place;
using acre::region::shared_segment;

constexpr std::size_t mib = 1 << 20;

shared_segment make(const segment_extent& extent = {.size_bytes = mib}) {
  return acre::or_throw(shared_segment::unnamed("test", extent));
}

/// The same segment once more, at another address.
shared_segment again(const shared_segment& segment) {
  return acre::or_throw(shared_segment::of_descriptor(segment.descriptor()));
}

template <class T>
int number_of(const acre::result<T>& outcome) {
  return outcome ? 0 : outcome.error().number;
}

void expect_sound(const shared_segment& segment) {
  const auto sound = segment.check_invariants();
  EXPECT_TRUE(sound.has_value()) << sound.error().message();
}

/// A name in /dev/shm or a file that goes with the test.
class named_place {
 public:
  explicit named_place(const char* suffix = "")
      : place_(
            segment_place::in_memory("/acre-segment-test-" + std::to_string(getpid()) + suffix)) {}
  named_place(const named_place&) = delete;
  named_place& operator=(const named_place&) = delete;
  ~named_place() { static_cast<void>(shared_segment::remove(place_)); }
  [[nodiscard]] const segment_place& get() const { return place_; }

 private:
  segment_place place_;
};

// --- offset_ptr --------------------------------------------------------------------------------

TEST(offset_ptr, behaves_as_a_plain_pointer) {
  std::array<int, 8> numbers{0, 1, 2, 3, 4, 5, 6, 7};
  offset_ptr<int> at(numbers.data());
  const offset_ptr<int> copy = at;
  EXPECT_EQ(*at, 0);
  EXPECT_EQ(at[3], 3);
  EXPECT_EQ(*(at + 5), 5);
  EXPECT_EQ(*(2 + at), 2);
  ++at;
  at += 2;
  EXPECT_EQ(*at--, 3);
  EXPECT_EQ(at - copy, 2);
  EXPECT_GT(at, copy);
  EXPECT_NE(at, copy);
  EXPECT_EQ(copy, numbers.data());
  EXPECT_EQ(std::hash<offset_ptr<int>>()(copy), std::hash<int*>()(numbers.data()));
  const offset_ptr<const int> constant = at;
  EXPECT_EQ(constant.get(), at.get());
  const offset_ptr<void> untyped = at;
  EXPECT_EQ(static_cast<offset_ptr<int>>(untyped), at);
  std::ranges::sort(copy, copy + 8, std::greater<>());
  EXPECT_EQ(numbers.front(), 7);
}

TEST(offset_ptr, is_null_by_default_and_may_point_to_itself) {
  offset_ptr<int> none;
  EXPECT_FALSE(none);
  EXPECT_EQ(none, nullptr);
  EXPECT_EQ(none.get(), nullptr);
  const offset_ptr<int> copy = none;
  EXPECT_EQ(copy, nullptr);
  offset_ptr<void> own;
  own = &own;
  EXPECT_TRUE(static_cast<bool>(own));
  EXPECT_EQ(own.get(), &own);
  own = nullptr;
  EXPECT_EQ(own.get(), nullptr);
}

struct left_base {
  int left = 1;
};
struct right_base {
  int right = 2;
};
struct joined : left_base, right_base {};

TEST(offset_ptr, adjusts_from_a_derived_object_to_each_base) {
  joined object;
  const offset_ptr<joined> whole(&object);
  const offset_ptr<right_base> right = whole;
  EXPECT_EQ(right.get(), static_cast<right_base*>(&object));
  EXPECT_EQ(right->right, 2);
  EXPECT_EQ(static_cast<offset_ptr<joined>>(right), whole);
  const offset_ptr<left_base> left = whole;
  EXPECT_EQ(left->left, 1);
  const offset_ptr<joined> none;
  const offset_ptr<right_base> no_base = none;
  EXPECT_EQ(no_base, nullptr);
}

// --- named objects -----------------------------------------------------------------------------

struct point {
  int x;
  int y;
};

TEST(shared_segment, finds_objects_by_name_through_another_mapping) {
  shared_segment first = make();
  shared_segment second = again(first);
  ASSERT_NE(first.base(), second.base());
  point* const made = acre::or_throw(first.construct<point>("origin", 3, 4));
  point* const found = acre::or_throw(second.find<point>("origin"));
  EXPECT_NE(made, found);
  EXPECT_EQ(found->y, 4);
  found->x = 7;
  EXPECT_EQ(made->x, 7);
  EXPECT_EQ(acre::or_throw(second.find_or_construct<point>("origin", 0, 0)), found);
  EXPECT_EQ(acre::or_throw(first.statistics()).names, 1U);
  EXPECT_TRUE(second.destroy<point>("origin"));
  EXPECT_EQ(number_of(first.find<point>("origin")), ENOENT);
  EXPECT_EQ(acre::or_throw(first.statistics()).live_blocks, 0U);
  expect_sound(first);
}

TEST(shared_segment, is_mapped_where_asked) {
  const shared_segment first = make();
  void* const free_place = mmap(nullptr, 16 * mib, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  ASSERT_NE(free_place, MAP_FAILED);
  EXPECT_EQ(number_of(shared_segment::of_descriptor(
                first.descriptor(), {.layout = {}, .on_recovery = {}, .address = free_place})),
            EEXIST);
  munmap(free_place, 16 * mib);
  const auto second = shared_segment::of_descriptor(
      first.descriptor(), {.layout = {}, .on_recovery = {}, .address = free_place});
  ASSERT_TRUE(second) << second.error().message();
  EXPECT_EQ(second->base(), static_cast<std::byte*>(free_place) + sysconf(_SC_PAGESIZE));
}

TEST(shared_segment, refuses_names_and_types_that_do_not_fit) {
  shared_segment segment = make();
  ASSERT_TRUE(segment.construct<point>("a", 1, 2));
  EXPECT_EQ(number_of(segment.construct<point>("a", 1, 2)), EEXIST);
  EXPECT_EQ(number_of(segment.construct<int>("a", 1)), EEXIST);
  EXPECT_EQ(number_of(segment.find<long>("a")), EPROTOTYPE);  // of the same size
  EXPECT_EQ(number_of(segment.find_or_construct<int>("a", 1)), EPROTOTYPE);
  EXPECT_EQ(number_of(segment.destroy<int>("a")), EPROTOTYPE);
  EXPECT_EQ(number_of(segment.destroy<point>("b")), ENOENT);
  EXPECT_EQ(number_of(segment.construct<int>("")), EINVAL);
  EXPECT_EQ(number_of(segment.construct<int>(std::string(256, 'n'))), ENAMETOOLONG);
  EXPECT_TRUE(segment.construct<int>(std::string(255, 'n')));
  const auto mismatch = segment.find<int>("a");
  ASSERT_FALSE(mismatch);
  EXPECT_EQ(mismatch.error().message(),
            "shared_segment: Protocol wrong type for socket (the name belongs to an object of "
            "another type, of 8 bytes)");
}

TEST(shared_segment, undoes_a_construction_that_throws) {
  struct thrower {
    thrower() { throw std::runtime_error("no"); }
  };
  shared_segment segment = make();
  auto* const link = acre::or_throw(segment.construct<offset_ptr<thrower>>("link"));
  const auto before = acre::or_throw(segment.statistics());
  EXPECT_THROW(static_cast<void>(segment.construct<thrower>("thrower")), std::runtime_error);
  EXPECT_THROW(static_cast<void>(segment.construct_at(*link)), std::runtime_error);
  EXPECT_THROW(static_cast<void>(segment.replace_at(*link)), std::runtime_error);
  EXPECT_EQ(*link, nullptr);
  EXPECT_EQ(acre::or_throw(segment.statistics()).live_blocks, before.live_blocks);
  EXPECT_EQ(number_of(segment.find<thrower>("thrower")), ENOENT);
  expect_sound(segment);
  // The lock is free again: another thread can take it.
  std::thread([&] { EXPECT_TRUE(segment.construct<int>("after", 1)); }).join();
}

struct nested {
  nested(shared_segment& segment, int depth) {
    if (depth == 0) return;
    inner = nullptr;
    failure = number_of(segment.construct_at(inner, segment, depth - 1));
  }
  offset_ptr<nested> inner;
  int failure = 0;
};

TEST(shared_segment, lets_constructors_construct_up_to_a_depth) {
  shared_segment segment = make();
  const nested* at = acre::or_throw(segment.construct<nested>("nested", segment, 100));
  unsigned depth = 1;
  for (; at->inner; at = at->inner.get())
    ++depth;
  EXPECT_EQ(depth, 15U);
  EXPECT_EQ(at->failure, ELOOP);
  EXPECT_EQ(acre::or_throw(segment.statistics()).live_blocks, depth);
  expect_sound(segment);
}

TEST(shared_segment, keeps_many_names) {
  shared_segment segment = make({.size_bytes = mib, .limit_bytes = 8 * mib});
  std::set<std::string> expected;
  for (int index = 0; index < 2000; ++index) {
    expected.insert("name " + std::to_string(index));
    ASSERT_TRUE(segment.construct<int>("name " + std::to_string(index), index));
  }
  std::set<std::string> seen;
  ASSERT_TRUE(segment.for_each_name([&](std::string_view name, std::size_t size_bytes) {
    EXPECT_EQ(size_bytes, sizeof(int));
    seen.emplace(name);
  }));
  EXPECT_EQ(seen, expected);
  for (int index = 1999; index >= 0; --index) {
    const std::string name = "name " + std::to_string(index);
    EXPECT_EQ(*acre::or_throw(segment.find<int>(name)), index);
    ASSERT_TRUE(segment.destroy<int>(name));
  }
  EXPECT_EQ(acre::or_throw(segment.statistics()).live_bytes, 0U);
  expect_sound(segment);
}

// --- links -------------------------------------------------------------------------------------

struct node {
  node(int number, offset_ptr<node> behind) : value(number), next(behind) { ++alive; }
  ~node() { --alive; }
  node(const node&) = delete;
  node& operator=(const node&) = delete;
  int value;
  offset_ptr<node> next;
  static inline int alive = 0;
};

TEST(shared_segment, links_replaces_and_unlinks_objects) {
  shared_segment segment = make();
  auto& first = *acre::or_throw(segment.construct<offset_ptr<node>>("list"));
  node::alive = 0;
  for (int value = 0; value < 3; ++value)
    ASSERT_TRUE(segment.construct_at(first, value, first));
  EXPECT_EQ(first->value, 2);
  EXPECT_EQ(first->next->next->value, 0);
  ASSERT_TRUE(segment.replace_at(first->next, 10, first->next->next));
  EXPECT_EQ(first->next->value, 10);
  EXPECT_EQ(first->next->next->value, 0);
  EXPECT_EQ(node::alive, 3);
  ASSERT_TRUE(segment.destroy_at(first->next, first->next->next.get()));
  EXPECT_EQ(first->next->value, 0);
  EXPECT_EQ(node::alive, 2);
  ASSERT_TRUE(segment.destroy_at(first->next));
  EXPECT_EQ(first->next, nullptr);
  ASSERT_TRUE(segment.replace_at(first->next, 11, nullptr));  // nothing to replace
  EXPECT_EQ(first->next->value, 11);
  EXPECT_EQ(acre::or_throw(segment.statistics()).live_blocks, 3U);
  expect_sound(segment);
}

TEST(shared_segment, refuses_links_that_are_none) {
  shared_segment segment = make();
  offset_ptr<node> outside;
  node::alive = 0;
  EXPECT_EQ(number_of(segment.construct_at(outside, 1, nullptr)), EINVAL);
  EXPECT_EQ(number_of(segment.destroy_at(outside)), EINVAL);
  auto& link = *acre::or_throw(segment.construct<offset_ptr<node>>("link"));
  EXPECT_EQ(number_of(segment.destroy_at(link)), EINVAL);
  ASSERT_TRUE(segment.construct_at(link, 1, nullptr));
  node* const real = link.get();
  link = real + 1;
  EXPECT_EQ(number_of(segment.destroy_at(link)), EINVAL);
  EXPECT_EQ(number_of(segment.replace_at(link, 2, nullptr)), EINVAL);
  link = real;
  EXPECT_EQ(number_of(segment.destroy_at(link, link.get())), EINVAL);
  EXPECT_EQ(link.get(), real);
  EXPECT_EQ(node::alive, 1);
  EXPECT_EQ(acre::or_throw(segment.statistics()).live_blocks, 2U);
  expect_sound(segment);
}

// --- blocks ------------------------------------------------------------------------------------

TEST(shared_segment, gives_blocks_as_a_model_says) {
  std::mt19937_64 random(acre_test::random_source(1).next());
  shared_segment segment = make({.size_bytes = 64 * 1024, .limit_bytes = 4 * mib});
  shared_segment other = again(segment);
  struct block {
    std::size_t offset;
    std::size_t size_bytes;
    std::size_t tag;
  };
  std::vector<block> live;
  std::map<std::size_t, std::size_t> ranges;  // where live blocks start and end
  const auto at = [&](const shared_segment& through, const block& one) {
    return static_cast<std::byte*>(through.base()) + one.offset;
  };
  const int steps = acre_test::is_sanitized ? 4000 : 20000;
  for (int step = 0; step < steps; ++step) {
    if (random() % 100 < 52 || live.empty()) {
      // Each power of two as often as the others.
      const std::size_t size = 1 + random() % (std::size_t{1} << (random() % 17));
      const std::size_t alignment = std::size_t{1} << (random() % 13);
      shared_segment& through = random() % 2 == 0 ? segment : other;
      const auto data = through.try_allocate(size, alignment);
      if (!data) {
        ASSERT_EQ(data.error().number, ENOSPC) << data.error().message();
        continue;
      }
      const auto address = reinterpret_cast<std::uintptr_t>(*data);
      ASSERT_EQ(address % std::max<std::size_t>(alignment, 16), 0U);
      ASSERT_TRUE(through.owns(*data));
      const std::size_t offset = static_cast<std::size_t>(static_cast<std::byte*>(*data) -
                                                          static_cast<std::byte*>(through.base()));
      live.push_back({offset, size, static_cast<std::size_t>(step)});
      const auto next = ranges.lower_bound(offset);
      ASSERT_TRUE(next == ranges.end() || offset + size <= next->first);
      ASSERT_TRUE(next == ranges.begin() || std::prev(next)->second <= offset);
      ranges[offset] = offset + size;
      acre_test::fill_pattern(*data, size, static_cast<std::size_t>(step));
    } else {
      std::swap(live[random() % live.size()], live.back());
      const block gone = live.back();
      live.pop_back();
      ranges.erase(gone.offset);
      ASSERT_TRUE(acre_test::holds_pattern(at(segment, gone), gone.size_bytes, gone.tag));
      shared_segment& through = random() % 2 == 0 ? segment : other;
      through.deallocate(at(through, gone));
    }
    if (step % 500 == 0) expect_sound(segment);
  }
  EXPECT_EQ(acre::or_throw(segment.statistics()).live_blocks, live.size());
  for (const block& rest : live) {
    ASSERT_TRUE(acre_test::holds_pattern(at(other, rest), rest.size_bytes, rest.tag));
    other.deallocate(at(other, rest));
  }
  const auto end = acre::or_throw(segment.statistics());
  EXPECT_EQ(end.live_bytes, 0U);
  expect_sound(other);
  // Everything can be had as one block again.
  EXPECT_TRUE(segment.try_allocate(end.limit_bytes));
}

TEST(shared_segment, refuses_what_does_not_fit) {
  shared_segment segment = make({.size_bytes = 64 * 1024});
  EXPECT_EQ(number_of(segment.try_allocate(64 * 1024 + 1)), ENOSPC);
  EXPECT_EQ(number_of(segment.try_allocate(SIZE_MAX)), ENOSPC);
  EXPECT_EQ(number_of(segment.try_allocate(1, 3)), EINVAL);
  EXPECT_EQ(number_of(segment.try_allocate(1, 0)), EINVAL);
  EXPECT_EQ(number_of(segment.try_allocate(1, 8192)), EINVAL);
  const auto all = segment.try_allocate(64 * 1024);
  ASSERT_TRUE(all);
  EXPECT_EQ(number_of(segment.try_allocate(1)), ENOSPC);
  try {
    static_cast<void>(segment.allocate(1));
    ADD_FAILURE() << "a full segment gave a block";
  } catch (const refused& full) {
    EXPECT_EQ(full.why().number, ENOSPC);
  }
  segment.deallocate(*all);
  segment.deallocate(nullptr);
  EXPECT_TRUE(segment.try_allocate(0));
  expect_sound(segment);
}

TEST(shared_segment, grows_for_every_process_and_moves_nothing) {
  shared_segment first = make({.size_bytes = 64 * 1024, .limit_bytes = 64 * mib});
  shared_segment second = again(first);
  std::byte* const early = static_cast<std::byte*>(first.allocate(100));
  early[0] = std::byte{42};
  const auto before = acre::or_throw(first.statistics());
  std::byte* const late = static_cast<std::byte*>(first.allocate(16 * mib));
  const auto after = acre::or_throw(second.statistics());
  EXPECT_LT(before.size_bytes, after.size_bytes);
  EXPECT_EQ(after.limit_bytes, 64 * mib);
  EXPECT_EQ(early[0], std::byte{42});
  late[16 * mib - 1] = std::byte{43};
  // The other process's mapping reaches there without another call.
  const auto offset = late - static_cast<std::byte*>(first.base());
  EXPECT_EQ(static_cast<std::byte*>(second.base())[offset + std::ptrdiff_t{16 * mib} - 1],
            std::byte{43});
  EXPECT_EQ(number_of(second.try_allocate(50 * mib)), ENOSPC);
  expect_sound(second);
}

TEST(shared_segment, does_not_grow_for_what_cannot_fit) {
  shared_segment segment = make({.size_bytes = 64 * 1024, .limit_bytes = 4 * mib});
  const auto all = segment.allocate(64 * 1024);
  const auto size_of_file = [&] {
    struct stat status{};
    EXPECT_EQ(fstat(segment.descriptor(), &status), 0);
    return std::pair(status.st_size, status.st_blocks);
  };
  const auto before = size_of_file();
  const auto refusal = segment.try_allocate(4 * mib - 64 * 1024 + 1);
  EXPECT_EQ(number_of(refusal), ENOSPC);
  EXPECT_EQ(size_of_file(), before);
  EXPECT_EQ(acre::or_throw(segment.statistics()).size_bytes, 64U * 1024);
  EXPECT_TRUE(segment.try_allocate(4 * mib - 64 * 1024));
  segment.deallocate(all);
  expect_sound(segment);
}

TEST(shared_segment, grows_by_what_the_free_end_lacks) {
  shared_segment segment = make({.size_bytes = 64 * 1024, .limit_bytes = mib});
  static_cast<void>(segment.allocate(16 * 1024));
  EXPECT_TRUE(segment.try_allocate(mib - 16 * 1024));
  expect_sound(segment);
}

TEST(shared_segment, sweeps_blocks_that_nobody_wants) {
  shared_segment segment = make();
  auto* const kept = segment.allocate(100);
  for (int count = 0; count < 50; ++count)
    static_cast<void>(segment.allocate(static_cast<std::size_t>(count) * 400));
  ASSERT_TRUE(segment.construct<int>("named", 5));
  const auto before = acre::or_throw(segment.statistics());
  const auto freed = segment.sweep([&](const void* data, std::size_t) { return data == kept; });
  ASSERT_TRUE(freed);
  const auto after = acre::or_throw(segment.statistics());
  EXPECT_EQ(after.live_blocks, 2U);
  EXPECT_EQ(before.live_bytes - after.live_bytes, *freed);
  EXPECT_EQ(*acre::or_throw(segment.find<int>("named")), 5);
  expect_sound(segment);
}

TEST(shared_segment_death, ends_the_program_on_wrong_addresses) {
  shared_segment segment = make();
  auto* const data = static_cast<std::byte*>(segment.allocate(64));
  EXPECT_DEATH(segment.deallocate(data + 16), "is no block of the segment");
  int outside = 0;
  EXPECT_DEATH(segment.deallocate(&outside), "is no block of the segment");
  segment.deallocate(data);
  EXPECT_DEATH(segment.deallocate(data), "a block was deallocated twice");
  // The death of those processes has damaged nothing.
  expect_sound(segment);
}

// --- containers --------------------------------------------------------------------------------

template <class Container>
void expect_shared_container(int count) {
  shared_segment first = make({.size_bytes = mib, .limit_bytes = 16 * mib});
  shared_segment second = again(first);
  using allocator = typename Container::allocator_type;
  auto* const here = acre::or_throw(first.construct<Container>("container", allocator(first)));
  for (int value = 0; value < count; ++value)
    here->push_back(value);
  auto* const there = acre::or_throw(second.find<Container>("container"));
  ASSERT_EQ(there->size(), static_cast<std::size_t>(count));
  for (int value = 0; value < count; ++value)
    ASSERT_EQ((*there)[static_cast<std::size_t>(value)], value);
  there->push_back(count);
  EXPECT_EQ(here->back(), count);
  EXPECT_TRUE(second.destroy<Container>("container"));
  EXPECT_EQ(acre::or_throw(first.statistics()).live_blocks, 0U);
  expect_sound(first);
}

TEST(segment_allocator, serves_vectors_and_deques) {
  expect_shared_container<std::vector<int, segment_allocator<int>>>(10'000);
  expect_shared_container<std::deque<int, segment_allocator<int>>>(10'000);
}

#if __has_include(<boost/container/map.hpp>)
TEST(segment_allocator, serves_maps_and_strings_of_boost) {
  using text =
      boost::container::basic_string<char, std::char_traits<char>, segment_allocator<char>>;
  using entry = std::pair<const int, text>;
  using map = boost::container::map<int, text, std::less<>, segment_allocator<entry>>;
  shared_segment first = make();
  shared_segment second = again(first);
  auto& here = *acre::or_throw(first.construct<map>("map", segment_allocator<entry>(first)));
  for (int key = 0; key < 500; ++key) {
    here.emplace(key, text(static_cast<std::size_t>(key), 'x', segment_allocator<char>(first)));
  }
  auto& there = *acre::or_throw(second.find<map>("map"));
  ASSERT_EQ(there.size(), 500U);
  for (const auto& [key, value] : there)
    EXPECT_EQ(value.size(), static_cast<std::size_t>(key));
  there.erase(7);
  EXPECT_EQ(here.count(7), 0U);
  EXPECT_TRUE(second.destroy<map>("map"));
  EXPECT_EQ(acre::or_throw(first.statistics()).live_blocks, 0U);
  expect_sound(first);
}
#endif

// --- refusals of files -------------------------------------------------------------------------

TEST(shared_segment, is_created_once_and_opened_by_name) {
  const named_place place;
  EXPECT_EQ(number_of(shared_segment::open(place.get())), ENOENT);
  {
    auto made = shared_segment::create(
        place.get(), {.size_bytes = mib, .limit_bytes = 0, .permissions = 0640},
        {.layout = {.version = 3, .layout_hash = 9}, .on_recovery = {}});
    ASSERT_TRUE(made) << made.error().message();
    ASSERT_TRUE(made->construct<int>("kept", 12));
    EXPECT_EQ(number_of(shared_segment::create(place.get(), {.size_bytes = mib})), EEXIST);
  }
  struct stat status{};
  ASSERT_EQ(stat(place.get().path().c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777U, 0640U);
  EXPECT_EQ(number_of(shared_segment::open(place.get())), EPROTONOSUPPORT);
  EXPECT_EQ(number_of(shared_segment::open(
                place.get(), {.layout = {.version = 3, .layout_hash = 8}, .on_recovery = {}})),
            EPROTOTYPE);
  // Nobody has used it in between: what was in it is there.
  const auto opened = shared_segment::open(
      place.get(), {.layout = {.version = 3, .layout_hash = 9}, .on_recovery = {}});
  ASSERT_TRUE(opened) << opened.error().message();
  EXPECT_EQ(*acre::or_throw(opened->find<int>("kept")), 12);
  EXPECT_TRUE(shared_segment::remove(place.get()));
  EXPECT_EQ(number_of(shared_segment::remove(place.get())), ENOENT);
  expect_sound(*opened);
}

TEST(shared_segment, lives_in_a_file) {
  const std::string path = testing::TempDir() + "acre-segment-" + std::to_string(getpid());
  const auto place = segment_place::in_file(path);
  auto made = shared_segment::create(place, {.size_bytes = mib});
  if (!made && made.error().number == EOPNOTSUPP) GTEST_SKIP() << made.error().message();
  ASSERT_TRUE(made) << made.error().message();
  ASSERT_TRUE(made->construct<int>("kept", 5));
  made = shared_segment::open(place);
  EXPECT_TRUE(made);
  EXPECT_EQ(*acre::or_throw(acre::or_throw(std::move(made)).find<int>("kept")), 5);
  EXPECT_TRUE(shared_segment::remove(place));
}

TEST(shared_segment, refuses_names_that_are_none) {
  for (const std::string name : {"", "/", "/a/b", "..", "/."}) {
    const auto place = segment_place::in_memory(name);
    EXPECT_EQ(number_of(shared_segment::create(place, {.size_bytes = mib})), EINVAL) << name;
    EXPECT_EQ(number_of(shared_segment::open(place)), EINVAL) << name;
    EXPECT_EQ(number_of(shared_segment::remove(place)), EINVAL) << name;
  }
  EXPECT_EQ(number_of(shared_segment::open(segment_place::in_memory(std::string(256, 'n')))),
            EINVAL);
  const std::string with_nul("/dev/shm/acre\0segment", 21);
  for (const auto& place :
       {segment_place::in_memory(with_nul.substr(9)), segment_place::in_file(with_nul)}) {
    EXPECT_EQ(number_of(shared_segment::create(place, {.size_bytes = mib})), EINVAL);
    EXPECT_EQ(number_of(shared_segment::open(place)), EINVAL);
  }
}

TEST(shared_segment, refuses_sizes_that_are_none) {
  EXPECT_EQ(number_of(shared_segment::unnamed("t", {.size_bytes = 0})), EINVAL);
  EXPECT_EQ(number_of(shared_segment::unnamed("t", {.size_bytes = 2, .limit_bytes = 1})), EINVAL);
  EXPECT_EQ(number_of(shared_segment::unnamed("t", {.size_bytes = SIZE_MAX})), EINVAL);
}

/// A segment's file with some bytes changed, opened by nobody else.
int opened_with(std::size_t offset, std::string_view bytes) {
  const int file = memfd_create("damaged", MFD_CLOEXEC);
  {
    shared_segment good = make({.size_bytes = 64 * 1024});
    static_cast<void>(good.construct<int>("name", 1));
    static_cast<void>(good.allocate(20'000));
    struct stat status{};
    EXPECT_EQ(fstat(good.descriptor(), &status), 0);
    EXPECT_EQ(write(file, good.base(), static_cast<std::size_t>(status.st_size)), status.st_size);
  }
  EXPECT_EQ(pwrite(file, bytes.data(), bytes.size(), static_cast<off_t>(offset)),
            static_cast<ssize_t>(bytes.size()));
  const int number = number_of(shared_segment::of_descriptor(file));
  close(file);
  return number;
}

TEST(shared_segment, refuses_damaged_files) {
  EXPECT_EQ(opened_with(0, "acremsg\n"), 0);
  EXPECT_EQ(opened_with(0, "ACREMSG\n"), EBADMSG);            // the magic
  EXPECT_EQ(opened_with(8, "\2"), EPROTONOSUPPORT);           // the format
  EXPECT_EQ(opened_with(24, std::string(8, '\0')), EBADMSG);  // the limit
  EXPECT_EQ(opened_with(32, "\x11"), EBADMSG);                // the size, above the limit
  const int empty = memfd_create("empty", MFD_CLOEXEC);
  EXPECT_EQ(number_of(shared_segment::of_descriptor(empty)), EBADMSG);
  EXPECT_EQ(ftruncate(empty, 1 << 20), 0);
  EXPECT_EQ(number_of(shared_segment::of_descriptor(empty)), EBADMSG);
  close(empty);
  EXPECT_EQ(number_of(shared_segment::of_descriptor(-1)), ENOENT);
  EXPECT_EQ(number_of(shared_segment::open(segment_place::in_file("/dev/null"))), EBADMSG);
}

TEST(shared_segment, forgets_the_lock_of_a_file_that_it_refuses) {
  // Torn, as the lock's count says, and beyond repair, as its journal's depth does: the thread
  // must not stay the owner of a lock whose memory is gone.
  constexpr std::size_t holds_offset = 64 + sizeof(pthread_mutex_t);
  constexpr std::size_t depth_offset = 192;
  std::string torn(depth_offset - holds_offset, '\0');
  torn.front() = '\1';
  torn.append(8, '\x7f');
  for (int round = 0; round < 3; ++round) {
    EXPECT_EQ(opened_with(holds_offset, torn), EBADMSG);
    shared_segment next = make();
    static_cast<void>(next.allocate(1));
  }
}

TEST(shared_segment, refuses_a_truncated_file) {
  const named_place place;
  {
    auto made = shared_segment::create(place.get(), {.size_bytes = mib});
    ASSERT_TRUE(made) << made.error().message();
  }
  ASSERT_EQ(truncate(place.get().path().c_str(), mib), 0);
  const auto opened = shared_segment::open(place.get());
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().number, EBADMSG);
  EXPECT_NE(opened.error().message().find("the file is shorter than the"), std::string::npos);
}

// --- processes and threads ---------------------------------------------------------------------

TEST(shared_segment, is_created_by_one_of_many_processes) {
  const named_place place("-race");
  constexpr int process_count = 8;
  for (int round = 0; round < 10; ++round) {
    std::array<pid_t, process_count> children{};
    for (pid_t& child : children) {
      child = fork();
      if (child != 0) continue;
      auto segment = shared_segment::open_or_create(place.get(),
                                                    {.size_bytes = 64 * 1024, .limit_bytes = mib});
      if (!segment) _exit(1);
      auto count = segment->find_or_construct<std::atomic<int>>("count", 0);
      if (!count) _exit(2);
      ++**count;
      _exit(0);
    }
    for (const pid_t child : children)
      EXPECT_TRUE(acre_test::wait_for(child, 10'000).is_clean());
    const auto segment = shared_segment::open(place.get());
    ASSERT_TRUE(segment) << segment.error().message();
    EXPECT_EQ(*acre::or_throw(segment->find<std::atomic<int>>("count")), process_count);
    expect_sound(*segment);
    EXPECT_TRUE(shared_segment::remove(place.get()));
  }
}

TEST(shared_segment, serves_threads_and_processes_at_once) {
  shared_segment segment = make({.size_bytes = 64 * 1024, .limit_bytes = 16 * mib});
  const int rounds = acre_test::is_sanitized ? 2000 : 20'000;
  const auto work = [&](shared_segment& own, unsigned seed) {
    std::mt19937 random(seed);
    std::vector<std::pair<std::byte*, std::size_t>> held;
    for (int round = 0; round < rounds; ++round) {
      if (held.size() < 50 && random() % 2 == 0) {
        const std::size_t size = 1 + random() % 2000;
        held.emplace_back(static_cast<std::byte*>(own.allocate(size)), size);
        std::memset(held.back().first, static_cast<int>(seed), size);
      } else if (!held.empty()) {
        const auto [data, size] = held.back();
        held.pop_back();
        for (std::size_t index = 0; index < size; ++index) {
          if (data[index] != static_cast<std::byte>(seed)) return false;
        }
        own.deallocate(data);
      }
    }
    for (const auto& [data, size] : held)
      own.deallocate(data);
    return true;
  };
  const pid_t child = fork();
  if (child == 0) {
    shared_segment own = again(segment);
    _exit(work(own, 1) ? 0 : 1);
  }
  std::array<bool, 2> are_right{};
  std::thread first([&] { are_right[0] = work(segment, 2); });
  std::thread second([&] { are_right[1] = work(segment, 3); });
  first.join();
  second.join();
  EXPECT_TRUE(are_right[0] && are_right[1]);
  const auto end = acre_test::wait_for(child, 60'000);
  EXPECT_TRUE(end.is_clean()) << end.text();
  EXPECT_EQ(acre::or_throw(segment.statistics()).live_blocks, 0U);
  expect_sound(segment);
}

TEST(shared_segment, keeps_others_out_of_a_section) {
  shared_segment segment = make();
  auto* const count = acre::or_throw(segment.construct<long>("count", 0));
  const int rounds = acre_test::is_sanitized ? 2000 : 20'000;
  const auto work = [&] {
    for (int round = 0; round < rounds; ++round) {
      const auto held = segment.lock();
      const auto nested_too = segment.lock();
      *count = *count + 1;
    }
  };
  std::thread first(work);
  std::thread second(work);
  first.join();
  second.join();
  EXPECT_EQ(*count, 2L * rounds);
}

}  // namespace
