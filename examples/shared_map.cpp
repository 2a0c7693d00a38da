// Two processes share a map, each at its own address; a third is killed in the middle of a change.
#include <acre/region/shared_segment.hpp>

#include <array>
#include <csignal>
#include <cstdio>
#include <string>

#include <sys/wait.h>
#include <unistd.h>

namespace region = acre::region;

/// A map from numbers to counts: chains of entries, each of which exists exactly when it is linked.
struct entry {
  int key;
  long count;
  region::offset_ptr<entry> next;
};

struct counts {
  std::array<region::offset_ptr<entry>, 64> chains;

  region::offset_ptr<entry>& link_to(int key) {
    region::offset_ptr<entry>* link = &chains[static_cast<unsigned>(key) % chains.size()];
    while (*link && (*link)->key != key)
      link = &(*link)->next;
    return *link;
  }
};

/// Counts a key; false when the segment is full.
bool count_one(region::shared_segment& segment, counts& map, int key) {
  const auto held = segment.lock();
  if (!held) return false;
  auto& link = map.link_to(key);
  if (!link && !segment.construct_at(link, entry{.key = key, .count = 0, .next = nullptr})) {
    return false;
  }
  ++link->count;
  return true;
}

int main() {
  const auto place =
      region::segment_place::in_memory("/acre-example-map-" + std::to_string(getpid()));
  region::segment_use use;
  use.on_recovery = [](region::shared_segment&, const region::segment_recovery& found) {
    std::printf("a process died%s; its work is complete or undone\n",
                found.in_section ? " in its section" : "");
    (void)std::fflush(stdout);
  };
  auto made =
      region::shared_segment::create(place, {.size_bytes = 64 << 10, .limit_bytes = 16 << 20}, use);
  if (!made) {
    std::printf("no shared memory here: %s\n", made.error().message().c_str());
    return 77;
  }
  auto& map = *acre::or_throw(made->construct<counts>("counts"));

  const pid_t other = fork();
  if (other == 0) {
    // Opens the segment as a program of its own would, and gets it at another address.
    auto mine = region::shared_segment::open(place, use);
    if (!mine || mine->base() == made->base()) _exit(1);
    auto found = mine->find<counts>("counts");
    if (!found) _exit(2);
    for (int key = 0; key < 20'000; ++key) {
      if (!count_one(*mine, **found, key % 5000)) _exit(3);
    }
    _exit(0);
  }
  const pid_t victim = fork();
  if (victim == 0) {
    count_one(*made, map, 1);
    const auto held = made->lock();
    (void)kill(getpid(), SIGKILL);
  }
  for (int key = 0; key < 20'000; ++key) {
    if (!count_one(*made, map, key % 5000)) return 1;
  }
  int status = 0;
  (void)waitpid(victim, nullptr, 0);
  (void)waitpid(other, &status, 0);

  long total = 0;
  int keys = 0;
  for (const auto& chain : map.chains) {
    for (const entry* at = chain.get(); at != nullptr; at = at->next.get()) {
      total += at->count;
      ++keys;
    }
  }
  const auto now = acre::or_throw(made->statistics());
  std::printf("%d keys counted %ld times in %zu blocks; the segment grew to %zu KiB\n", keys, total,
              now.live_blocks, now.size_bytes >> 10U);
  acre::or_throw(region::shared_segment::remove(place));
  acre::or_throw(made->check_invariants());
  const bool is_right = status == 0 && keys == 5000 && total == 40'001 && now.recoveries == 1;
  return is_right ? 0 : 1;
}
