// Buffers that grow by realloc. `realloc-many`: hundreds of vectors grow side by side, get in each
// other's way, are dropped, and begin again. `realloc-one`: one buffer grows to a gigabyte.

#include "support.hpp"
#include "workload.hpp"

#include <array>

namespace acre::bench {
namespace {

constexpr std::array many_parameters{
    parameter{"vectors", 300, 50}, parameter{"appends", 2000000, 20000}, parameter{"chunk", 64, 64},
    parameter{"limit", 1 << 20, 1 << 16}};

constexpr std::array one_parameters{parameter{"limit_mb", 1024, 16}, parameter{"start", 4096, 4096},
                                    parameter{"percent", 150, 150}};

struct vector_like {
  std::uint8_t* data;
  std::size_t size_bytes;
  std::size_t capacity_bytes;
};

void grow(vector_like& grown, std::size_t capacity_bytes) {
  void* moved = std::realloc(grown.data, capacity_bytes);
  if (moved == nullptr) die("realloc returned null");
  grown.data = static_cast<std::uint8_t*>(moved);
  grown.capacity_bytes = capacity_bytes;
}

std::uint64_t drop(vector_like& old) {
  std::uint64_t sum = 0;
  for (std::size_t at = 0; at < old.size_bytes; at += 64)
    sum += old.data[at];
  std::free(old.data);
  old = {};
  return sum;
}

std::uint64_t run_many(const arguments& given) {
  off_heap_table<vector_like> vectors{given["vectors"]};
  const std::size_t chunk_bytes = given["chunk"];
  const std::size_t limit_bytes = given["limit"];
  random_source random{13};
  std::uint64_t sum = 0;
  for (std::size_t append = given["appends"]; append != 0; --append) {
    vector_like& chosen = vectors[random.below(vectors.size())];
    const std::size_t added = chunk_bytes * (1 + random.below(16));
    if (chosen.size_bytes + added > limit_bytes || random.below(2000) == 0) sum += drop(chosen);
    if (chosen.size_bytes + added > chosen.capacity_bytes)
      grow(chosen, (chosen.size_bytes + added) * 3 / 2);
    touch(chosen.data + chosen.size_bytes, added, static_cast<std::uint8_t>(append));
    chosen.size_bytes += added;
  }
  for (vector_like& each : vectors)
    sum += drop(each);
  return sum;
}

std::uint64_t run_one(const arguments& given) {
  const std::size_t limit_bytes = given["limit_mb"] << 20U;
  vector_like buffer{};
  std::size_t capacity_bytes = given["start"];
  while (buffer.capacity_bytes < limit_bytes) {
    grow(buffer, capacity_bytes < limit_bytes ? capacity_bytes : limit_bytes);
    touch(buffer.data + buffer.size_bytes, buffer.capacity_bytes - buffer.size_bytes, 1);
    buffer.size_bytes = buffer.capacity_bytes;
    capacity_bytes = capacity_bytes * given["percent"] / 100;
  }
  return drop(buffer);
}

}  // namespace

const workload realloc_growth{"realloc-many", "many vectors that grow side by side",
                              many_parameters, run_many};
const workload realloc_one{"realloc-one", "one buffer that grows to a gigabyte", one_parameters,
                           run_one};

}  // namespace acre::bench
