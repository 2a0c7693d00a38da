/* Acre's malloc beside the system's, from C. */
#include <acre/malloc.h>

#include <stdlib.h>
#include <string.h>

int main(void) {
  char* ours = acre_malloc(100);
  char* theirs = malloc(100);
  if (!ours || !theirs) return 1;
  memset(ours, 1, acre_malloc_usable_size(ours));
  memset(theirs, 2, 100);
  const int apart = acre_owner_of(ours).kind == ACRE_SMALL_LIVE &&
                    acre_owner_of(theirs).kind == ACRE_NOT_OURS && ours[99] == 1;
  acre_free(ours);
  free(theirs);
  return apart ? 0 : 1;
}
