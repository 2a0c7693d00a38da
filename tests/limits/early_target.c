/* A C program that allocates a little: what its heap does before main is made to fail too. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

int main(void) {
  for (size_t size = 8; size < 1000000; size *= 5) {
    errno = 0;
    char* block = malloc(size);
    if (block == NULL && errno != ENOMEM) return 1;
    if (block != NULL) memset(block, 1, size);
    free(block);
  }
  return 0;
}
