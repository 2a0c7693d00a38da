// A table that only marked stretches of the program can write.
#include <acre/os/mapping.hpp>
#include <acre/os/protection.hpp>

#include <cstdio>

int main() {
  using namespace acre::os;
  mapping table = acre::or_throw(mapping::anonymous(4096));
  auto rights = acre::or_throw(protection::over(table.bytes(), page_access::read));
  {
    const auto open = acre::or_throw(rights.open());
    table.data()[0] = std::byte{42};  // here, and nowhere else
  }
  std::printf("read outside the scope: %d, closed by %s\n", static_cast<int>(table.data()[0]),
              rights.means() == protection_means::key ? "a protection key" : "mprotect");

  mapping secret = acre::or_throw(mapping::anonymous(4096));
  const auto with_key =
      protection::over(secret.bytes(), page_access::none, protection_choice::key_only);
  if (!with_key) std::printf("no key: %s\n", with_key.error().message().c_str());
}
