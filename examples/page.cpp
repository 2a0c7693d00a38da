// What pages this machine has.
#include <acre/os/page.hpp>

#include <cstdio>

int main() {
  using namespace acre::os;
  std::printf("an ordinary page has %zu bytes\n", page_size());
  if (const auto size = transparent_huge_page_size()) {
    std::printf("a transparent huge page has %zu bytes\n", *size);
  } else {
    std::printf("no transparent huge pages: %s\n", size.error().message().c_str());
  }
  for (const auto& pool : huge_page_pools()) {
    std::printf("%zu of %zu reserved pages of %zu bytes are free\n", pool.free_pages, pool.pages,
                pool.page_size_bytes);
  }
}
