/* Holds up to 48 MiB and churns through 2 GiB in sizes that change, on two threads: in a cgroup of
 * 64 MiB only a heap that gives free memory back survives. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { slots = 400, rounds = 20 };

static void* churn(void* unused) {
  (void)unused;
  static __thread char* held[slots];
  for (int round = 0; round < rounds; ++round) {
    const size_t size = (size_t)(1 + round % 5) * 6000;
    for (int pass = 0; pass < 8; ++pass) {
      for (int slot = 0; slot < slots; ++slot) {
        free(held[slot]);
        held[slot] = malloc(size);
        if (held[slot] == NULL) exit(1);
        memset(held[slot], 1, size);
      }
    }
    char* large = malloc(10 << 20);
    if (large == NULL) exit(1);
    memset(large, 1, 10 << 20);
    free(large);
  }
  for (int slot = 0; slot < slots; ++slot)
    free(held[slot]);
  return NULL;
}

int main(void) {
  pthread_t thread;
  if (pthread_create(&thread, NULL, churn, NULL) != 0) return 1;
  churn(NULL);
  pthread_join(thread, NULL);
  puts("ok");
  return 0;
}
