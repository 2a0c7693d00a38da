// A program that allocates only through its libraries and names nothing of Acre's: the linker must
// keep libacre-malloc.so all the same.
#include <cstring>
#include <string>

#include <dlfcn.h>

int main() {
  const std::string text(1000, 'a');
  Dl_info place{};
  const bool found = dladdr(dlsym(RTLD_DEFAULT, "malloc"), &place) != 0;
  return found && std::strstr(place.dli_fname, "acre-malloc") != nullptr && text.size() == 1000 ? 0
                                                                                                : 1;
}
