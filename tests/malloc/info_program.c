/* Prints malloc_info's XML with blocks of many sizes alive; info_xml.py reads it. */
#include <malloc.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

enum { block_count = 3000, thread_count = 3 };

static void* hold_some(void* unused) {
  (void)unused;
  void** held = calloc(block_count, sizeof *held);
  for (size_t index = 0; index < block_count; ++index)
    held[index] = malloc(index * 7);
  for (size_t index = 0; index < block_count; index += 2)
    free(held[index]);
  return held;
}

int main(void) {
  pthread_t threads[thread_count];
  for (int index = 0; index < thread_count; ++index) {
    if (pthread_create(&threads[index], NULL, hold_some, NULL) != 0) return 1;
  }
  for (int index = 0; index < thread_count; ++index)
    pthread_join(threads[index], NULL);
  if (malloc(5 << 20) == NULL) return 1;
  return malloc_info(0, stdout);
}
