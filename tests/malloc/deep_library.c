/* Frees what another library allocated, and returns what another one shall free. */
#include <stdlib.h>
#include <string.h>

char* exchange(char* text) {
  char* const copy = malloc(strlen(text) + 1);
  if (copy != NULL) strcpy(copy, text);
  free(text);
  return copy;
}
