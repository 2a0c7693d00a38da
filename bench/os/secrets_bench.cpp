// Small secrets: create, use and destroy one, and keep very many, at each level that the machine
// has and with libsodium.
//
//   bench_os_secrets [--smoke | COUNT]     COUNT secrets of 32 bytes are kept; 100000 when left out
#include <acre/os/secret_pool.hpp>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <dlfcn.h>

namespace {

using acre::os::secret;
using acre::os::secret_level;
using acre::os::secret_pool;

constexpr std::size_t key_bytes = 32;
unsigned long checksum = 0;

std::size_t resident_kib() {
  std::ifstream file("/proc/self/status");
  std::string word;
  std::size_t kib = 0;
  while (file >> word) {
    if (word == "VmRSS:") file >> kib;
  }
  return kib;
}

template <class Work>
double once_ns(Work work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double, std::nano>(std::chrono::steady_clock::now() - start).count();
}

/// Nanoseconds of one run of `work`: the median of several rounds of `count`.
template <class Work>
double median_ns(std::size_t count, Work work) {
  std::array<double, 7> rounds{};
  for (double& round : rounds) {
    const double taken = once_ns([&] {
      for (std::size_t i = 0; i < count; ++i)
        work();
    });
    round = taken / static_cast<double>(count);
  }
  std::ranges::sort(rounds);
  return rounds[rounds.size() / 2];
}

void use(std::span<std::byte> key) {
  key.front() = std::byte{1};
  key.back() = std::byte{2};
  checksum += static_cast<unsigned long>(std::to_integer<int>(key.front()));
}

void print(const char* name, double pair_ns, double each_ns, std::size_t live, std::size_t kib) {
  std::printf("%-12s %9.0f ns a pair %9.0f ns each of many %7zu live %8zu KiB\n", name, pair_ns,
              each_ns, live, kib);
}

void measure(const char* name, secret_level level, std::size_t count) {
  auto pool = secret_pool::create({.wanted = level, .required = level});
  if (!pool) {
    std::printf("%-12s skipped: %s\n", name, pool.error().message().c_str());
    return;
  }
  // As in a program that has other secrets already.
  const auto other = acre::or_throw(pool->make(key_bytes));
  const double pair = median_ns(std::max<std::size_t>(count / 10, 100), [&] {
    secret key = acre::or_throw(pool->make(key_bytes));
    use(key.bytes());
  });
  const std::size_t before = resident_kib();
  std::vector<secret> keys(count);
  const double fill = once_ns([&] {
    for (secret& key : keys) {
      key = acre::or_throw(pool->make(key_bytes));
      use(key.bytes());
    }
  });
  print(name, pair, fill / static_cast<double>(count), pool->secrets() - 1,
        resident_kib() - before);
}

/// libsodium, where it is installed; its soname has been this since 2017.
struct sodium {
  void* handle = dlopen("libsodium.so.23", RTLD_NOW | RTLD_LOCAL);

  template <class Function>
  Function* function(const char* name) const {
    return reinterpret_cast<Function*>(dlsym(handle, name));
  }
};

void measure_sodium(std::size_t count) {
  const sodium with;
  if (with.handle == nullptr) {
    std::puts("libsodium    skipped: apt-get install libsodium23");
    return;
  }
  auto* const allocate = with.function<void*(std::size_t)>("sodium_malloc");
  auto* const release = with.function<void(void*)>("sodium_free");
  if (with.function<int()>("sodium_init")() < 0) {
    std::puts("libsodium    skipped: sodium_init failed");
    return;
  }
  const double pair = median_ns(std::max<std::size_t>(count / 100, 20), [&] {
    auto* const key = static_cast<std::byte*>(allocate(key_bytes));
    use({key, key_bytes});
    release(key);
  });
  const std::size_t before = resident_kib();
  std::vector<void*> keys;
  const double fill = once_ns([&] {
    while (keys.size() < count) {
      void* const key = allocate(key_bytes);
      if (key == nullptr) break;
      use({static_cast<std::byte*>(key), key_bytes});
      keys.push_back(key);
    }
  });
  print("libsodium", pair, fill / static_cast<double>(keys.size()), keys.size(),
        resident_kib() - before);
  for (void* const key : keys)
    release(key);
}

}  // namespace

int main(int argc, char** argv) {
  std::size_t count = 100'000;
  if (argc > 1) {
    const bool is_smoke = std::string_view(argv[1]) == "--smoke";
    count = is_smoke ? 200 : std::strtoul(argv[1], nullptr, 10);
  }
  if (count == 0) {
    std::fprintf(stderr, "'%s' is no count; give --smoke or a number above 0\n", argv[1]);
    return 2;
  }
  measure("hidden", secret_level::hidden, count);
  measure("locked", secret_level::locked, count);
  measure("guarded", secret_level::guarded, count);
  measure_sodium(count);
  std::printf("checksum %lu\n", checksum);
}
