/* A plug-in that allocates while it is loaded and frees while it is unloaded. */
#include <stdlib.h>
#include <string.h>

enum { count = 300 };
static void* held[count];

__attribute__((constructor)) static void loaded(void) {
  for (size_t index = 0; index < count; ++index) {
    held[index] = malloc(index * 37);
    if (held[index] == NULL) abort();
    memset(held[index], 1, index * 37);
  }
}

__attribute__((destructor)) static void unloaded(void) {
  for (size_t index = 0; index < count; ++index)
    free(held[index]);
}

/* The program frees what the plug-in made, after the plug-in is gone. */
char* make_text(void) {
  return strdup("made in the plug-in");
}
