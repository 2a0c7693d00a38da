/* A thread that gives up rights for itself alone, and allocates: the purging thread, which starts
 * with its rights and not with those of the first thread, must still give memory back. */
#include "resident.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

enum { block_count = 640, block_bytes = 100000, other_bytes = 3000000 };
enum { page_bytes = 4096, rest_bytes = block_count * block_bytes / 4, steps = 8000 };

static void* work(void* result) {
  static char* blocks[block_count];
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
    puts("SKIP: the kernel refuses PR_SET_NO_NEW_PRIVS");
    *(int*)result = 77;
    return NULL;
  }
  for (size_t index = 0; index < block_count; ++index) {
    blocks[index] = malloc(block_bytes);
    if (blocks[index] == NULL) abort();
    memset(blocks[index], 1, block_bytes);
  }
  for (size_t index = 0; index < block_count; ++index)
    free(blocks[index]);
  const long full = resident_pages() * page_bytes;
  long left = full;
  for (int step = 0; step < steps && left > rest_bytes; ++step) {
    volatile char* const other = malloc(other_bytes);
    if (other == NULL) abort();
    *other = 1;
    free((void*)other);
    usleep(1000);
    left = resident_pages() * page_bytes;
  }
  *(int*)result = full > rest_bytes && left <= rest_bytes ? 0 : 1;
  printf("%ld of %ld bytes stay\n", left, full);
  return NULL;
}

int main(void) {
  int result = 2;
  pthread_t thread;
  if (pthread_create(&thread, NULL, work, &result) != 0) return 2;
  pthread_join(thread, NULL);
  return result;
}
