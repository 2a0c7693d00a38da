// A heap as an object: containers on it, then everything freed at once.
#include <acre/heap/heap.hpp>

#include <memory_resource>
#include <string>
#include <vector>

int main() {
  acre::heap heap({.name = "consumer"});
  std::pmr::vector<std::pmr::string> words(&heap);
  for (int i = 0; i < 1000; ++i)
    words.emplace_back("a string too long for the small buffer");
  const bool held = heap.statistics().live_bytes > 0 && heap.owns(words.data());
  return held ? 0 : 1;
}
