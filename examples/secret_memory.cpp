// Keeps a key that no other process, core dump or swap device may see, and many small ones.
#include <acre/os/secret_memory.hpp>
#include <acre/os/secret_pool.hpp>

#include <algorithm>
#include <cstdio>
#include <vector>

int main() {
  using namespace acre::os;
  constexpr const char* names[] = {"", "guarded", "locked", "hidden from the kernel"};

  // At least locked, better if the kernel can: less is a failure and not a surprise.
  auto key = secret_memory::create(
      4096, {.wanted = secret_level::hidden, .required = secret_level::locked});
  if (!key) {
    std::printf("no secret memory here: %s\n", key.error().message().c_str());
    return 77;
  }
  std::ranges::fill(key->bytes(), std::byte{0x5a});
  acre::or_throw(key->allow(secret_access::none));  // until it is needed
  std::printf("a key of %zu bytes, %s\n", key->bytes().size(),
              names[static_cast<unsigned>(key->level())]);

  secret_pool pool = acre::or_throw(secret_pool::create());
  std::vector<secret> sessions;
  for (int i = 0; i < 1000; ++i)
    sessions.push_back(acre::or_throw(pool.make(32)));
  std::printf("%zu session keys, %s\n", pool.secrets(), names[static_cast<unsigned>(pool.level())]);

  sessions[0].bytes().data()[32] = std::byte{1};  // one byte too far
  const auto closed = sessions[0].close();
  std::printf("%s\n", closed ? "nothing noticed" : closed.error().message().c_str());
  return closed ? 1 : 0;
}
