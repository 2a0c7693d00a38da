/* A program whose malloc is Acre's because it was linked with it. */
#include <acre/malloc.h>

#include <stdlib.h>

int main(void) {
  void* block = malloc(100);
  const int ours = block && acre_owner_of(block).kind == ACRE_SMALL_LIVE;
  free(block);
  return ours ? 0 : 1;
}
