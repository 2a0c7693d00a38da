// A program that allocates only through its libraries: the archive must be taken all the same.
#include <acre/malloc.h>

#include <cstdio>
#include <cstdlib>
#include <string>

int main() {
  std::string text(1000, 'a');
  char* copy = nullptr;
  const int length = asprintf(&copy, "%s", text.c_str());
  const bool ours = length == 1000 && acre_owner_of(copy).kind == ACRE_SMALL_LIVE &&
                    acre_owner_of(text.data()).kind == ACRE_SMALL_LIVE;
  free(copy);
  return ours ? 0 : 1;
}
