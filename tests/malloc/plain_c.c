/* A plain C program under the preload: the family works and no C++ run-time library is drawn in. */
#define _GNU_SOURCE
#include <errno.h>
#include <malloc.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHECK(condition)                                                      \
  do {                                                                        \
    if (!(condition)) {                                                       \
      fprintf(stderr, "%s:%d: FAILED: %s\n", __FILE__, __LINE__, #condition); \
      exit(1);                                                                \
    }                                                                         \
  } while (0)

static int is_mapped(const char* name) {
  FILE* maps = fopen("/proc/self/maps", "r");
  CHECK(maps != NULL);
  char* line = NULL;
  size_t capacity = 0;
  int found = 0;
  while (getline(&line, &capacity, maps) > 0) {
    if (strstr(line, name) != NULL) found = 1;
  }
  free(line);
  fclose(maps);
  return found;
}

int main(void) {
  CHECK(!is_mapped("libstdc++"));
  CHECK(!is_mapped("libgcc_s"));
  CHECK(!is_mapped("libm.so"));
  for (size_t size = 0; size < 100000; size += 1 + size / 10) {
    char* block = malloc(size);
    CHECK(block != NULL && malloc_usable_size(block) >= size);
    memset(block, 1, size);
    block = realloc(block, 2 * size + 1);
    CHECK(block != NULL && (size == 0 || block[size - 1] == 1));
    free(block);
    block = calloc(size + 1, 3);
    CHECK(block != NULL && block[0] == 0 && block[3 * size] == 0);
    free(block);
  }
  char* text = NULL;
  CHECK(asprintf(&text, "%s %d", strdupa("text"), 5) == 6);
  free(text);
  text = strndup("abcdef", 3);
  CHECK(strcmp(text, "abc") == 0);
  free(text);
  puts("ok");
  return 0;
}
